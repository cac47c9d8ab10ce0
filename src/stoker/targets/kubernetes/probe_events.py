"""What events say of a replica, put beside it: the probe's words, where it has lost its readiness."""

from collections.abc import Iterable
from dataclasses import replace

from stoker.fleet.state import Evidence, Replica
from stoker.targets.kubernetes.pods import LOST


def unready(found: Iterable[Replica], events: Iterable[Evidence]) -> tuple[Replica, ...]:
    """The replicas; those that were ready and are not any more with what their probe says."""
    told = {one.subject.removeprefix("Pod/"): one.text for one in events if one.reason == "Unhealthy"}
    return tuple(
        replace(one, detail=f"{one.detail}: {told[one.name]}")
        if one.detail == LOST and one.name in told
        else one
        for one in found
    )
