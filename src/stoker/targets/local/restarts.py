"""Why a child has ended, and whether and when it is started again."""

import signal
import time
from dataclasses import replace
from pathlib import Path

from stoker.catalog.rules import rule
from stoker.engine.last_error import died_of, last_error, short
from stoker.findings import Finding
from stoker.system.files import tail
from stoker.targets.local.child import Child
from stoker.targets.local.group import TRY_AGAIN, reason

MAX_FAILURES = 5
LINES, BYTES = 8000, 2 << 20  # of a log that is read for a cause: tracebacks of every rank of a machine
NEW_FAILURES = 2  # of one that a change has brought, beside which the old ones still serve
BACKOFF = (0.2, 1.0, 2.0, 5.0, 15.0, 30.0)  # seconds


class Failures:
    """How often each life has failed, and until when nobody tries again."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}
        self._not_before: dict[str, float] = {}

    def of(self, child: Child) -> int:
        """How often it has failed."""
        return self._counts.get(_life(child), 0)

    def count(self, child: Child, code: int) -> int:
        """One more, where it was its own doing."""
        found = self._counts[_life(child)] = self.of(child) + (code != TRY_AGAIN)
        return found

    def give_up(self, child: Child, code: int, new: bool) -> bool:
        """Whether it is not started again: it ended by itself in its first start, or too often."""
        failures = self.count(child, code)
        itself = code > 0 and code != TRY_AGAIN and not child.ever_ready and child.process.routed
        if new and child.killed_for:
            return True  # it hung in its start: another try would take as long
        return (itself and child.restarts == 0) or failures > (NEW_FAILURES if new else MAX_FAILURES)

    def steady(self, child: Child) -> None:
        """It has been well for a while."""
        self._counts.pop(_life(child), None)

    def wait(self, key: str, failures: int) -> float:
        """Holds the next start back, the longer the more failures there were; the seconds."""
        seconds = BACKOFF[min(max(failures - 1, 0), len(BACKOFF) - 1)]
        self.hold(key, seconds)
        return seconds

    def hold(self, key: str, seconds: float) -> None:
        """No start before so many seconds."""
        self._not_before[key] = time.monotonic() + seconds

    def may(self, key: str) -> bool:
        """Whether it may be started now."""
        return time.monotonic() >= self._not_before.get(key, 0.0)

    def forget(self) -> None:
        """Begins anew."""
        self._counts.clear()
        self._not_before.clear()


def _life(child: Child) -> tuple[str, str]:
    return child.process.key + ("+" if child.standby else ""), child.stamp


def cause_of(child: Child, code: int) -> Finding:
    """Why it ended, made once: what it hung by, the signal, or what its own log tells; `at` is that log."""
    return replace(_cause(child, code), at=str(child.log))


def _cause(child: Child, code: int) -> Finding:
    if child.killed_for and code in (0, -signal.SIGKILL):  # 0: of one that another supervisor started
        return rule("engine-hung").finding(why=child.killed_for)
    if code < 0:
        return _by_signal(code, child.process.routed)
    lines = tail(child.log, LINES, BYTES)
    if code == TRY_AGAIN and (why := reason(lines)):
        return rule("group-ended").finding(why=why)
    said = last_error(lines) if child.process.routed else None
    if said is not None and said.what:
        return said
    error = next((line for line in reversed(lines) if line.startswith("error: ")), "")
    words = error.removeprefix("error: ") or (lines[-1] if lines else f"exit code {code}")
    if child.process.routed:
        return rule("engine-error" if error else "engine-unknown").finding(line=short(words))
    return rule("process-ended").finding(words=short(words), role=child.process.role)


def _by_signal(code: int, engine: bool) -> Finding:
    """By the signal's name; what it means for an engine, where that is known."""
    name = signal.Signals(-code).name if -code in signal.valid_signals() else f"signal {-code}"
    plain = rule("engine-signal").finding(signal=name)
    known = died_of(code) if engine else None
    return replace(known, what=plain.what) if known else plain


def read(log: str) -> Finding | None:
    """Why an engine ended that nobody watched, out of its log; None where that tells nothing."""
    found = last_error(tail(Path(log), LINES, BYTES)) if log else None
    return replace(found, at=log) if found is not None and found.what else None


def read_again(words: str, log: str, role: str) -> Finding:
    """The cause of an end of which an older Stoker kept the words alone: out of the log, where it is
    there."""
    if role != "engine":
        return rule("process-ended").finding(log, words=words, role=role)
    found = read(log)
    if found is not None and found.what == words:
        return found
    return replace(rule("why-engine").finding(log, words=words), what=words)
