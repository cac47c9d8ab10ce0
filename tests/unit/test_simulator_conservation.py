"""Nothing is lost in a simulated fleet: requests, tokens, KV blocks, machines; whatever befalls it."""

import math
from dataclasses import replace
from random import Random

import pytest
from tests.support.simulating import (
    ROOMY,
    USUAL,
    balanced,
    books,
    closed_load,
    open_load,
    queue_policy,
    ran,
    trace,
    waves,
)

from stoker.engine.scheduler import SchedulerLimits
from stoker.simulator.fleet import Fleet
from stoker.simulator.scenario import Failures, Keda, NodePool, Scenario, Starting, Watching
from stoker.simulator.use import use_of
from stoker.traffic.lengths import Lengths, fixed
from stoker.traffic.workload import Synthetic, Workload
from stoker.units import Range

STARTING = Starting(
    (("Pulling", 5.0), ("Starting", 3.0), ("Loading", 2.0)), (("Starting", 3.0), ("Loading", 2.0))
)
TALK = Synthetic(Lengths("uniform", 10, 200), Lengths("uniform", 5, 60), 3, 32, fixed(3), 1.0)
SHORT = Synthetic(Lengths("exponential", 120), Lengths("exponential", 30))


def load(random: Random) -> Workload:
    """Open, closed, in waves, in conversations, or a trace with prompts that are too long."""
    seed = random.randrange(10**6)
    match random.randrange(5):
        case 0:
            return open_load(random.choice((2, 10, 40)), seconds=60, seed=seed, prompts=SHORT)
        case 1:
            return closed_load(
                random.choice((3, 30)), think=random.choice((0.3, 2.0)), seed=seed, prompts=TALK
            )
        case 2:
            return waves(1, 40, 15, 3, SHORT, seed)
        case 3:
            return open_load(3, seconds=60, seed=seed, prompts=TALK)
    at = sorted(random.uniform(0, 60) for _ in range(200))
    return trace(*((one, random.choice((5, 300, 5000)), random.randint(1, 60)) for one in at))


def scenario(random: Random) -> Scenario:
    """A fleet of chance."""
    low, high = random.choice(((0, 3), (1, 4), (2, 2)))
    keda = Keda(10.0, 20.0) if low == 0 or random.random() < 0.3 else None
    name = "in-flight" if low == 0 else random.choice(("queue-depth", "batch-size"))
    limits = replace(
        ROOMY,
        num_gpu_blocks=random.choice((150, 4001)),
        max_model_len=2048,
        max_num_seqs=random.choice((4, 64)),
        async_scheduling=random.random() < 0.5,
        enable_prefix_caching=random.random() < 0.5,
    )
    stock_outs = ((10.0, 30.0),) if random.random() < 0.5 else ()
    pool = NodePool(
        random.choice((None, 8.0)),
        random.choice((1, 2)),
        1,
        random.choice((None, 2)),
        15.0,
        stock_outs,
        1.0,
        1,
    )
    return Scenario(
        limits,
        USUAL,
        load(random),
        Range(low, high),
        queue_policy(low, high, name=name, window=random.choice((0, 15))) if low < high else None,
        watching=Watching(random.choice((1.0, 5.0)), random.choice((0.0, 20.0))),
        keda=keda if low < high else None,
        starting=random.choice((STARTING, Starting())),
        pool=pool,
        failures=Failures((12.0, 25.0), random.choice((None, 40.0))),
        routing=random.choice(("in-flight", "random", "queue")),
        queue_timeout=random.choice((0.0, 5.0, 30.0)),
        drain=random.choice((0.0, 1.0, 60.0)),
        cold=random.random() < 0.3,
    )


@pytest.mark.parametrize("seed", range(20))
def test_whatever_comes_in_is_somewhere(seed: int) -> None:
    fleet = ran(scenario(Random(seed)), seed, balanced)
    found = books(fleet)
    assert found["waiting"] == found["running"] == 0
    assert sum(found.values()) == len(fleet.requests) > 0
    tokens(fleet)
    machines(fleet)


def tokens(fleet: Fleet) -> None:
    """What engines wrote is what clients have, whole answers and broken ones; retries began with nothing."""
    wrote = sum(one.generated for pod in (*fleet.pods, *fleet.gone) for one in pod.engines)
    assert wrote == sum(one.written for one in fleet.requests)
    for one in fleet.requests:
        if one.failed is None:
            assert one.first is not None
            assert one.last_at is not None
            assert one.due <= one.first <= one.last_at
            assert one.written == min(one.max_tokens, fleet.scenario.limits.max_model_len - one.prompt)


def machines(fleet: Fleet) -> None:
    """Blocks are free where nobody runs, and engines never compute longer than their machines are paid."""
    for pod in fleet.pods:
        if pod.engine is not None and not pod.running:
            assert pod.engine.state.blocks.free == pod.engine.state.blocks.total
    pool, use = fleet.scenario.pool, use_of(fleet)
    busy = sum(pod.busy for pod in (*fleet.pods, *fleet.gone))
    assert use.node_hours * 3600 * pool.per_node + 1e-6 >= busy
    assert use.replica_hours * 3600 + 1e-6 >= busy
    assert use.gpu_hours == pytest.approx(use.node_hours * pool.gpus)
    assert use.cost == pytest.approx(use.node_hours * (pool.price or 0))
    assert 0 <= use.busy <= 1
    assert math.isclose(use.busy + use.wasted, 1)


def test_cases_are_among_them_that_fail_retry_scale_and_lack_nodes() -> None:
    seen = dict.fromkeys(("failed", "again", "scaled", "died", "refused", "drained", "zero"), 0)
    for seed in range(20):
        fleet = ran(scenario(Random(seed)), seed)
        seen["failed"] += books(fleet)["failed"] > 0
        seen["again"] += any(one.tries > 1 for one in fleet.requests)
        seen["scaled"] += len(fleet.counts) > 1
        seen["died"] += fleet.deaths > 0
        seen["refused"] += any(one.failed == "refused" for one in fleet.requests)
        seen["drained"] += any(one.failed == "stream-error" for one in fleet.requests)
        seen["zero"] += any(count == 0 for _, count in fleet.counts)
    assert min(seen.values()) >= 1, seen


def test_a_prompt_that_never_fits_the_cache_does_not_hold_the_clock() -> None:
    """It waits for good, as in vLLM; the simulation ends all the same."""
    small = SchedulerLimits(num_gpu_blocks=11, max_model_len=4096, max_num_seqs=4)
    fleet = ran(Scenario(small, USUAL, trace((0.0, 10, 5), (1.0, 1000, 5), (2.0, 10, 5))))
    assert books(fleet) == {"answered": 1, "failed": 0, "cancelled": 2, "waiting": 0, "running": 0}
    scaled = Scenario(small, USUAL, trace((0.0, 1000, 5)), Range(1, 2), queue_policy(1, 2))
    assert ran(scaled).now < 2000
