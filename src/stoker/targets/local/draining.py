"""How a child leaves: out of the gateway, until nothing runs on it, SIGTERM with a deadline, SIGKILL.

Whether something runs is the gateways' own count: an engine's gauges move only when a step returns, and a
hung one says nothing at all. What is not finished in time is ended by the gateway, with an error event,
before the engine is
told: vLLM would leave it without a word.
"""

import logging
import time

from stoker.targets.gateway.config import Seen
from stoker.targets.local.child import Child
from stoker.targets.local.watch import Watch

QUIET_LOOKS = 2  # looks in a row at an engine that says it is idle
SETTLE_SECONDS = 5.0  # for an engine's gauges to agree with a gateway that has nothing more there
CUT_SECONDS = 2.0  # for the gateway to end what is left
START_GRACE = 3.0  # SIGTERM to SIGKILL for one that was still starting

log = logging.getLogger("stoker.supervisor")


class Leaving:
    """One child's way out, a step at a time."""

    def __init__(self, child: Child, watch: Watch | None, revision: int) -> None:
        """revision: of the routes, which list it as leaving by now."""
        self._child = child
        self._watch = watch
        self._revision = revision
        self._quiet = 0
        self._empty_since: float | None = None
        self._cut_at: float | None = None

    async def step(self, drain_timeout: float, seen: Seen | None, unbegun: float = 0.0) -> None:
        """Looks, and does what is next. seen: what the gateways say; None where none lives.

        unbegun: seconds that a gateway has after the drain for requests that have shown nothing yet.
        """
        child = self._child
        if child.term_at is not None:
            self._end_in_time(drain_timeout + unbegun)
        elif not child.process.routed or not child.ever_ready or await self._drained(seen):
            child.terminate()
        elif self._cut_at is not None:
            if not self._left(seen) or time.monotonic() - self._cut_at > CUT_SECONDS:
                child.terminate()
        elif child.leaving_since is not None and time.monotonic() - child.leaving_since > drain_timeout:
            self._cut(drain_timeout, seen)

    def _end_in_time(self, drain_timeout: float) -> None:
        child = self._child
        assert child.term_at is not None
        grace = child.process.grace if child.ever_ready else START_GRACE
        if child.process.role == "gateway" and not child.standby:
            grace += drain_timeout  # it finishes its answers beside its successor
        if time.monotonic() - child.term_at > grace:
            child.kill()

    def _cut(self, drain_timeout: float, seen: Seen | None) -> None:
        left = self._left(seen)
        log.warning(
            "%s: drain_timeout of %g s is over, %d requests are cut",
            self._child.process.key,
            drain_timeout,
            left,
        )
        self._child.cut = True
        self._cut_at = time.monotonic()

    def _left(self, seen: Seen | None) -> int:
        return seen.in_flight.get(self._child.route, 0) if seen else 0

    async def _drained(self, seen: Seen | None) -> bool:
        """Nothing is in flight, and the engine agrees, or has had time to, or is past agreeing to
        anything."""
        if seen is not None and seen.revision < self._revision:
            return False
        if left := self._left(seen):
            self._child.detail = f"{left} requests to finish"
            self._empty_since = None
            return False
        self._empty_since = self._empty_since or time.monotonic()
        self._quiet = self._quiet + 1 if self._watch is not None and await self._watch.idle() else 0
        waited = time.monotonic() - self._empty_since
        return self._quiet >= QUIET_LOOKS or (seen is not None and waited > SETTLE_SECONDS)
