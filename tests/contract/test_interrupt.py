"""Ctrl-C at any moment from the program's first line on: one word, exit code 130, no traceback."""

import os
import signal
import subprocess
import sys

import pytest
from tests.conftest import Stoker

VERBS = (("status",), ("plan", "-o", "json"), ("up", "--dry-run"), ("models", "list"))


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
@pytest.mark.parametrize("module", ["stoker.cli.start", "click", "stoker.cli.main", "stoker.spec.nouns"])
def test_an_interrupt_while_modules_are_loaded(stoker: Stoker, module: str, verb: tuple[str, ...]) -> None:
    """Python says which module it has loaded (-X importtime): that is when it comes."""
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "stoker", *verb],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=stoker.env,
        cwd=stoker.home,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.rpartition("|")[2].strip() == module:
            break
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert "Traceback" not in said
    assert said.count("interrupted") == 1
    assert process.returncode == 130


def test_the_console_script_starts_the_same_way() -> None:
    from importlib.metadata import entry_points

    (script,) = (one for one in entry_points(group="console_scripts") if one.name == "stoker")
    if script.value == "stoker.cli.main:main":
        pytest.skip("installed before the program was called so")
    assert script.value == "stoker.cli.start:main"


def test_an_ignored_interrupt_stays_ignored(stoker: Stoker) -> None:
    """As a shell leaves it to a job in the background."""
    code = (
        "import signal, os, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); os.execv(sys.executable, "
        "[sys.executable, '-m', 'stoker', 'plan', '-h'])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=stoker.env
    )
    while process.poll() is None:
        if process.stdout is not None and _ignores(process.pid):
            process.send_signal(signal.SIGINT)
            break
    process.communicate(timeout=60)
    assert process.returncode == 0


def _ignores(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/status") as file:
            mask = next(line.split()[1] for line in file if line.startswith("SigIgn"))
    except (OSError, StopIteration):
        return not os.path.exists("/proc/self/status")
    return bool(int(mask, 16) & 1 << (signal.SIGINT - 1))
