"""How a child has ended, in words, and whether and when it is started again."""

import signal
import time

from stoker.engine.last_error import last_error
from stoker.findings import Finding
from stoker.system.files import tail
from stoker.targets.local.child import Child
from stoker.targets.local.group import TRY_AGAIN, reason

MAX_FAILURES = 5
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


def words_of(child: Child, code: int) -> str:
    """Why it ended: what it hung by, the signal, or its own last error."""
    if child.killed_for and code in (0, -signal.SIGKILL):  # 0: of one that another supervisor started
        return child.killed_for
    if code < 0:
        name = signal.Signals(-code).name if -code in signal.valid_signals() else f"signal {-code}"
        return f"killed by {name}"
    lines = tail(child.log)
    if code == TRY_AGAIN and (why := reason(lines)):
        return why
    finding: Finding | None = last_error(lines) if child.process.routed else None
    if finding is not None and finding.what:
        return finding.what
    error = next((line for line in reversed(lines) if line.startswith("error: ")), "")
    return error.removeprefix("error: ") or (lines[-1] if lines else f"exit code {code}")
