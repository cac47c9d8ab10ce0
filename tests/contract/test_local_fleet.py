"""A fleet on this machine, with simulated engines: every verb, every way to end, by real processes and
sockets."""

import os
import signal
import subprocess
import time
from collections.abc import Callable

import httpx2
import psutil
import pytest
from tests.conftest import Stoker

Wait = Callable[..., None]


def ask(stoker: Stoker, **fields: object) -> httpx2.Response:
    body = {"model": "model", "messages": [{"role": "user", "content": "one two three"}], **fields}
    return httpx2.post(f"{stoker.url}/v1/chat/completions", json=body, timeout=60)


def test_up_serves_status_tells_down_leaves_nothing(stoker: Stoker) -> None:
    up = stoker("up", "-d", "-f", stoker.spec())
    assert up.code == 0, up.err
    assert f"{stoker.url}/v1" in up.out
    assert ask(stoker).status_code == 200
    state = stoker.state()
    assert (state["name"], state["endpoint"]) == ("sim", stoker.url)
    assert [(r["name"], r["phase"]) for r in state["replicas"]] == [("1", "Ready")]
    assert psutil.pid_exists(state["replicas"][0]["ranks"][0]["pid"])
    assert stoker("down").code == 0
    assert stoker.processes() == []
    assert stoker("status").code == 2


def test_another_key_is_in_force_after_the_next_up(stoker: Stoker) -> None:
    def asked(key: str) -> int:
        headers = {"Authorization": f"Bearer {key}"}
        return httpx2.get(f"{stoker.url}/v1/models", headers=headers, timeout=10).status_code

    spec = stoker.spec(endpoint={"port": stoker.port, "page": False, "api_key": "env:FLEET_KEY"})
    stoker.env["FLEET_KEY"] = "first"
    assert stoker("up", "-d", "-f", spec).code == 0
    engine = stoker.state()["replicas"][0]["ranks"]
    assert (asked("first"), asked("second")) == (200, 401)
    stoker.env["FLEET_KEY"] = "second"
    ran = stoker("up", "-d", "-f", spec)
    assert ran.code == 0, ran.err
    assert (asked("first"), asked("second")) == (401, 200)
    assert stoker.state()["replicas"][0]["ranks"] == engine, "the engine has a key of its own"


def test_a_second_up_changes_nothing_and_prints_the_box(stoker: Stoker) -> None:
    spec = stoker.spec()
    stoker("up", "-d", "-f", spec)
    before = stoker.state()
    begun = time.monotonic()
    again = stoker("up", "-f", spec)
    assert again.code == 0
    assert stoker.url in again.out
    assert time.monotonic() - begun < 30
    assert stoker.state()["replicas"][0]["ranks"] == before["replicas"][0]["ranks"]
    assert stoker.state()["revision"] == before["revision"]


def test_another_spec_under_the_same_name_says_what_would_change(stoker: Stoker) -> None:
    spec = stoker.spec()
    stoker("up", "-d", "-f", spec)
    other = stoker("up", "-d", "-f", spec, "--set", "endpoint.queue_timeout=5s")
    assert other.code == 2
    assert "endpoint.queue_timeout: 30.0 -> 5.0" in other.err
    changed = stoker("up", "-d", "-y", "-f", spec, "--set", "endpoint.queue_timeout=5s")
    assert changed.code == 0, changed.err
    assert ask(stoker).status_code == 200


def test_scale_up_and_down(stoker: Stoker) -> None:
    stoker("up", "-d", "-f", stoker.spec())
    assert stoker("scale", "3").code == 0
    assert [r["phase"] for r in stoker.state()["replicas"]] == ["Ready"] * 3
    assert stoker("scale", "1").code == 0
    assert [r["name"] for r in stoker.state()["replicas"]] == ["1"]


def test_restart_replaces_every_replica_and_loses_no_request(stoker: Stoker) -> None:
    stoker("up", "-d", "-f", stoker.spec(replicas=2, simulate={"ttft": 0.05, "itl": 0.01}))
    before = {r["ranks"][0]["pid"] for r in stoker.state()["replicas"]}
    restart = stoker.popen("restart")
    codes = []
    while restart.poll() is None:
        codes.append(ask(stoker, max_tokens=5).status_code)
    assert restart.returncode == 0
    after = {r["ranks"][0]["pid"] for r in stoker.state()["replicas"]}
    assert not before & after
    assert len(codes) > 3
    assert set(codes) == {200}


def test_a_single_replica_is_replaced_without_a_gap(stoker: Stoker) -> None:
    stoker("up", "-d", "-f", stoker.spec(simulate={"start_seconds": 3.0}, endpoint={"queue_timeout": 1.0}))
    restart = stoker.popen("restart")
    codes = set()
    while restart.poll() is None:
        codes.add(ask(stoker).status_code)
    assert codes == {200}


