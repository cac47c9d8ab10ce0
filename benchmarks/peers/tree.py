"""Runs a program to its end and counts the CPU time of all that it starts."""

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import psutil

LOOK = 0.25  # seconds between two looks at the tree
LINES = 5


class PeerFailed(RuntimeError):
    """A peer ended with another code than 0, or not in time; the text has its last lines."""


Looks = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Ran:
    """said: what it printed; cpu and wall in seconds; looks: the CPU seconds so far at moments of
    time.monotonic."""

    said: str
    cpu: float
    wall: float
    looks: Looks


def run(
    argv: list[str],
    folder: Path,
    core: int | None,
    limit: float,
    env: Mapping[str, str | None] | None = None,
    codes: Collection[int] = (0,),
) -> Ran:
    """Runs it in a folder, on one core where one is named; a variable of `env` that is None is taken away.
    `codes`: with which it may end.

    The CPU time is what the kernel counts for it and for the children it has waited for, or the sum of what
    was last seen of each process of its tree, where that is more (it left some unwaited).
    Raises: PeerFailed.
    """
    begun = time.monotonic()
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        with on_cores({core} if core is not None else set()):
            child = subprocess.Popen(
                argv,
                cwd=folder,
                env=_environment(env or {}),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
            )
        with on_cores(_others(core)):  # to look at a tree takes milliseconds, which are not the generator's
            looks = _watch(child, begun + limit)
        wall, usage = time.monotonic() - begun, _reap(child)
        said.seek(0)
        text = said.read()
    if child.returncode not in codes:
        raise PeerFailed(_why(argv, child.returncode, wall, limit, text))
    return Ran(text, max(usage, looks[-1][1]), wall, looks)


def between(looks: Looks, begin: float, end: float) -> float:
    """The CPU seconds taken between two moments, by the looks next to them."""
    return _at(looks, end) - _at(looks, begin)


def _at(looks: Looks, moment: float) -> float:
    for (before, had), (after, has) in pairwise(looks):
        if before <= moment < after:
            return had + (has - had) * (moment - before) / (after - before)
    return looks[0][1] if moment < looks[0][0] else looks[-1][1]


def _why(argv: list[str], code: int, wall: float, limit: float, text: str) -> str:
    how = f"was not done within {limit:.0f} s" if wall > limit else f"ended with {code} after {wall:.0f} s"
    tail = "\n".join(text.splitlines()[-LINES:])
    return f"`{' '.join(argv)}` {how}:\n{tail}"


def _environment(changes: Mapping[str, str | None]) -> dict[str, str]:
    merged = {**os.environ, **changes}
    return {name: value for name, value in merged.items() if value is not None}


@contextlib.contextmanager
def on_cores(cores: set[int]) -> Iterator[None]:
    """This thread, and what it starts meanwhile, stays on these cores; on all, where there are none."""
    if not cores or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _others(core: int | None) -> set[int]:
    return set(range(os.cpu_count() or 1)) - {core} if core is not None else set()


def _watch(child: "subprocess.Popen[bytes]", deadline: float) -> Looks:
    """Waits until the child has ended (its status is still to be taken); returns the CPU seconds of its tree
    over time, of those that have ended as they were last seen. Past the deadline all are killed."""
    seen: dict[int, float] = {}
    looks = [(time.monotonic(), 0.0)]
    root = psutil.Process(child.pid)
    while not _has_ended(child.pid):
        tree = _tree(root)
        for one in tree:
            with contextlib.suppress(psutil.Error):
                times = one.cpu_times()
                seen[one.pid] = times.user + times.system
        looks.append((time.monotonic(), sum(seen.values())))
        if time.monotonic() > deadline:
            for one in reversed(tree):
                with contextlib.suppress(psutil.Error):
                    one.kill()
        time.sleep(LOOK)
    return tuple(looks)


def _has_ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _tree(root: psutil.Process) -> list[psutil.Process]:
    try:
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def _reap(child: "subprocess.Popen[bytes]") -> float:
    """Takes the ended child's status; returns the CPU seconds of it and of those that it has waited for."""
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime
