"""A change that fails: the first replacement that does not come up stops it, and the fleet goes on as it
was."""

import contextlib
import os
import signal
import time
from typing import Any

import httpx2
from tests.conftest import Stoker

BROKEN = ("--set", 'engine.simulate.faults={fail_start: "ValueError: the moon is full"}')


def ask(stoker: Stoker) -> int:
    body = {"model": "model", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 3}
    return httpx2.post(f"{stoker.url}/v1/chat/completions", json=body, timeout=60).status_code


def pids(state: dict[str, Any]) -> list[int]:
    return [replica["ranks"][0]["pid"] for replica in state["replicas"]]


def test_the_first_failure_stops_a_rollout_and_up_ends_with_its_cause(stoker: Stoker) -> None:
    spec = stoker.spec(replicas=2)
    assert stoker("up", "-d", "-f", spec).code == 0
    second = pids(stoker.state())[1]
    ran = stoker("up", "-d", "-y", "-f", spec, *BROKEN)
    assert (ran.code, "the moon is full" in ran.err, "serves on as before" in ran.err) == (1, True, True)
    state = stoker.state()
    assert second in pids(state)  # the other of the old generation has never gone
    assert state["stopped"]["serving"] < state["stopped"]["revision"]
    assert "the moon is full" in state["stopped"]["last_error"]
    assert ask(stoker) == 200


def test_what_was_replaced_comes_back_with_the_old_spec_by_itself(stoker: Stoker, wait_until: Any) -> None:
    spec = stoker.spec(replicas=2)
    stoker("up", "-d", "-f", spec)
    stoker("up", "-d", "-y", "-f", spec, *BROKEN)
    wait_until(lambda: [one["phase"] for one in stoker.state()["replicas"]] == ["Ready", "Ready"])
    assert httpx2.get(f"{stoker.url}/health").status_code == 200
    assert stoker("why").out.count("the moon is full") >= 1


def test_a_stopped_rollout_starts_nothing_more(stoker: Stoker, wait_until: Any) -> None:
    spec = stoker.spec()
    stoker("up", "-d", "-f", spec)
    stoker("up", "-d", "-y", "-f", spec, *BROKEN)
    log = stoker.home / "state" / "fleets" / "sim" / "logs" / "supervisor.log"
    wait_until(lambda: stoker.state()["stopped"] is not None)
    before = log.read_text().count("engine-1 started")
    time.sleep(3)  # successors were started every second or two
    assert log.read_text().count("engine-1 started") == before
    assert len(stoker.state()["replicas"]) == 1


def test_the_old_file_again_is_no_change_and_the_mended_one_rolls_out(stoker: Stoker) -> None:
    spec = stoker.spec()
    stoker("up", "-d", "-f", spec)
    before = pids(stoker.state())
    stoker("up", "-d", "-y", "-f", spec, *BROKEN)
    assert stoker("up", "-d", "-f", spec).code == 0  # without -y: it is what serves
    assert (pids(stoker.state()), stoker.state()["stopped"]) == (before, None)
    assert stoker("up", "-d", "-y", "-f", spec, *BROKEN).code == 1
    mended = stoker("up", "-d", "-y", "-f", spec, "--set", "engine.simulate.ttft=0.01")
    assert mended.code == 0, mended.err
    assert pids(stoker.state()) != before


def test_rollback_goes_to_what_was_ready_before_and_keeps_the_count(stoker: Stoker) -> None:
    spec = stoker.spec(replicas="1..3", scaling={"metrics": {"queue-depth": 5}})
    first = ("--set", "engine.simulate.ttft=0.01")
    stoker("up", "-d", "-f", spec, *first)
    stoker("up", "-d", "-y", "-f", spec, "--set", "engine.simulate.ttft=0.02")
    assert stoker("scale", "2").code == 0
    back = stoker("rollback")
    assert back.code == 0, back.err
    assert len(stoker.state()["replicas"]) == 2
    assert stoker("up", "-d", "-f", spec, *first).code == 0  # it is what runs, so that nobody is asked


def test_rollback_of_a_stopped_change_drops_it(stoker: Stoker) -> None:
    spec = stoker.spec()
    stoker("up", "-d", "-f", spec)
    before = pids(stoker.state())
    stoker("up", "-d", "-y", "-f", spec, *BROKEN)
    assert stoker("rollback").code == 0
    assert (pids(stoker.state()), stoker.state()["stopped"]) == (before, None)


def test_a_fleet_that_was_ready_with_nothing_else_has_nothing_to_go_back_to(stoker: Stoker) -> None:
    stoker("up", "-d", "-f", stoker.spec())
    ran = stoker("rollback")
    assert (ran.code, "other spec" in ran.err) == (2, True)
    assert stoker("rollback", "--to", "77").code == 2


