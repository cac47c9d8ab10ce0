"""How a child leaves: out of the gateway, until nothing runs on it, SIGTERM with a deadline, SIGKILL."""

import logging
import time

from stoker.targets.gateway.config import Seen
from stoker.targets.local.child import Child
from stoker.targets.local.folder import Folder
from stoker.targets.local.watch import Watch

QUIET_LOOKS = 2  # looks in a row at an engine that says it is idle
START_GRACE = 3.0  # SIGTERM to SIGKILL for one that was still starting

log = logging.getLogger("stoker.supervisor")


class Leaving:
    """One child's way out, a step at a time."""

    def __init__(self, child: Child, folder: Folder, watch: Watch | None) -> None:
        self._child = child
        self._folder = folder
        self._watch = watch
        self._quiet = 0
        self._revision: int | None = None

    async def step(self, drain_timeout: float, published: int) -> None:
        """Looks, and does what is next. `published` is the revision of the routes that already list it as leaving."""
        child = self._child
        if self._revision is None:
            self._revision = published  # written since `leave`, so they list it as leaving
        if child.term_at is not None:
            grace = child.process.grace if child.ever_ready else START_GRACE
            if time.monotonic() - child.term_at > grace:
                child.kill()
            return
        assert child.leaving_since is not None
        if (
            time.monotonic() - child.leaving_since > drain_timeout
            and child.process.routed
            and child.ever_ready
        ):
            cut = int((child.sample.running or 0) if child.sample else 0)
            log.warning(
                "%s: drain_timeout of %g s is over, %d requests are cut",
                child.process.key,
                drain_timeout,
                cut,
            )
            child.terminate()
        elif not child.process.routed or not child.ever_ready or await self._drained():
            child.terminate()

    async def _drained(self) -> bool:
        seen = Seen.read(self._folder.seen_file)
        if seen is not None and self._gateway_lives():
            if seen.revision < (self._revision or 0):
                return False
            left = seen.in_flight.get(self._child.route, 0)
            if left:
                self._child.detail = f"{left} requests to finish"
                return False
        self._quiet = self._quiet + 1 if self._watch is not None and await self._watch.idle() else 0
        return self._quiet >= QUIET_LOOKS

    def _gateway_lives(self) -> bool:
        record = self._folder.record() or {"children": []}
        return any(c["process"]["role"] == "gateway" and c["phase"] == "Ready" for c in record["children"])
