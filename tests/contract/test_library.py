"""The public library: what the command line does, for programs."""

import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest
from tests.conftest import Stoker

import stoker
from stoker import events


def test_every_name_of_the_front_door_is_there() -> None:
    for name in stoker.__all__:
        assert getattr(stoker, name) is not None
    assert sorted(stoker.__all__) == sorted(set(stoker.__all__))
    with pytest.raises(AttributeError):
        stoker.nothing_of_this_name  # noqa: B018


def test_every_error_is_at_the_front_door() -> None:
    from stoker import errors

    tree = {
        name
        for name, one in vars(errors).items()
        if isinstance(one, type) and issubclass(one, errors.StokerError)
    }
    assert tree <= set(stoker.__all__)


def test_importing_it_imports_nothing_heavy() -> None:
    code = (
        "import sys, stoker; print(*(m for m in ('pydantic', 'click', 'yaml', 'httpx2', 'asyncio', "
        "'rich') if m in sys.modules))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "\n"
    )


def test_a_fleet_as_a_context_manager(stoker_home: Stoker) -> None:
    spec = stoker.load(Path(stoker_home.spec()).read_text())
    said: list[events.Event | events.Progress] = []
    with stoker.up(spec, report=said.append) as fleet:
        state = fleet.status()
        assert (state.name, state.ready, fleet.url) == ("sim", 1, stoker_home.url)
        body = {"model": "model", "messages": [{"role": "user", "content": "a b"}]}
        assert httpx2.post(f"{fleet.url}/v1/chat/completions", json=body).status_code == 200
        assert fleet.scale(2).ready == 2
        assert stoker.connect("sim").status().ready == 2
        assert isinstance(fleet, stoker.Fleet)
        mine, others = (fleet.target.changes(fleet.plan(count)) for count in (3, 4))  # type: ignore[attr-defined]
        fleet.target.apply(mine)  # type: ignore[attr-defined]
        with pytest.raises(stoker.StateMoved):
            fleet.target.apply(others)  # type: ignore[attr-defined]  # computed before the first of them was applied  # type: ignore[attr-defined]
        assert fleet.scale(1).ready == 1
        with fleet.endpoint() as endpoint:
            assert endpoint.model == "model"
    assert said
    assert stoker_home.processes() == []
    with pytest.raises(stoker.NoSuchFleet):
        stoker.connect("sim")


def test_of_two_that_change_a_fleet_the_later_wins_and_the_other_says_so(stoker_home: Stoker) -> None:
    from concurrent.futures import ThreadPoolExecutor

    spec = stoker.load(Path(stoker_home.spec(simulate={"start_seconds": 5.0})).read_text())
    with stoker.up(spec) as fleet, ThreadPoolExecutor(1) as pool:
        begun: list[events.Event | events.Progress] = []
        slow = pool.submit(lambda: fleet.scale(3, report=begun.append))
        deadline = time.monotonic() + 60
        while not begun:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert stoker.connect("sim").scale(2).ready == 2
        with pytest.raises(stoker.StateMoved, match="changed by another command"):
            slow.result(60)
        assert fleet.status().wanted == 2
        assert stoker.connect().name == "sim"


def test_errors_carry_a_finding_and_an_exit_code(stoker_home: Stoker) -> None:
    with pytest.raises(stoker.SpecError) as caught:
        stoker.load("replica: 2", "my.yaml")
    assert (caught.value.exit_code, caught.value.finding.at) == (2, "my.yaml:1:1")


@pytest.fixture
def stoker_home(stoker: Stoker, monkeypatch: pytest.MonkeyPatch) -> Stoker:
    """This process works in the test's home too."""
    monkeypatch.setenv("STOKER_HOME", str(stoker.home))
    return stoker
