"""Our scheduler makes the batches that vLLM's own class makes, step by step, in random engines."""

import importlib.util
import time

import pytest
from benchmarks.scheduler.__main__ import pair
from benchmarks.scheduler.driving import Made, difference

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(
        importlib.util.find_spec("vllm") is None, reason="vLLM is not installed in this environment"
    ),
    # What vLLM's own libraries warn of as they are imported.
    pytest.mark.filterwarnings("ignore"),
]
SECONDS = 40
LEAST = 200


def test_every_step_is_the_same() -> None:
    """As many workloads as there is time for; among them everything that is compared happens."""
    until = time.monotonic() + SECONDS
    seed = preempted = spared = 0
    while seed < LEAST or time.monotonic() < until:
        ours, theirs = pair(seed)
        assert difference(ours, theirs) is None
        made = [one for one in theirs.seen if isinstance(one, Made)]
        preempted += sum(len(one.preempted) for one in made)
        spared += sum(tokens > 0 for one in made for _, tokens in one.admitted)
        seed += 1
    assert preempted > seed
    assert spared > seed
