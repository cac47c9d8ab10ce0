"""An oracle for the horizontal pod autoscaler: what kube-controller-manager 1.36 would do, written for its
own sake from the controller's source and from recordings, and from nothing of Stoker.

`python -m benchmarks.hpa_oracle FILE.jsonl` holds it against recorded sequences;
`python -m benchmarks.hpa_oracle.random --count N --seed S` writes random ones with its answers, to hold
others against. It is slow and plain on purpose. Where releases differ it is 1.36.2 on amd64, of which the
recordings are (`releases.py` says what later ones changed).
"""

from benchmarks.hpa_oracle.controller import Controller

__all__ = ["Controller"]
