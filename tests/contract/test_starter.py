"""The starter: what runs by it is the plain command to itself, to what it spawns, and to who looks."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.support.starting import command, environment, imports, told

from stoker.fleet.process import Process
from stoker.targets.local import starters
from stoker.targets.local.process_marks import Mark, leaders
from stoker.targets.local.starter.__main__ import FOR_THE_SPAWNED
from stoker.targets.local.starters import Starters, Template, started_by

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a starter is for Linux")
Wait = Callable[..., None]
OF_THE_PROCESS = ("pid", "parent", "group", "shown", "files")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(starters, "MODULES", ("heavy", "vllm_of_another_release"))
    return tmp_path / "bin"


def preload(folder: Path) -> dict[str, str]:
    """As the plan sets it where Intel's OpenMP is installed."""
    return {"LD_PRELOAD": str(folder / "libiomp5.so")}


def run(argv: list[str], folder: Path, **more: str) -> "subprocess.CompletedProcess[str]":
    env = environment(folder, **more)
    return subprocess.run(
        argv,
        env=env,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        process_group=0,
        check=False,
    )


def both(folder: Path, **more: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]], str]:
    """What the plain command tells, and the same command by a starter; what that one wrote to its errors."""
    argv = command(folder)
    plain = run(argv, folder, **preload(folder), **more)
    assert plain.returncode == int(more.get("CODE", "0")), plain.stderr
    first = told(folder)
    (folder / "imports").unlink()
    by_starter = started_by(argv, environment(folder, **preload(folder), **more))
    assert by_starter != argv
    ran = run(by_starter, folder, **preload(folder), **more)
    assert ran.returncode == plain.returncode, ran.stderr
    return first, told(folder), ran.stderr


def alike(one: dict[str, Any]) -> dict[str, Any]:
    found = {name: value for name, value in one.items() if name not in OF_THE_PROCESS}
    env = {name: value for name, value in one.get("env", {}).items() if name not in FOR_THE_SPAWNED}
    return {**found, "env": env}


def test_command_and_spawned_processes_find_what_the_plain_ones_find(folder: Path) -> None:
    plain, by_starter, _ = both(folder, DEPTH="1")
    assert list(map(alike, by_starter)) == list(map(alike, plain))
    assert by_starter[1]["env"]["OF_THE_SPAWN"] == "1"


def test_no_file_but_the_way_to_the_next_twin_is_open(folder: Path) -> None:
    plain, by_starter, _ = both(folder, DEPTH="1")
    more = [len(b["files"]) - len(p["files"]) for p, b in zip(plain[:3], by_starter[:3], strict=True)]
    assert more == [1, 1, 0]


def test_imports_are_made_once(folder: Path) -> None:
    _, found, _ = both(folder, DEPTH="1")
    assert imports(folder) == [found[0]["pid"]]
    assert len({one["pid"] for one in found if "pid" in one}) == 3


def test_who_spawns_is_the_parent_and_hears_of_the_end(folder: Path) -> None:
    _, (first, second, third, *ends), _ = both(folder, DEPTH="1")
    assert (second["parent"], third["parent"]) == (first["pid"], second["pid"])
    assert {first["group"], second["group"], third["group"]} == {first["pid"]}
    assert ends == [{"exit": 0}, {"exit": 0}]


def test_what_is_spawned_after_the_twins_are_used_is_a_new_interpreter(folder: Path) -> None:
    plain, found, _ = both(folder, DEPTH="2")
    assert list(map(alike, found)) == list(map(alike, plain))
    assert imports(folder) == [found[0]["pid"], found[3]["pid"]]


def test_what_was_read_by_the_imports_and_has_changed_since_is_read_again(folder: Path) -> None:
    plain, found, errors = both(folder, CHANGES="TORCH_SHOW")
    assert list(map(alike, found)) == list(map(alike, plain))
    assert "stoker starter: TORCH_SHOW changed since the imports; a new interpreter is started" in errors
    assert imports(folder)[:2] == [found[0]["pid"], found[1]["pid"]]


def test_a_twin_nobody_needs_ends_with_its_maker(folder: Path, wait_until: Wait) -> None:
    argv = [sys.executable, str(folder / "vllm"), "serve"]
    folder.mkdir()
    (folder / "vllm").write_text("import os\nprint(os.getpgid(0))\n")
    ran = run(started_by(argv, environment(folder, **preload(folder))), folder)
    group = int(ran.stdout)
    wait_until(lambda: not [p for p in psutil.pids() if _group(p) == group], 10)


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def test_the_exit_code_is_the_commands(folder: Path) -> None:
    both(folder, CODE="7")


def test_where_the_imports_fail_the_plain_command_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starters, "MODULES", ("broken",))
    argv = command(folder)
    (folder / "broken.py").write_text("raise RuntimeError('of another version')")
    ran = run(started_by(argv, environment(folder, **preload(folder))), folder)
    assert ran.returncode == 0, ran.stderr
    assert "stoker starter: RuntimeError: of another version; vLLM starts without it" in ran.stderr
    assert told(folder)[0]["argv"] == argv[1:]


@pytest.mark.parametrize(
    "more",
    [
        {"LD_PRELOAD": ""},  # another OpenMP reads its variables once, before the fork
        {"CUDA_VISIBLE_DEVICES": "0"},
        {"STOKER_STARTER": "off"},
    ],
)
def test_the_plain_command_is_left_where_a_fork_would_not_do(folder: Path, more: dict[str, str]) -> None:
    argv = command(folder)
    assert started_by(argv, {**environment(folder), **preload(folder), **more}) == argv


def test_other_programs_are_started_as_they_are(folder: Path) -> None:
    argv = [sys.executable, "-m", "stoker.targets.simulated", "serve"]
    assert started_by(argv, preload(folder)) == argv


