"""The simulated engine answers as real vLLM does: each request of the contract against vLLM's recorded answer."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.contract import CASES, LEN, REFUSED, Case, ask
from tests.support.engine import Engine, starter
from tests.support.shapes import FILE, recorded, shape


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with starter(tmp_path_factory.mktemp("engine")) as begin:
        yield begin("--max-model-len", str(LEN), tokens=3)


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
