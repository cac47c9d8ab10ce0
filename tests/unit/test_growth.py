"""When a starter waits beside a fleet, and when an engine is started without one."""

from pathlib import Path
from typing import Any

import pytest

from stoker.catalog.rules import rule
from stoker.fleet.process import Process, Wanted
from stoker.targets.local.child import Child
from stoker.targets.local.growth import Growth, all_ready, grows
from stoker.targets.local.starters import SWITCH, Starters, Template

GATEWAY = Process("gateway", "gateway", ("g",), port=8000)


def engine(name: str) -> Process:
    return Process("engine", name, ("e",), routed=True)


def wanted(count: int, **spec: Any) -> Wanted:
    engines = [engine(str(n + 1)) for n in range(count)]
    return Wanted(1, "shop", (GATEWAY, *engines), spec=spec)


@pytest.mark.parametrize(
    ("fleet", "may"),
    [
        (wanted(1, replicas="1..2"), True),
        (wanted(2, replicas="1..3"), True),
        (wanted(2, replicas="1..2"), False),
        (wanted(1, replicas="1"), False),
        (wanted(1, replicas=1), False),
        (wanted(1), False),
        (wanted(0, replicas="0..2"), False),  # nothing here tells what an engine is like
        (wanted(1, replicas="nonsense"), False),
        (None, False),
    ],
)
def test_a_fleet_grows_while_it_has_fewer_replicas_than_it_may(fleet: Wanted | None, may: bool) -> None:
    assert (grows(fleet) is not None) is may


def child(name: str, phase: Any) -> Child:
    made = Child(engine(name), 1, "", Path("/logs"))
    made.become(phase)
    return made


def test_it_is_made_while_nothing_starts_or_leaves() -> None:
    assert all_ready([child("1", "Ready"), child("2", "Ready")])
    assert not all_ready([child("1", "Ready"), child("2", "Loading")])
    assert not all_ready([child("1", "Draining")])
    assert not all_ready([])


class Noted(Starters):
    """Notes what it is told to keep."""

    def __init__(self) -> None:
        super().__init__(Path())
        self.told: list[tuple[bool, bool]] = []

    def keep(self, template: Template | None, begin: bool) -> None:
        self.told.append((template is not None, begin))


def test_a_fleet_that_is_full_keeps_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stoker.targets.local.starters.takes", lambda *_: True)
    for fleet, kept in ((wanted(1, replicas="1..2"), True), (wanted(2, replicas="1..2"), False)):
        growth = Growth(Path())
        growth.starters = noted = Noted()
        growth.look(fleet, [child("1", "Ready")])
        growth.look(fleet, [child("1", "Ready")])  # at once: nothing is looked at
        assert noted.told == [(kept, True)]


class Ended:
    """A process that has ended with a code."""

    def __init__(self, code: int) -> None:
        self.returncode = code


@pytest.mark.parametrize(
    ("code", "ready", "plainly"), [(-11, False, True), (1, False, False), (-9, True, False)]
)
def test_one_that_a_signal_ended_in_its_start_is_started_plainly(
    code: int, ready: bool, plainly: bool
) -> None:
    one = child("1", "Starting")
    one._popen, one.ever_ready = Ended(code), ready  # type: ignore[assignment]
    after = one.successor(rule("engine-signal").finding(signal="SIGSEGV"))
    assert after.plainly is plainly
    assert (after._environment(Path(), ()).get(SWITCH) == "off") is plainly
    assert after.successor(rule("engine-signal").finding(signal="SIGSEGV")).plainly is plainly


def test_a_fleet_at_zero_keeps_the_one_that_waits_for_who_wakes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stoker.targets.local.starters.takes", lambda *_: True)
    growth = Growth(Path())
    growth.starters = noted = Noted()
    growth.look(wanted(1, replicas="0..2"), [child("1", "Ready")])
    growth._looked = 0.0
    growth.look(wanted(0, replicas="0..2"), [])
    assert noted.told == [(True, True), (True, False)]
    growth._looked = 0.0
    growth.look(Wanted(3, "shop", (), spec={"replicas": "0..2"}), [])  # it is being taken down
    assert noted.told[-1] == (False, False)
