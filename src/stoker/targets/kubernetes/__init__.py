"""A cluster as a place where a fleet runs.

Importing it raises MissingDependency where the cluster's client is not installed.
"""

from importlib.util import find_spec

if find_spec("lightkube") is None:
    from stoker.errors import MissingDependency
    from stoker.system import installation

    raise MissingDependency(
        "the Kubernetes client is not installed",
        why="clusters are asked through the package lightkube",
        fix=installation.fix("kubernetes"),
        rule="kubernetes-client",
    )
