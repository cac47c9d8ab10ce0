"""`python -m stoker.targets.local.starter [--wait FD] MODULES COPIES VLLM serve …`: runs vLLM's command here.

MODULES are imported first, those that are there; then COPIES twins are kept, each of the one before. With
`--wait` the command, its environment and its log come over the socket FD, and there may never be one.
"""

import contextlib
import importlib
import os
import runpy
import sys
from pathlib import Path

from stoker.targets.local.starter import twin
from stoker.targets.local.starter.giving_way import BESIDE, LONG, SHORT, giving_way
from stoker.targets.local.starter.orders import die_with_parent, wait
from stoker.targets.local.starter.shown import show_command

# What vLLM sets on a CPU for what it spawns (platforms/cpu.py), and PyTorch reads while it is imported.
FOR_THE_SPAWNED = {"TORCHINDUCTOR_COMPILE_THREADS": "1", "TORCHINDUCTOR_CPP_DYNAMIC_THREADS": "1"}


def main(words: list[str]) -> None:
    """Runs the command, and ends as it does."""
    channel = None
    if words[0] == "--wait":
        channel, words = int(words[1]), words[2:]
        die_with_parent()
    modules, copies, command = words[0].split(","), int(words[1]), words[2:]
    os.environ.update(FOR_THE_SPAWNED)
    _settle_title()
    show_command([sys.executable, *(command if channel is None else ("stoker", "starter", "imports"))])
    try:
        with giving_way(_rest(waits=channel is not None)):
            _import(modules)
    except Exception as error:
        sys.stderr.write(f"stoker starter: {type(error).__name__}: {error}; vLLM starts without it\n")
        if channel is not None:
            sys.exit(1)
        os.execv(sys.executable, [sys.executable, *command])  # noqa: S606
    if channel is not None:
        command = wait(channel)
        os.environ.update(FOR_THE_SPAWNED)
    twin.keep(copies)
    _run(command)


def _rest(waits: bool) -> float:
    """How long it pauses for those that serve beside it: one that waits is in no hurry."""
    beside = os.environ.pop(BESIDE, "")
    return LONG if waits else SHORT if beside else 0.0


def _settle_title() -> None:
    """The package by which vLLM names its processes looks for the first command line: while it is there. It
    takes that for a name, too, which is given back."""
    name = Path("/proc/self/comm")
    with contextlib.suppress(ImportError, OSError):
        import setproctitle

        before = name.read_text()
        setproctitle.getproctitle()
        name.write_text(before.strip())


def _import(modules: list[str]) -> None:
    """Imports what is there: another release of vLLM has other modules."""
    for name in modules:
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(name)


def _run(command: list[str]) -> None:
    """The command, as an interpreter runs a script."""
    sys.argv = command
    sys.path[0] = str(Path(command[0]).parent)
    runpy.run_path(command[0], run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
