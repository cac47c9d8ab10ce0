"""What the supervisor decides, as values: who is replaced, when it stops, how a child leaves, what counts as
hung."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stoker.findings import Finding
from stoker.fleet.process import Process, Wanted
from stoker.fleet.state import Sample
from stoker.system import clock
from stoker.system.proc import ProcessId
from stoker.targets.gateway.config import Seen
from stoker.targets.gateway.features import asked_for
from stoker.targets.local import draining, restarts, watch
from stoker.targets.local.child import Child
from stoker.targets.local.draining import Leaving
from stoker.targets.local.folder import Folder
from stoker.targets.local.process_marks import Mark
from stoker.targets.local.replacing import gateway_steps, to_replace
from stoker.targets.local.rollout import Rollouts

GATEWAY = Process("gateway", "gateway", ("g",), port=8000)
PORT = ProcessId(1, 1.0)


def engine(name: str, option: str = "", surge: bool = False) -> Process:
    return Process("engine", name, ("e", option), routed=True, surge=surge)


def wanted(revision: int, *processes: Process) -> Wanted:
    return Wanted(revision, "shop", processes, spec={"options": processes[0].argv[-1] if processes else ""})


def child(process: Process, phase: Any = "Ready", generation: int = 1, restart: int = 0) -> Child:
    made = Child(process, generation, f"{process.fingerprint}/{restart}", Path("/logs"))
    made.id, made.port = PORT, process.port or 9000
    made.become(phase)
    made.since = 0.0  # for long
    return made


# rollouts


def test_with_no_gpu_to_spare_a_failed_successor_keeps_the_other_where_it_is() -> None:
    old, new = [engine("1"), engine("2")], [engine("1", "x"), engine("2", "x")]
    failed = child(new[0], "Failed")
    failed.id = None
    assert to_replace(wanted(2, *new), [failed, child(old[1])]) == []


def test_with_room_beside_a_failed_successor_is_not_started_again_and_again() -> None:
    old, new = engine("1", surge=True), engine("1", "x", surge=True)
    failed = child(new, "Failed", generation=2)
    failed.id = None
    assert to_replace(wanted(2, new), [child(old), failed]) == []


def rollouts(tmp_path: Path, first: Wanted, children: list[Child]) -> Rollouts:
    folder = Folder(tmp_path)
    made = Rollouts(folder)
    made.look(first, children)
    return made


def test_a_change_is_stopped_by_its_first_failure_and_what_was_ready_is_led_to(tmp_path: Path) -> None:
    first, second = wanted(1, engine("1")), wanted(2, engine("1", "x"))
    made = rollouts(tmp_path, first, [child(engine("1"))])
    broken = child(engine("1", "x"), "Starting")
    assert made.is_new(broken, second)
    made.stop(broken, Finding("the moon is full", rule="engine-error"), second)
    assert made.led(second) == first
    assert (made.stopped and made.stopped.serving) == 1
    third = wanted(3, engine("1", "y"))
    assert made.led(third) == third  # another change is another try
    assert made.stopped is None


def test_what_served_before_is_no_change_and_its_crash_stops_nothing(tmp_path: Path) -> None:
    first = wanted(1, engine("1"), engine("2"))
    made = rollouts(tmp_path, first, [child(engine("1")), child(engine("2"))])
    grown = wanted(2, engine("1"), engine("2"), engine("3"))
    assert not made.is_new(child(engine("1")), grown)
    assert made.is_new(child(engine("3"), "Starting"), grown)
    assert not made.is_new(child(engine("1")), first)


def test_a_fleet_that_was_never_ready_has_nothing_to_go_back_to(tmp_path: Path) -> None:
    made = Rollouts(Folder(tmp_path))
    first = wanted(1, engine("1"))
    assert not made.is_new(child(engine("1"), "Starting"), first)
    made.look(first, [child(engine("1"), "Starting")])
    assert made.last is None


def test_one_generation_a_spec_whatever_is_scaled(tmp_path: Path) -> None:
    first = wanted(1, engine("1"))
    made = rollouts(tmp_path, first, [child(engine("1"))])
    made.look(
        replace(first, revision=2, processes=(engine("1"), engine("2"))),
        [child(engine("1")), child(engine("2"))],
    )
    made.look(wanted(3, engine("1", "x")), [child(engine("1", "x"))])
    assert [one.revision for one in Folder(tmp_path).generations()] == [2, 3]


def test_failures_are_counted_by_life_and_a_healthy_old_one_hides_none() -> None:
    failures = restarts.Failures()
    old, new = child(engine("1")), child(engine("1", "x"), "Starting")
    for _ in range(restarts.NEW_FAILURES):
        assert not failures.give_up(new, -9, new=True)
        failures.steady(old)
    assert failures.give_up(new, -9, new=True)


def test_what_is_ready_and_dies_takes_one_replica_and_not_the_fleet(tmp_path: Path) -> None:
    old, new = [engine("1"), engine("2")], [engine("1", "x"), engine("2", "x")]
    fresh = child(new[0])
    fresh.since = clock.now()
    assert to_replace(wanted(2, *new), [fresh, child(old[1])]) == []
    fresh.since = clock.now() - 60
    assert [one and one.process for one, _ in to_replace(wanted(2, *new), [fresh, child(old[1])])] == [old[1]]
    made = rollouts(tmp_path, wanted(1, *old), [child(one) for one in old])
    both = [child(one) for one in new]
    both[0].since = clock.now()
    made.look(wanted(2, *new), both)
    assert (made.last and made.last.revision) == 1  # it has yet to show that it stays
    made.superseded(wanted(2, *new), both)  # somebody asks for the next already, and it is ready
    assert (made.last and made.last.revision) == 2


def test_a_number_that_is_another_process_by_now_is_not_signalled(gone: list[int], monkeypatch: Any) -> None:
    monkeypatch.setattr("stoker.targets.local.child.started_at", lambda _: PORT.started + 5)
    one = child(engine("1"))
    one.terminate()
    one.kill()
    assert gone == []


# the gateway


def test_beside_the_gateway_that_answers_another_one_stands_by() -> None:
    stamp = f"{GATEWAY.fingerprint}/0"
    active = child(GATEWAY)
    (step,) = gateway_steps(GATEWAY, stamp, [active], [])
    assert (step.what, step.standby) == ("start", True)
    spare = child(GATEWAY, "Starting", 2)
    spare.standby = True
    assert gateway_steps(GATEWAY, stamp, [active, spare], [spare]) == []
    assert [s.what for s in gateway_steps(GATEWAY, stamp, [spare], [spare])] == ["promote"]


def test_a_gateway_goes_only_once_its_successor_waits_for_its_place() -> None:
    new = replace(GATEWAY, env={"STOKER_GATEWAY": "other"})
    stamp = f"{new.fingerprint}/0"
    active, old_spare, spare = child(GATEWAY), child(GATEWAY, "Starting", 2), child(new, "Starting", 3)
    old_spare.standby = spare.standby = True
    assert [s.what for s in gateway_steps(new, stamp, [active, old_spare], [old_spare])] == ["leave", "start"]
    assert gateway_steps(new, stamp, [active, spare], []) == []
    steps = gateway_steps(new, stamp, [active, spare], [spare])
    assert [(s.what, s.child) for s in steps] == [("leave", active), ("promote", spare)]


def test_at_another_port_it_answers_beside_the_old_one_first() -> None:
    new = replace(GATEWAY, port=8001)
    stamp = f"{new.fingerprint}/0"
    active = child(GATEWAY)
    assert [s.what for s in gateway_steps(new, stamp, [active], [])] == ["start"]
    successor = child(new, "Starting", 2)
    assert [s.what for s in gateway_steps(new, stamp, [active, successor], [])] == []
    successor.become("Ready")
    assert [(s.what, s.child) for s in gateway_steps(new, stamp, [active, successor], [])] == [
        ("leave", active)
    ]


def test_the_same_port_at_another_address_has_to_be_free_first() -> None:
    new = replace(GATEWAY, host="0.0.0.0")
    assert [s.what for s in gateway_steps(new, f"{new.fingerprint}/0", [child(GATEWAY)], [])] == ["leave"]


# leaving


class Quiet:
    """A watch whose engine says nothing: it hangs."""

    async def idle(self) -> bool:
        return False


def step(one: Leaving, seen: Seen | None, drain: float = 300.0) -> None:
    asyncio.run(one.step(drain, seen))


@pytest.fixture
def gone(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    signals: list[int] = []

    def note(pid: int, number: int) -> bool:
        signals.append(number)
        return True

    monkeypatch.setattr("stoker.targets.local.child.signal_group", note)
    monkeypatch.setattr("stoker.targets.local.child.started_at", lambda _: PORT.started)
    return signals


def test_a_hung_engine_with_nothing_in_flight_does_not_wait_for_the_drain_timeout(
    monkeypatch: pytest.MonkeyPatch, gone: list[int]
) -> None:
    monkeypatch.setattr(draining, "SETTLE_SECONDS", -1.0)  # over at once
    one = child(engine("1"))
    one.leave()
    way = Leaving(one, Quiet(), revision=3)  # type: ignore[arg-type]
    step(way, Seen(2, {}))
    assert gone == []  # the gateway may still send to it
    step(way, Seen(3, {one.route: 1}))
    assert gone == []
    step(way, Seen(3, {}))
    assert gone


def test_what_is_not_finished_in_time_is_ended_by_the_gateway_before_the_engine_is_told(
    gone: list[int],
) -> None:
    one = child(engine("1"))
    one.leave()
    way = Leaving(one, Quiet(), revision=0)  # type: ignore[arg-type]
    step(way, Seen(1, {one.route: 2}), drain=0.0)
    assert (one.cut, gone) == (True, [])  # the routes tell the gateway
    step(way, Seen(2, {one.route: 1}), drain=0.0)
    assert gone == []
    step(way, Seen(2, {}), drain=0.0)
    assert gone


# what hangs


class Asked:
    """A canary that is on its way."""

    def done(self) -> bool:
        return False


def watched(monkeypatch: pytest.MonkeyPatch, child: Child) -> watch.Watch:
    made = object.__new__(watch.Watch)
    made.child, made.hung, made.silent_since = child, None, None
    made._moved, made._proved, made._canary = (None, 0.0), 0.0, Asked()  # type: ignore[assignment]
    return made


IDLE = Sample(0.0, running=0, waiting=0, kv_cache_usage=0.0, generation_tokens=5)


@pytest.mark.parametrize(
    ("what", "samples", "silent", "hung"),
    [
        ("idle", [IDLE, IDLE], None, False),
        ("a hang that began while it was idle: its gauges say so for ever", [IDLE, IDLE], 10.0, True),
        (
            "requests wait, and its cache fills: a long prompt",
            [IDLE, replace(IDLE, kv_cache_usage=0.2)],
            10.0,
            False,
        ),
        ("by its own word requests run, and nothing moves", [replace(IDLE, running=1)] * 2, None, True),
        ("a request that has just come", [IDLE, IDLE], 195.0, False),
    ],
)
def test_hung_is_who_has_requests_and_shows_no_sign_of_work(
    monkeypatch: pytest.MonkeyPatch, what: str, samples: list[Sample], silent: float | None, hung: bool
) -> None:
    one = child(engine("1"))
    looker = watched(monkeypatch, one)
    for now, sample in zip((10.0, 200.0), samples, strict=True):
        monkeypatch.setattr("time.monotonic", lambda now=now: now)
        one.sample, looker.silent_since = sample, silent
        looker._check_progress()
    assert bool(looker.hung) is hung, what


# what clients ask for


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (b'{"logprobs": true, "top_logprobs": 3}', {"logprobs"}),
        (b'{"logprobs": 5}', {"logprobs"}),
        (b'{"logprobs": 0}', {"logprobs"}),
        (b'{"logprobs": false, "prompt": "a"}', set()),
        (b'{"prompt_logprobs": 0}', {"prompt_logprobs"}),
        (b'{"response_format": {"type": "json_object"}}', {"json_schema"}),
        (b'{"response_format": {"type": "text"}}', set()),
        (b'{"structured_outputs": {"regex": "a"}}', {"json_schema"}),
        (b"", set()),
    ],
)
def test_what_a_request_asks_for_is_read_off_its_body(body: bytes, names: set[str]) -> None:
    assert asked_for(body, frozenset()) == names
    assert asked_for(body, frozenset(names)) == set()


# marks


def test_a_process_names_itself_out_and_back(tmp_path: Path) -> None:
    mark = Mark(tmp_path, "engine-2", 7, "abc/0", 9000)
    assert Mark.read(mark.environment()) == mark
    assert Mark.read({"STOKER_FLEET": str(tmp_path)}) is None
    assert (mark.role, mark.process() and mark.process().name) == ("engine", "2")  # type: ignore[union-attr]
