"""Rollouts: which wanted state is led to. A change whose first replacement fails is stopped, and the fleet
goes on as it was."""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace

from stoker.findings import Finding
from stoker.fleet.process import BESIDE, Wanted
from stoker.fleet.state import Stopped
from stoker.system import clock
from stoker.targets.local.child import Child
from stoker.targets.local.folder import Folder
from stoker.targets.local.replacing import STEADY

MEND_EVERY = 1.0  # seconds between two looks at whether the file is still there

log = logging.getLogger("stoker.supervisor")


class Rollouts:
    """What was ready before, and whether the newest change was stopped."""

    def __init__(self, folder: Folder, stopped: Stopped | None = None) -> None:
        self._folder = folder
        self._generations = folder.generations()
        self._mended = 0.0
        self.stopped = stopped if stopped and self._kept(stopped.serving) else None

    def _kept(self, revision: int) -> Wanted | None:
        return next((one for one in reversed(self._generations) if one.revision == revision), None)

    def led(self, asked: Wanted | None) -> Wanted | None:
        """What the processes are led to: what is asked for, or what served before it where it failed."""
        if asked is None or self.stopped is None or asked.revision != self.stopped.revision:
            self.stopped = None
            return asked
        return self._kept(self.stopped.serving) or asked

    @property
    def last(self) -> Wanted | None:
        """What was ready last."""
        return self._generations[-1] if self._generations else None

    def is_new(self, child: Child, asked: Wanted | None) -> bool:
        """Whether a child belongs to a change that has yet to prove itself: nothing like it was ready
        before."""
        if asked is None or self.last is None or asked.revision == self.last.revision:
            return False
        return child.process.role not in BESIDE and child.stamp not in stamps(self.last)

    def stop(self, child: Child, cause: Finding, asked: Wanted) -> None:
        """A replacement has failed: the change is stopped."""
        assert self.last is not None
        subject = f"replica {child.process.name}" if child.process.routed else child.process.role
        log.warning("revision %d is stopped: %s failed: %s", asked.revision, subject, cause.what)
        self.stopped = Stopped(
            asked.revision, self.last.revision, subject, cause.what, str(child.log), clock.now(), cause
        )

    def look(self, asked: Wanted | None, children: Sequence[Child]) -> None:
        """Keeps a wanted state as one that was ready, once it has been for a while; the first one at once."""
        self._look(asked, children, STEADY if self.last is not None else 0.0)
        if self._generations and time.monotonic() - self._mended > MEND_EVERY:
            self._mended = time.monotonic()
            if not self._folder.generations_are_kept():  # somebody removed or damaged it
                self._write()

    def superseded(self, before: Wanted | None, children: Sequence[Child]) -> None:
        """Another one is asked for: if all of the one before is ready at this moment, it is kept."""
        self._look(before, children, 0.0)

    def _look(self, asked: Wanted | None, children: Sequence[Child], steady: float) -> None:
        if asked is None or not asked.replicas or self.stopped is not None:
            return
        if self.last is not None and self.last.revision == asked.revision:
            return
        since = {one.stamp: one.since for one in children if one.phase == "Ready"}
        mine = [asked.stamp(one) for one in asked.processes if one.role not in BESIDE]
        if all(one in since and not 0 <= clock.now() - since[one] < steady for one in mine):
            self._keep(asked)

    def _keep(self, asked: Wanted) -> None:
        """One a spec: a fleet that was scaled or restarted is still the same one."""
        others = [one for one in self._generations if not same_spec(one, asked)]
        self._generations = (*others, asked)
        self._write()

    def _write(self) -> None:
        try:
            self._folder.keep_generations(self._generations)
        except OSError as error:
            log.warning("what was ready cannot be kept: %s", error)


def same_spec(one: Wanted, other: Wanted) -> bool:
    """Whether two come from the same file, whatever was scaled or restarted since."""
    same = replace(one, revision=0, restart=0, processes=(), command="")
    return same == replace(other, revision=0, restart=0, processes=(), command="")


def stamps(wanted: Wanted) -> frozenset[str]:
    """The lives that a wanted state asks for."""
    return frozenset(wanted.stamp(process) for process in wanted.processes)
