"""What a simulated fleet used: replicas, machines, GPUs, dollars, and how much of it was for nothing."""

from __future__ import annotations

from dataclasses import dataclass

from stoker.simulator.fleet import Fleet


@dataclass(frozen=True, slots=True)
class FleetUse:
    """Of the whole simulation.

    replica_hours: from when a replica was asked for until it was gone. node_hours, gpu_hours: of machines
    that are paid for, with those that are still empty or already. cost: dollars, None without a price. busy:
    share of that time in which engines computed; wasted: the rest. mean, most: replicas asked for. starts:
    replicas that were started, beside the first ones; deaths: engines that died. ready_after: seconds from
    when a replica was asked for until it was ready, on average; None where none was.
    """

    seconds: float
    replica_hours: float
    node_hours: float
    gpu_hours: float
    cost: float | None
    busy: float
    wasted: float
    mean: float
    most: int
    starts: int = 0
    deaths: int = 0
    ready_after: float | None = None


def use_of(fleet: Fleet) -> FleetUse:
    """What a run that has ended used."""
    end = fleet.now
    pool = fleet.scenario.pool
    everybody = [*fleet.pods, *fleet.gone]
    replicas = sum((end if pod.gone_at is None else pod.gone_at) - pod.asked for pod in everybody)
    nodes = fleet.nodes.seconds(end)
    paid = nodes * pool.per_node / pool.nodes if nodes else replicas
    busy = min(1.0, sum(pod.busy for pod in everybody) / paid) if paid else 0.0
    later = [pod for pod in everybody if pod.asked > 0 or fleet.scenario.cold]
    waits = [pod.ready_at - pod.asked for pod in later if pod.ready_at is not None]
    return FleetUse(
        seconds=end,
        replica_hours=replicas / 3600,
        node_hours=nodes / 3600,
        gpu_hours=nodes * pool.gpus / 3600,
        cost=None if pool.price is None else nodes / 3600 * pool.price,
        busy=busy,
        wasted=1 - busy,
        mean=asked_for(fleet, end),
        most=max((count for _, count in fleet.counts), default=fleet.wanted),
        starts=len(later),
        deaths=fleet.deaths,
        ready_after=sum(waits) / len(waits) if waits else None,
    )


def asked_for(fleet: Fleet, end: float) -> float:
    """Replicas that were asked for, on average over time."""
    spans = zip(fleet.counts, [*fleet.counts[1:], (end, 0)], strict=True)
    return sum(count * (after - at) for (at, count), (after, _) in spans) / end if end else fleet.wanted
