"""The library's two ways to a fleet, wherever its spec says that it runs."""

from stoker.events import Report, silent
from stoker.operate import local_fleet, local_up
from stoker.operate.fleet import Fleet
from stoker.spec.nouns import ServeSpec


def up(
    spec: ServeSpec | None = None,
    *,
    report: Report = silent,
    timeout: float | None = None,
    replace_running: bool = False,
    gcloud: bool = False,
) -> Fleet:
    """Brings a fleet up, here or in the spec's cluster, and returns when it is ready; a second call does
    nothing.

    As a context manager it is taken down at the end of the block.
    timeout: seconds until ready; None is half an hour here, and an hour in a cluster.
    replace_running: change a fleet of this name that runs here. gcloud: make the calls
    outside of the cluster that it needs (IAM, uniform bucket access); otherwise they are reported only.
    Raises: UsageError, EnvironmentFailed, DoesNotFit, TimedOut.
    """
    if spec is None or spec.target == "local":
        return local_up.up(spec, replace_running=replace_running, report=report, timeout=timeout)
    from stoker.operate.cluster import ClusterFleet
    from stoker.operate.cluster_up import up_cluster

    up_cluster(spec, report=report, timeout=timeout, agree=lambda _: gcloud)
    fleet = ClusterFleet(spec)
    fleet.brought_up = True
    return fleet


def connect(which: str | ServeSpec | None = None) -> Fleet:
    """A handle on a fleet that runs: here by its name (the only one without), in a cluster by its spec.

    Raises: NoSuchFleet, UsageError.
    """
    if isinstance(which, ServeSpec):
        if which.target != "local":
            from stoker.operate.cluster import ClusterFleet

            found = ClusterFleet(which)
            found.status()
            return found
        which = which.name
    return local_fleet.connect(which)