def test_of_two_ups_at_once_the_second_asks(stoker: Stoker, wait_until: Any) -> None:
    slow = stoker.spec(simulate={"start_seconds": 2.0})
    first = stoker.popen("up", "-d", "-f", slow)
    wait_until(lambda: (stoker.home / "state" / "fleets" / "sim" / "wanted.json").exists())
    ran = stoker("up", "-d", "-f", slow, "--set", "engine.simulate.ttft=0.5")
    assert (ran.code, "runs another spec" in ran.err) == (2, True)
    assert first.wait(60) == 0


def test_scale_and_restart_need_no_key_that_the_fleet_has(stoker: Stoker) -> None:
    spec = stoker.spec(endpoint={"api_key": "env:FLEET_KEY"})
    assert stoker("up", "-d", "-f", spec, FLEET_KEY="sesame-open").code == 0
    assert stoker("scale", "2").code == 0
    assert stoker("restart").code == 0
    answer = httpx2.get(f"{stoker.url}/v1/models", headers={"Authorization": "Bearer sesame-open"})
    assert answer.status_code == 200


def test_a_replacement_that_hangs_in_its_first_request_stops_the_change(
    stoker: Stoker, wait_until: Any
) -> None:
    spec = stoker.spec(replicas=2, stall_timeout="3s")
    stoker("up", "-d", "-f", spec)
    second = pids(stoker.state())[1]
    ran = stoker("up", "-d", "-y", "-f", spec, "--set", "engine.simulate.faults={stall: true}")
    assert (ran.code, "first requests were not answered" in ran.err) == (1, True), ran.err
    wait_until(lambda: [one["phase"] for one in stoker.state()["replicas"]] == ["Ready", "Ready"])
    assert second in pids(stoker.state())


def test_a_replacement_that_gets_ready_and_dies_takes_one_replica_and_not_the_fleet(
    stoker: Stoker, wait_until: Any
) -> None:
    spec = stoker.spec(replicas=2)
    stoker("up", "-d", "-f", spec)
    second = pids(stoker.state())[1]
    ran = stoker("up", "-d", "-y", "-f", spec, "--set", "engine.simulate.faults={die_after_seconds: 1}")
    assert (ran.code, "the change was stopped" in ran.err) == (1, True), ran.err
    wait_until(lambda: [one["phase"] for one in stoker.state()["replicas"]] == ["Ready", "Ready"])
    assert second in pids(stoker.state())


def test_a_hung_engine_is_found_though_its_clients_give_up(stoker: Stoker, wait_until: Any) -> None:
    spec = stoker.spec(stall_timeout="5s", simulate={"faults": {"stall_after_requests": 3}})
    stoker("up", "-d", "-f", spec)
    body = {"model": "model", "prompt": "a", "max_tokens": 2}

    def ask_once() -> None:
        with contextlib.suppress(httpx2.TimeoutException):
            httpx2.post(f"{stoker.url}/v1/completions", json=body, timeout=1)

    def restarted() -> bool:
        ask_once()
        return bool(stoker.state()["replicas"][0]["restarts"])

    wait_until(restarted, 90)


def test_what_was_ready_is_written_again_where_somebody_removed_it(stoker: Stoker, wait_until: Any) -> None:
    stoker("up", "-d", "-f", stoker.spec())
    file = stoker.home / "state" / "fleets" / "sim" / "generations.json"
    wait_until(file.exists)
    for damage in (file.unlink, lambda: file.write_text("{}"), lambda: file.write_bytes(b"")):
        damage()
        wait_until(lambda: file.exists() and '"generations"' in file.read_text())


def test_who_serves_comes_back_as_it_was_though_nobody_knows_what_was_ready(
    stoker: Stoker, wait_until: Any
) -> None:
    spec = stoker.spec(replicas=2)
    stoker("up", "-d", "-f", spec)
    folder = stoker.home / "state" / "fleets" / "sim"
    assert stoker("up", "-d", "-y", "-f", spec, *BROKEN).code == 1
    os.kill(int((folder / "supervisor.lock").read_text()), signal.SIGKILL)
    for file in (folder / "generations.json", folder / ".generations.json.previous"):
        file.unlink(missing_ok=True)
    stoker("status")  # another supervisor takes over, and leads to what is wanted: the broken change
    wait_until(lambda: [one["phase"] for one in stoker.state()["replicas"]].count("Failed") == 1)
    serving = next(one for one in stoker.state()["replicas"] if one["phase"] == "Ready")
    os.kill(serving["ranks"][0]["pid"], signal.SIGKILL)
    wait_until(lambda: [one["phase"] for one in stoker.state()["replicas"]].count("Ready") == 1)
    assert ask(stoker) == 200
