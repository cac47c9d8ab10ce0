"""Real vLLM still answers as it is recorded, and keeps the laws that the simulated engine keeps."""

import importlib.util
from collections.abc import Callable, Iterator

import pytest
from tests.support import laws
from tests.support.asking import ask
from tests.support.contract import Case
from tests.support.engine import Engine
from tests.support.real import RealEngine
from tests.support.shapes import CASES, recorded, shape

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed here"),
]


TRIES = 5


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealEngine]:
    engine = RealEngine(tmp_path_factory.mktemp("vllm"))
    yield engine
    engine.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_answer_is_as_recorded(real: RealEngine, case: Case) -> None:
    """A front end that is behind puts several tokens into one event: a stream has several tries."""
    wanted = shape(case, recorded()[case.name])
    found = shape(case, ask(real.port, case))
    for _ in range(TRIES if "events" in found else 0):
        if found != wanted:
            found = shape(case, ask(real.port, case))
    assert found == wanted


@pytest.mark.parametrize("law", laws.LAWS, ids=lambda law: law.__name__)
def test_a_law(real: RealEngine, law: Callable[[Engine], None]) -> None:
    law(real)


def test_a_dead_core(real: RealEngine) -> None:
    laws.a_dead_core_is_told_in_every_stream_and_ends_the_process(real, real.kill_core)


def test_sigterm(tmp_path_factory: pytest.TempPathFactory) -> None:
    engine = RealEngine(tmp_path_factory.mktemp("vllm"))
    try:
        laws.sigterm_closes_the_port_and_finishes_no_stream(engine)
    finally:
        engine.close()
