"""A fleet whose files are damaged, or cannot be written: it goes on, it is never killed, and it can be taken
down."""

import contextlib
import os
import resource
import shutil
import signal
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from tests.conftest import Stoker

FILES = ("wanted.json", "state.json", "routes.json", "generations.json")
DAMAGES = {
    "cut short": lambda text: text[: len(text) // 2],
    "emptied": lambda _: "",
    "zeroed": lambda text: "\0" * len(text),
    "another program's": lambda _: '{"a": [1, 2]}',
    "changed": lambda text: text.replace("1", "2"),
}


def folder(stoker: Stoker, name: str = "sim") -> Path:
    return stoker.home / "state" / "fleets" / name


def remove(path: Path) -> None:
    """Takes a folder away under programs that write into it: a file may come in between looking and
    removing."""
    for _ in range(100):
        with contextlib.suppress(OSError):
            shutil.rmtree(path)
            return
    shutil.rmtree(path)


def served(stoker: Stoker) -> bool:
    body = {"model": "model", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 3}
    return httpx2.post(f"{stoker.url}/v1/chat/completions", json=body, timeout=60).status_code == 200


def engines(stoker: Stoker) -> set[int]:
    return {p.pid for p in stoker.processes() if "stoker.targets.simulated" in p.cmdline()}


def supervisor(stoker: Stoker) -> psutil.Process:
    return next(p for p in stoker.processes() if "stoker.targets.local.supervisor" in p.cmdline())


def kill_supervisor(stoker: Stoker, wait_until: Any) -> None:
    victim = supervisor(stoker)
    victim.kill()
    wait_until(lambda: not victim.is_running() or victim.status() == psutil.STATUS_ZOMBIE)


def damage(stoker: Stoker, how: str, files: tuple[str, ...] = FILES) -> None:
    for name in files:
        path = folder(stoker) / name
        path.write_text(DAMAGES[how](path.read_text()))


@pytest.mark.parametrize("how", DAMAGES)
def test_damaged_under_a_living_supervisor_all_is_as_it_was(
    stoker: Stoker, how: str, wait_until: Any
) -> None:
    stoker("up", "-d", "-f", stoker.spec(replicas=2))
    before = engines(stoker)
    damage(stoker, how)
    assert len(stoker.state()["replicas"]) == 2
    assert served(stoker)
    assert engines(stoker) == before
    assert stoker("scale", "1").code == 0
    assert stoker("down").code == 0
    assert stoker.processes() == []


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("lost", [("state.json",), ("wanted.json",), FILES])
def test_damaged_while_no_supervisor_lives_the_next_one_kills_nothing(
    stoker: Stoker, how: str, lost: tuple[str, ...], wait_until: Any
) -> None:
    stoker("up", "-d", "-f", stoker.spec(replicas=2))
    before = engines(stoker)
    kill_supervisor(stoker, wait_until)
    damage(stoker, how, lost)
    for name in lost:  # nor is there a version before
        (folder(stoker) / f".{name}.previous").unlink(missing_ok=True)
    stoker("status")
    assert served(stoker)
    assert engines(stoker) == before
    assert stoker("down").code == 0
    assert stoker.processes() == []


def test_a_broken_fleet_is_its_own_affair(stoker: Stoker) -> None:
    stoker("up", "-d", "-f", stoker.spec("one"))
    (stoker.home / "state" / "fleets" / "two").mkdir()
    (stoker.home / "state" / "fleets" / "two" / "wanted.json").write_text("{")
    (stoker.home / "state" / "fleets" / "three").write_text("a file")
    assert stoker("doctor").code in (0, 1)
    assert stoker("status", "-A").code == 0
    assert stoker("up", "-d", "-f", stoker.spec("one")).code == 0
    assert stoker("down", "--all").code == 0
    assert stoker.processes() == []


def test_up_begins_anew_where_nothing_runs_and_the_files_are_broken(stoker: Stoker) -> None:
    spec = stoker.spec()
    folder(stoker).mkdir(parents=True)
    for name in FILES:
        (folder(stoker) / name).write_text('{"half": ')
    ran = stoker("up", "-d", "-f", spec)
    assert ran.code == 0, ran.err
    assert served(stoker)


def no_files(process: psutil.Process) -> None:
    """No byte more in any file: what a full disk is to a program."""
    process.rlimit(psutil.RLIMIT_FSIZE, (0, psutil.RLIM_INFINITY))


def some_files(process: psutil.Process) -> None:
    process.rlimit(psutil.RLIMIT_FSIZE, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))


def test_a_supervisor_that_cannot_write_goes_on(stoker: Stoker, wait_until: Any) -> None:
    stoker("up", "-d", "-f", stoker.spec(replicas=2))
    keeper = supervisor(stoker)
    no_files(keeper)
    victim = stoker.state()["replicas"][0]["ranks"][0]["pid"]
    os.kill(victim, signal.SIGKILL)
    assert served(stoker)
    assert keeper.is_running()
    wait_until(lambda: "has not reported" in stoker("status", "-o", "json").out, 60)
    assert "has not reported" in stoker("why").out
    some_files(keeper)
    wait_until(lambda: [one["phase"] for one in stoker.state()["replicas"]] == ["Ready", "Ready"], 60)
    assert victim not in engines(stoker)


def test_down_works_on_a_full_disk(stoker: Stoker) -> None:
    stoker("up", "-d", "-f", stoker.spec(replicas=2))
    no_files(supervisor(stoker))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        ran = stoker("down")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert ran.code == 0, ran.err
    assert stoker.processes() == []


def test_a_home_that_cannot_be_written_is_named(stoker: Stoker) -> None:
    (stoker.home / "state").write_text("a file")
    for verb in (("up", "-d", "-f", stoker.spec()), ("status",), ("down",), ("doctor",), ("models", "list")):
        ran = stoker(*verb)
        assert ran.code in (0, 1, 2)
    ran = stoker("up", "-d", "-f", stoker.spec())
    assert (ran.code, str(stoker.home / "state") in ran.err) == (1, True)
    ran = stoker("down", "--all")
    assert (ran.code, f"move {stoker.home / 'state'} away" in ran.err) == (1, True)
    ran = stoker("doctor")
    assert (ran.code, "Python" in ran.out, f"move {stoker.home / 'state'} away" in ran.out) == (1, True, True)
    (stoker.home / "state").unlink()


def test_a_folder_that_was_removed_is_made_again(stoker: Stoker, wait_until: Any) -> None:
    stoker("up", "-d", "-f", stoker.spec())
    remove(folder(stoker))
    wait_until(lambda: (folder(stoker) / "state.json").exists())
    assert served(stoker)
    assert stoker("down").code == 0
    assert stoker.processes() == []


def test_what_runs_without_any_folder_is_taken_down(stoker: Stoker, wait_until: Any) -> None:
    stoker("up", "-d", "-f", stoker.spec())
    kill_supervisor(stoker, wait_until)
    remove(folder(stoker))
    assert stoker("down", "--name", "sim").code == 0
    assert stoker.processes() == []


def test_a_stopped_supervisor_is_no_reason_to_stay(stoker: Stoker) -> None:
    stoker("up", "-d", "-f", stoker.spec())
    supervisor(stoker).suspend()
    ran = stoker("down", "--timeout", "12") if "--timeout" in stoker("down", "--help").out else stoker("down")
    assert ran.code == 0, ran.err
    assert stoker.processes() == []
