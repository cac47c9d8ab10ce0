"""Our scheduler makes the batches that vLLM's own class makes, step by step, in random engines."""

import importlib.util
import time

import pytest
from benchmarks.scheduler import large
from benchmarks.scheduler.__main__ import Sums, pair
from benchmarks.scheduler.driving import difference
from benchmarks.scheduler.workloads import make

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
    sums = Sums()
    while sums.count < LEAST or time.monotonic() < until:
        ours, theirs = pair(make(sums.count))
        assert difference(ours, theirs) is None
        sums.add(ours, theirs)
    assert sums.preempted > sums.count
    assert sums.spared > sums.count


@pytest.mark.parametrize("seed", [1, 2])
def test_in_engines_of_usual_sizes(seed: int) -> None:
    assert difference(*pair(large.make(seed))) is None
