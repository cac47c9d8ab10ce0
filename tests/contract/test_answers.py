"""The simulated engine answers as real vLLM does: each request of the contract against vLLM's recorded
answer."""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support import laws
from tests.support.asking import ask
from tests.support.contract import LEN, REFUSED, Case
from tests.support.engine import Engine, Start, starter
from tests.support.shapes import CASES, FILE, recorded, shape


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with starter(tmp_path_factory.mktemp("engine")) as begin:
        yield begin("--max-model-len", str(LEN), tokens=3)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with starter(tmp_path) as begin:
        yield begin


def test_every_request_is_recorded_and_nothing_else() -> None:
    assert list(recorded()) == [case.name for case in CASES]
    assert len({case.name for case in CASES}) == len(CASES)
    assert sum(recorded()[case.name].status == 400 for case in REFUSED) >= 25


def test_the_record_names_no_machine() -> None:
    text = FILE.read_text()
    for part in ("/tmp", "/home", "/root", "site-packages", "2026", "127.0.0.1:1"):
        assert part not in text, part


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_answer_is_vllms(engine: Engine, case: Case) -> None:
    assert shape(case, ask(engine.port, case)) == shape(case, recorded()[case.name])


@pytest.mark.parametrize("law", laws.LAWS, ids=lambda law: law.__name__)
def test_a_law(start: Start, law: Callable[[Engine], None]) -> None:
    law(start("--max-model-len", str(LEN), itl=0.02, tokens=3))


def test_a_dead_core(start: Start, tmp_path: Path) -> None:
    control = tmp_path / "control.json"
    engine = start("--max-model-len", str(LEN), "--simulate-file", str(control), itl=0.05, tokens=300)
    kill = functools.partial(control.write_text, '{"faults": {"core_dies": true}}')
    laws.a_dead_core_is_told_in_every_stream_and_ends_the_process(engine, kill)


def test_sigterm(start: Start) -> None:
    engine = start("--max-model-len", str(LEN), itl=0.05)
    assert laws.sigterm_closes_the_port_and_finishes_no_stream(engine) == "silent"
