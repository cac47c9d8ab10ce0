"""A small Kubernetes API server with controllers and pod lives on a clock of its own: the test double that
ships.

It keeps objects, resource versions, watches, server-side apply with field ownership, and scripts what pods do
by the annotations `fake/start-seconds`, `fake/ready-seconds`, `fake/run-seconds`, `fake/exit-code`,
`fake/log`, `fake/metrics` and `fake/fault`. `Cluster` runs it in this process, `python -m
tests.support.cluster` by itself.
"""

from tests.support.cluster.server import Cluster

__all__ = ["Cluster"]
