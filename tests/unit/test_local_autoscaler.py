"""The process that scales a fleet here, where nothing runs: what it remembers, and when it does not try
again."""

from dataclasses import replace
from pathlib import Path

import pytest

from stoker.autoscale import memory
from stoker.autoscale.hpa import History
from stoker.autoscale.windows import Recommendation
from stoker.fleet.state import FleetState, Scaling, Stopped
from stoker.operate.autoscaler import LONGEST, SHORTEST, Autoscaler
from stoker.system import clock
from stoker.targets.local import autoscaling
from stoker.targets.local.folder import Folder


@pytest.fixture
def scaler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Autoscaler:
    monkeypatch.setenv("STOKER_HOME", str(tmp_path))
    made = Autoscaler("f")
    made.fleet.target.folder.make()
    return made


def stopped(revision: int) -> FleetState:
    return FleetState("f", "local", 0.0, stopped=Stopped(revision, 1, "replica 2", "out of memory", "log"))


def test_a_replica_that_does_not_come_up_is_asked_for_ever_more_rarely(
    scaler: Autoscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(clock, "monotonic", lambda: now)
    waits = []
    for revision in range(2, 9):
        scaler._wrote = revision
        scaler._watch_last(stopped(revision))
        waits.append(scaler._not_before - now)
    assert waits == [SHORTEST, 30.0, 60.0, 120.0, 240.0, LONGEST, LONGEST]
    scaler._wrote = 20
    scaler._watch_last(FleetState("f", "local", 0.0))  # as many are ready as are wanted
    scaler._wrote = 21
    scaler._watch_last(stopped(21))
    assert scaler._not_before - now == SHORTEST


def test_somebody_elses_failed_change_is_not_its_own(scaler: Autoscaler) -> None:
    scaler._wrote = 5
    scaler._watch_last(stopped(4))
    assert scaler._not_before == 0.0


SHOWN = Scaling("f Fleet/f", 1, 3, 2, 2, (), "it keeps 2", 0.0, "to 1 in 60 s, if the figures stay")


def test_what_it_knew_it_knows_again_but_not_of_another_boot(scaler: Autoscaler) -> None:
    folder = scaler.fleet.target.folder
    history = History((Recommendation(3, 50.0),), desired=3)
    told = autoscaling.Told(clock.now(), clock.monotonic(), 15.0, SHOWN, memory.to_plain(history))
    autoscaling.tell(folder, told)
    assert Autoscaler("f")._history == history
    autoscaling.tell(folder, replace(told, clock=clock.monotonic() + 1e6))
    assert Autoscaler("f")._history == History()
    folder.autoscaler_file.write_text("{")
    assert Autoscaler("f")._history.recommendations in (None, history.recommendations)


def test_one_that_is_silent_is_told_as_that(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    assert autoscaling.told(folder) is None
    autoscaling.tell(folder, autoscaling.Told(clock.now(), 0.0, 15.0, SHOWN))
    assert autoscaling.told(folder) == SHOWN
    autoscaling.tell(folder, autoscaling.Told(clock.now() - 100, 0.0, 15.0, SHOWN))
    found = autoscaling.told(folder)
    assert found is not None
    assert found.reason.startswith("the autoscaler has not decided for 100 s; it said: it keeps 2")
    assert found.soon == ""
