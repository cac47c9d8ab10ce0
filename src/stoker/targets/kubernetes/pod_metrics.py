"""What each ready replica says of itself now, through the API server: one look, bounded in time."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from stoker.engine.samples import NARROW, read
from stoker.errors import EnvironmentFailed, UsageError
from stoker.fleet.state import FleetState, Replica, Sample
from stoker.system import clock
from stoker.targets.kubernetes.client import Api

AT_ONCE = 16


def sampled(api: Api, namespace: str, state: FleetState) -> FleetState:
    """The state with a sample of each ready replica; without, where it does not answer or may not be
    asked."""

    def look(one: Replica) -> Replica:
        if one.phase != "Ready" or not one.url:
            return one
        port = int(one.url.rpartition(":")[2])
        try:
            text = api.pod_page(namespace, one.name, port, NARROW)
            text = text or api.pod_page(namespace, one.name, port, "/metrics")
        except (UsageError, EnvironmentFailed):
            return one
        found = read(text.encode(), clock.now())
        return replace(one, sample=Sample.of(found)) if found else one

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return replace(state, replicas=tuple(pool.map(look, state.replicas)))