# one that waits


def engine(folder: Path) -> Process:
    argv = command(folder)
    return Process("engine", "2", tuple(argv), key_env={"VLLM_API_KEY": str(folder / "key")}, routed=True)


def kept(folder: Path, wait_until: Wait, **more: str) -> tuple[Starters, Process]:
    """A starter that waits, warm, for an engine."""
    process, made = engine(folder), Starters(folder)
    made.keep(Template.of(process, environment(folder, **preload(folder), **more)), begin=True)
    assert made._waiting is not None
    wait_until(lambda: made._waiting and made._waiting.warm, 30)
    return made, process


def start(made: Starters, process: Process, folder: Path, **more: str) -> "subprocess.Popen[bytes] | None":
    mark = Mark(folder, process.key, 4, "stamp", 8000)
    env = {**environment(folder, **preload(folder), **more), **mark.environment(), "VLLM_API_KEY": "secret"}
    with (folder / "log").open("wb") as log:
        return made.start(list(process.argv), process, env, log.fileno())


def test_one_that_waits_becomes_the_engine(folder: Path, wait_until: Wait) -> None:
    made, process = kept(folder, wait_until)
    popen = start(made, process, folder, TMPDIR=str(folder), VLLM_CPU_OMP_THREADS_BIND="1")
    assert popen is not None
    assert popen.wait(30) == 0, (folder / "log").read_text()
    found = told(folder)
    assert imports(folder) == [popen.pid]
    assert (found[0]["pid"], found[0]["group"], found[0]["cwd"]) == (popen.pid, popen.pid, str(folder))
    assert (found[0]["argv"], found[0]["path"]) == (list(process.argv[1:]), str(folder))
    assert found[0]["stdin"] == "/dev/null"
    assert found[0]["files"] == [0, 1, 2, *found[0]["files"][3:]]
    assert found[1]["env"]["VLLM_CPU_OMP_THREADS_BIND"] == "1"
    plain = run(list(process.argv), folder, **preload(folder))
    assert plain.returncode == 0
    assert found[0]["handlers"] == told(folder)[0]["handlers"]


def test_it_is_found_by_its_marks_and_shows_its_command(folder: Path, wait_until: Wait) -> None:
    made, process = kept(folder, wait_until, STAY="30")
    popen = start(made, process, folder, STAY="30")
    assert popen is not None
    try:
        wait_until(lambda: (folder / "told.json").exists(), 30)
        marks = {id.pid: Mark.read(env) for id, env in leaders() if env.get("STOKER_FLEET") == str(folder)}
        assert marks == {popen.pid: Mark(folder, "engine-2", 4, "stamp", 8000)}
        assert psutil.Process(popen.pid).cmdline() == list(process.argv)
        assert psutil.Process(popen.pid).name().startswith("python")
        assert psutil.Process(popen.pid).environ()["VLLM_API_KEY"] == "secret"
        assert "STOKER_ROOM" not in psutil.Process(popen.pid).environ()
        assert (folder / "log").read_text().endswith("told\n")
    finally:
        os.killpg(popen.pid, signal.SIGKILL)
        popen.wait()


def test_while_it_waits_it_holds_no_key(
    folder: Path, wait_until: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "secret")
    made, _ = kept(folder, wait_until)
    assert made._waiting is not None
    assert "secret" not in Path(f"/proc/{made._waiting.popen.pid}/environ").read_text()
    made.end()


@pytest.mark.parametrize("more", [{"HF_HOME": "/elsewhere"}, {"LD_PRELOAD": "libiomp5.so:other"}])
def test_it_is_no_use_to_an_engine_of_another_environment(
    folder: Path, wait_until: Wait, more: dict[str, str]
) -> None:
    made, process = kept(folder, wait_until)
    env = {**environment(folder), **preload(folder), **more}
    assert made.start(list(process.argv), process, env, 1) is None
    made.keep(Template.of(process, env), begin=False)
    assert made._waiting is None


def test_one_that_hangs_is_left_for_the_plain_start(
    folder: Path, wait_until: Wait, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("stoker.targets.local.starter.orders.ANSWER_SECONDS", 0.1)
    made, process = kept(folder, wait_until)
    assert made._waiting is not None
    pid = made._waiting.popen.pid
    os.kill(pid, signal.SIGSTOP)
    assert start(made, process, folder) is None
    assert "did not take its command" in caplog.text
    assert not psutil.pid_exists(pid)


def test_one_that_dies_is_told_of_and_not_made_again_at_once(
    folder: Path, wait_until: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    made, process = kept(folder, wait_until)
    assert made._waiting is not None
    template = made._waiting.template
    made._waiting.popen.kill()
    made._waiting.popen.wait()
    assert start(made, process, folder) is None
    made.keep(template, begin=True)
    assert made._waiting is None
    assert "the starter" in caplog.text


def test_it_ends_with_the_supervisor(folder: Path, wait_until: Wait) -> None:
    command(folder)
    program = (
        "import sys, time; from pathlib import Path; from stoker.fleet.process import Process\n"
        "from stoker.targets.local import starters\n"
        "starters.MODULES = ('heavy',)\n"
        f"from tests.contract.test_starter import engine\nfrom tests.support.starting import environment\n"
        f"folder = Path({str(folder)!r})\n"
        "template = starters.Template.of(engine(folder), {**environment(folder), 'LD_PRELOAD': 'libiomp5'})\n"
        "one = starters.Waiting(template, folder)\n"
        "print(one.popen.pid, flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as keeper:
        assert keeper.stdout is not None
        pid = int(keeper.stdout.readline())
        wait_until(lambda: (folder / "imports").exists(), 30)
        keeper.kill()
    wait_until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie", 10)
