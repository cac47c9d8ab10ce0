"""Child processes that run cases, and a parent that measures them: what hangs or dies is a find, and the run
goes on.

A case's memory is its peak over what its child held when that began, after the fork and the imports: a child
starts with all that its parent has loaded (hundreds of MB in a whole test run), and that is no case's. What
earlier cases of the same child have left behind counts. `MEGABYTES` is the most that may be.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

SECONDS = 2.0
MEGABYTES = 200
HANG = 10.0  # of CPU
STILL = 600.0  # of the clock: the machine may be busy, but nobody sleeps so long
LIMIT = 3 * 1024**3  # address space of a child


@dataclass(frozen=True)
class Ended:
    """How a case ended. wrong: what was wrong with it; None: nothing. seconds: of CPU.

    megabytes: its peak, over what its child held before its first case.
    """

    kind: str
    number: int
    wrong: str | None
    seconds: float
    megabytes: float


def _peak() -> float:
    """The most memory since the last reset, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _held() -> float:
    """Sets the peak back to what is held now, and returns that, in MB."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _work(asks: Connection, answers: Connection) -> None:
    """Runs the cases that it is told, one after another."""
    from benchmarks.fuzz.kinds import run

    resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))
    first = _held()
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        while True:
            kind, number = asks.recv()
            _held()
            begun = time.process_time()
            try:
                wrong = run(kind, number)
            except BaseException as error:
                wrong = f"{type(error).__name__}: {error}"
            answers.send((kind, number, wrong, time.process_time() - begun, _peak() - first))


class Child:
    """One process, and the case that it is at."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("fork")
        theirs, self._asks = context.Pipe(False)
        self.answers, answers = context.Pipe(False)
        self._process = context.Process(target=_work, args=(theirs, answers), daemon=True)
        self._process.start()
        theirs.close()
        answers.close()
        self.at: tuple[str, int] | None = None
        self.done, self._since, self._spent = 0, 0.0, 0.0

    def ask(self, kind: str, number: int) -> None:
        self.at, self._since, self._spent = (kind, number), time.monotonic(), self._cpu()
        self._asks.send(self.at)

    def overdue(self, now: float) -> bool:
        waited = now - self._since
        return self.at is not None and waited > HANG and (waited > STILL or self._cpu() - self._spent > HANG)

    def _cpu(self) -> float:
        """Seconds of CPU that it has used."""
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> int:
        """Ends it, and says how it ended."""
        self._process.kill()
        self._process.join()
        self._asks.close()
        self.answers.close()
        return self._process.exitcode or 0


def ended(cases: Iterator[tuple[str, int]], children: int) -> Iterator[Ended]:
    """Every case's end, as it comes."""
    pool = [Child() for _ in range(children)]
    try:
        pool = [child for child in pool if _next(child, cases)]
        while pool:
            ready = wait([child.answers for child in pool], timeout=1.0)
            now = time.monotonic()
            for index, child in enumerate(list(pool)):
                if child.answers in ready:
                    yield _taken(child)
                elif child.overdue(now):
                    yield _lost(child, "it hung")
                else:
                    continue
                if child.at is None or child.done >= 2000:  # a fresh one has no memory of others' cases
                    child.end()
                    child = pool[index] = Child()
                child.at = None
                if not _next(child, cases):
                    child.end()
                    pool[index] = None  # type: ignore[call-overload]
            pool = [child for child in pool if child is not None]
    finally:
        for child in pool:
            if child is not None:
                child.end()


def _next(child: Child, cases: Iterator[tuple[str, int]]) -> bool:
    case = next(cases, None)
    if case is not None:
        child.ask(*case)
    return case is not None


def _taken(child: Child) -> Ended:
    try:
        kind, number, wrong, seconds, peak = child.answers.recv()
    except EOFError:
        return _lost(child, "it took its process with it")
    child.done += 1
    if wrong is None and seconds > SECONDS:
        wrong = f"it took {seconds:.1f} s"
    if wrong is None and peak > MEGABYTES:
        wrong = f"it took {peak:.0f} MB"
    return Ended(kind, number, wrong, seconds, peak)


def _lost(child: Child, why: str) -> Ended:
    kind, number = child.at or ("", 0)
    child.at = None
    return Ended(kind, number, why, 0.0, 0.0)


def cores() -> int:
    """How many may run at once here."""
    return len(os.sched_getaffinity(0))
