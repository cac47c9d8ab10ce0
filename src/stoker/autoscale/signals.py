"""A fleet's state as the autoscaler sees a cluster: its replicas as pods, its figures as a metrics adapter
has them."""

import math
from collections.abc import Mapping, Sequence

from stoker.autoscale.policy import Metric, Policy
from stoker.autoscale.seen import Figures, Lost, Pod, Scale
from stoker.fleet.state import FleetState, Replica, Sample
from stoker.spec.scaling import OF_THE_ENDPOINT

FRESH = 30.0  # seconds after which a replica's figures are none any more
TTFT_WINDOW = 60.0  # over which the mean time to first token is taken
_PHASES = {"Pending": "Pending", "Scheduled": "Pending", "Pulling": "Pending"}
Past = Mapping[str, Sequence[Sample]]


def scale_of(state: FleetState) -> Scale:
    """The fleet as an object that is scaled. A replica that has failed is a container that is started again
    and again: its pod runs, and reports nothing."""
    pods = tuple(_pod(replica) for replica in state.replicas if replica.current)
    current = sum(not pod.deleting for pod in pods)
    return Scale(state.wanted, current, pods)


def _pod(replica: Replica) -> Pod:
    again = replica.phase == "Pending" and replica.restarts > 0
    return Pod(
        name_of(replica),
        "Running" if again else _PHASES.get(replica.phase, "Running"),
        replica.phase == "Ready",
        replica.phase == "Draining",
        replica.started or None,
        replica.since,
    )


def name_of(replica: Replica) -> str:
    """A replica's life: a new one of the same name has begun anew."""
    return f"{replica.name}.{replica.generation}"


def figures_of(policy: Policy, state: FleetState, past: Past) -> list[Figures]:
    """The figures of all metrics. past: earlier samples of each replica's life, the oldest first."""
    return [_figures(metric, state, past) for metric in policy.metrics]


def _figures(metric: Metric, state: FleetState, past: Past) -> Figures:
    if metric.name == OF_THE_ENDPOINT:
        if state.requests is None:
            return Lost("the endpoint has not told how many requests it holds")
        return (state.requests * 1000,)
    found: dict[str, int] = {}
    for replica in state.replicas:
        sample = replica.sample
        if not replica.current or replica.phase == "Draining" or sample is None:
            continue
        if abs(state.at - sample.at) > FRESH:
            continue
        value = _value(metric.name, sample, past.get(name_of(replica), ()))
        if value is not None and math.isfinite(value) and value >= 0:
            found[name_of(replica)] = math.ceil(round(value * 1000, 6))
    return found or Lost(f"no replica has told its {metric.name}")


def _value(name: str, sample: Sample, past: Sequence[Sample]) -> float | None:
    match name:
        case "queue-depth":
            return sample.waiting
        case "batch-size":
            return sample.running
        case "kv-cache":
            return sample.kv_cache_usage
        case "ttft":
            return mean_ttft(sample, past)
    return None


def mean_ttft(sample: Sample, past: Sequence[Sample]) -> float | None:
    """Seconds to the first token, the mean of the last minute's requests; 0 where there were none."""
    if sample.ttft_count is None or sample.ttft_sum is None:
        return None
    before = next((one for one in past if sample.at - one.at <= TTFT_WINDOW), sample)
    count = sample.ttft_count - (before.ttft_count or 0.0)
    total = sample.ttft_sum - (before.ttft_sum or 0.0)
    return total / count if count > 0 and total >= 0 else 0.0