def test_a_killed_replica_comes_back_and_the_restart_is_counted(stoker: Stoker, wait_until: Wait) -> None:
    stoker("up", "-d", "-f", stoker.spec())
    pid = stoker.state()["replicas"][0]["ranks"][0]["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    assert ask(stoker).status_code == 200  # held until it is back
    replica = stoker.state()["replicas"][0]
    assert replica["restarts"] == 1
    assert "SIGKILL" in replica["last_error"]


def test_a_restart_keeps_the_log_of_the_life_before(stoker: Stoker, wait_until: Wait) -> None:
    stoker("up", "-d", "-f", stoker.spec())
    assert "no earlier life" in stoker("logs", "1", "--previous").err
    first = stoker("logs", "1").out
    pid = stoker.state()["replicas"][0]["ranks"][0]["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_until(
        lambda: (found := stoker.state()["replicas"][0])["restarts"] == 1 and found["phase"] == "Ready"
    )
    assert stoker("logs", "1", "--previous").out == first
    assert f"pid={pid}" in first
    assert f"pid={pid}" not in stoker("logs", "1").out
    stoker("restart")
    assert f"pid={pid}" not in stoker("logs", "1", "-p").out, "a restart asked for begins a life, too"


def test_the_supervisor_killed_the_fleet_goes_on_and_the_next_verb_adopts_it(
    stoker: Stoker, wait_until: Wait
) -> None:
    ran = stoker("up", "-d", "-f", stoker.spec(replicas=2))
    assert ran.code == 0, ran.err
    before = stoker.state()
    supervisor = next(p for p in stoker.processes() if "stoker.targets.local.supervisor" in p.cmdline())
    supervisor.kill()
    wait_until(lambda: not supervisor.is_running() or supervisor.status() == psutil.STATUS_ZOMBIE)
    assert ask(stoker).status_code == 200
    after = stoker.state()
    assert after["supervised"]
    pids = [[r["ranks"][0]["pid"] for r in state["replicas"]] for state in (before, after)]
    assert pids[0] == pids[1]
    assert [s["pid"] for s in before["services"]] == [s["pid"] for s in after["services"]]
    os.kill(pids[1][0], signal.SIGKILL)  # what was adopted is watched
    wait_until(lambda: stoker.state()["replicas"][0]["restarts"] == 1)


def test_a_failed_start_ends_with_the_reason_and_leaves_nothing(stoker: Stoker) -> None:
    ran = stoker("up", "-f", stoker.spec(simulate={"faults": {"fail_start": "ValueError: the moon is full"}}))
    assert ran.code == 1
    assert "the moon is full" in ran.err
    assert stoker.processes() == []


def test_a_taken_port_names_its_owner(stoker: Stoker) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", stoker.port))
        taken.listen()
        ran = stoker("up", "-d", "-f", stoker.spec())
    assert ran.code == 2
    assert f"port {stoker.port} is taken" in ran.err
    assert str(os.getpid()) in ran.err
    assert stoker.processes() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_attached_up_stops_the_fleet_when_it_is_stopped(
    stoker: Stoker, wait_until: Wait, number: signal.Signals
) -> None:
    up = stoker.popen("up", "-f", stoker.spec())
    wait_until(lambda: "Ctrl-C" in stoker.said)  # the last line of its box
    up.send_signal(number)
    assert up.wait(30) == 0
    assert stoker.processes() == []


EARLY = ("Fatal Python error: init", "Could not import runpy")  # Python's own words, before it runs anything


@pytest.mark.parametrize("delay", [0.0, 0.3, 0.6, 0.9])
def test_ctrl_c_in_any_stage_leaves_nothing(stoker: Stoker, delay: float) -> None:
    up = stoker.popen("up", "-f", stoker.spec(simulate={"start_seconds": 3.0}))
    time.sleep(delay)
    up.send_signal(signal.SIGINT)
    code = up.wait(30)  # Python itself, interrupted before it runs anything, ends with 1
    assert code in (130, -signal.SIGINT) or (code == 1 and any(one in stoker.said for one in EARLY)), (
        stoker.said
    )
    assert stoker.processes() == []


def test_drain_lets_a_running_stream_finish(stoker: Stoker) -> None:
    stoker("up", "-d", "-f", stoker.spec(simulate={"itl": 0.1}))
    body = {
        "model": "model",
        "messages": [{"role": "user", "content": "a"}],
        "stream": True,
        "max_tokens": 15,
        "ignore_eos": True,
    }
    with httpx2.stream("POST", f"{stoker.url}/v1/chat/completions", json=body, timeout=30) as stream:
        lines = stream.iter_lines()
        next(lines)
        down = stoker.popen("down")
        rest = list(lines)
    assert rest[-2:] == ["data: [DONE]", ""] or "data: [DONE]" in rest
    assert "error" not in "".join(rest)
    assert down.wait(60) == 0


def test_two_fleets_have_their_own_ports_and_names(stoker: Stoker) -> None:
    first = stoker.spec("one")
    stoker("up", "-d", "-f", first)
    taken = stoker.port
    second = stoker("up", "-d", "-f", stoker.spec("two"))
    assert second.code == 2  # the port
    assert stoker("up", "-d", "-f", stoker.spec("two"), "--set", f"endpoint.port={taken + 1}").code == 0
    assert [f["name"] for f in stoker("status", "-A", "-o", "json").json()] == ["one", "two"]
    assert stoker("down").code == 2  # which one?
    assert stoker("down", "--name", "one").code == 0
    assert [f["name"] for f in stoker("status", "-A", "-o", "json").json()] == ["two"]


def test_secrets_are_in_no_argument_and_no_open_file(stoker: Stoker) -> None:
    spec = stoker.spec(endpoint={"api_key": "env:FLEET_KEY"})
    assert stoker("up", "-d", "-f", spec).code == 2  # not set
    assert stoker("up", "-d", "-f", spec, FLEET_KEY="sesame-open").code == 0
    listing = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert "sesame-open" not in listing
    folder = stoker.home / "state" / "fleets" / "sim"
    assert (folder.stat().st_mode & 0o777) == 0o700
    for path in folder.rglob("*"):
        if path.is_file() and b"sesame-open" in path.read_bytes():
            assert (path.stat().st_mode & 0o777) == 0o600
            assert path.name in ("endpoint.key", ".endpoint.key.previous")
    assert ask(stoker).status_code == 401
    assert httpx2.get(f"{stoker.url}/health").status_code == 200


def test_down_lets_a_long_answer_finish_and_refuses_new_requests_at_once(
    stoker: Stoker, wait_until: Wait
) -> None:
    stoker("up", "-d", "-f", stoker.spec(simulate={"itl": 0.05}))
    body = {
        "model": "model",
        "messages": [{"role": "user", "content": "a"}],
        "stream": True,
        "max_tokens": 300,
        "ignore_eos": True,
    }
    with httpx2.stream("POST", f"{stoker.url}/v1/chat/completions", json=body, timeout=60) as stream:
        lines = stream.iter_lines()
        next(lines)
        down = stoker.popen("down")
        wait_until(lambda: stoker.state()["replicas"][0]["phase"] == "Draining")
        begun = time.monotonic()
        refused = ask(stoker)
        assert (refused.status_code, "being stopped" in refused.text) == (503, True)
        assert time.monotonic() - begun < 30
        rest = list(lines)
    assert "data: [DONE]" in rest
    assert down.wait(60) == 0
    assert stoker.processes() == []


def test_a_plan_that_changes_again_while_a_replica_starts_wastes_no_start(
    stoker: Stoker, wait_until: Wait
) -> None:
    spec = stoker.spec(simulate={"start_seconds": 0.05})
    stoker("up", "-d", "-f", spec)
    first = stoker.state()["replicas"][0]["ranks"][0]["pid"]
    slow = ("--set", "engine.simulate.start_seconds=60")
    changing = stoker.popen("up", "-d", "-y", "-f", spec, *slow)
    wait_until(lambda: len(stoker.state()["replicas"]) == 2)  # its successor starts beside it
    changing.send_signal(signal.SIGINT)
    changing.wait(30)
    back = stoker("up", "-d", "-y", "-f", spec)
    assert back.code == 0, back.err
    wait_until(lambda: [r["ranks"][0]["pid"] for r in stoker.state()["replicas"]] == [first])


def test_a_second_ctrl_c_cuts_what_still_runs(stoker: Stoker, wait_until: Wait) -> None:
    attached = stoker.popen("up", "-f", stoker.spec(simulate={"itl": 0.5}))
    wait_until(lambda: "Ctrl-C" in stoker.said)  # it is attached
    body = {
        "model": "model",
        "messages": [{"role": "user", "content": "a"}],
        "stream": True,
        "max_tokens": 500,
        "ignore_eos": True,
    }
    with httpx2.stream("POST", f"{stoker.url}/v1/chat/completions", json=body, timeout=60) as stream:
        lines = stream.iter_lines()
        next(lines)
        attached.send_signal(signal.SIGINT)
        wait_until(lambda: stoker.state()["replicas"][0]["phase"] == "Draining")
        assert attached.poll() is None
        attached.send_signal(signal.SIGINT)
        rest = list(lines)
    assert "error" in "".join(rest)
    assert attached.wait(30) == 0
    assert stoker.processes() == []
