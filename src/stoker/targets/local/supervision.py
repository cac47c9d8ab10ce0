"""The supervisor: keeps a fleet's processes as wanted, knowing nothing of what they are for.

Level-triggered: a verb writes `wanted.json`, each tick leads what runs a step there. Killed, its children go
on and are adopted by the next. What it cannot write it says; what it cannot read it takes from what it knows.
"""

import asyncio
import errno
import logging
from dataclasses import replace
from typing import IO

from stoker.catalog.rules import rule
from stoker.findings import Finding
from stoker.fleet.process import Process, Wanted
from stoker.system import clock
from stoker.system.proc import free_port
from stoker.targets.gateway.config import Seen
from stoker.targets.local import adoption, gateways, growth, publish
from stoker.targets.local.child import Child
from stoker.targets.local.draining import Leaving
from stoker.targets.local.folder import Folder
from stoker.targets.local.housekeeping import Upkeep
from stoker.targets.local.log_files import Keeper
from stoker.targets.local.replacing import comes_back, gateway_steps, to_replace
from stoker.targets.local.restarts import BACKOFF, Failures, cause_of
from stoker.targets.local.rollout import Rollouts
from stoker.targets.local.watch import Watch

TICK = 0.1
AFTER_A_FAULT = 1.0
STEADY_SECONDS = 60.0  # ready for so long: earlier failures are forgotten
PORT_SECONDS = 0.5  # until a taken port is tried again
FOREVER = frozenset({errno.ENOENT, errno.EACCES, errno.ENOEXEC, errno.E2BIG})  # no wait will mend it

log = logging.getLogger("stoker.supervisor")


class Supervisor:
    """All children of one fleet."""

    def __init__(self, folder: Folder, lock: IO[str] | None = None) -> None:
        self.folder = folder
        self.children: list[Child] = []
        self.end = False  # everything goes, whatever is wanted
        self._watches: dict[Child, Watch] = {}
        self._leavings: dict[Child, Leaving] = {}
        self._failures = Failures()
        self._listeners = gateways.Listeners()
        self._seen: Seen | None = None  # what the gateways said at the last look
        self._growth = growth.Growth(folder.path)
        record = adoption.read_record(folder)
        self._upkeep = Upkeep(folder, lock, record)
        self._rollouts = Rollouts(folder, record.fleet.stopped if record else None)
        self._publisher = publish.Publisher(folder, record)
        self._asked: set[str] = set(record.asked if record else ())
        self.children = adoption.adopt(folder, record, self._upkeep.wanted)
        adoption.mend_keys(folder, self.children)
        self._generation = max((child.generation for child in self.children), default=0)

    @property
    def replaced(self) -> bool:
        """Whether another supervisor keeps the fleet by now."""
        return self._upkeep.replaced

    @property
    def wanted(self) -> Wanted | None:
        """What is led to: as verbs asked, as served before where that failed, nothing once all is to end."""
        led = self._rollouts.led(self._upkeep.wanted)
        if self.end:
            return replace(led, processes=()) if led else Wanted(0, self.folder.path.name, ())
        return led

    async def run(self) -> None:
        """Until nothing is wanted and nothing runs, or another supervisor keeps the fleet."""
        for child in gateways.gateways(self.children):
            self._listeners.adopt(self.folder, child)
            child.standby = gateways.waits(self.folder, child)  # one may have taken over while nobody looked
        for child in self.children:
            if not child.standby:
                self._watches[child] = Watch(child)
        keeper = Keeper(self.folder.logs, lambda: {child.log for child in self.children})
        self._keeping = asyncio.create_task(keeper.run())
        while not (self.replaced or self._all_gone()):
            try:
                await self._tick()
            except Exception:  # the fleet goes on, and so does who keeps it
                log.exception("a look at the fleet failed; the next one is in a second")
                await asyncio.sleep(AFTER_A_FAULT)
            await asyncio.sleep(TICK)
        self._growth.end()

    async def _tick(self) -> None:
        """One look, and what follows from it."""
        before = self._upkeep.wanted
        if self._upkeep.look():
            self._rollouts.superseded(before, self.children)
            self._asked_anew()
        self._seen = seen = gateways.seen(self.folder, self.children)
        self._told(seen)
        for child in list(self.children):
            await self._tend(child, seen)
        self._reconcile(seen)
        self._rollouts.look(self._upkeep.wanted, self.children)
        self._growth.look(self.wanted, self.children)
        self._publish()

    def _all_gone(self) -> bool:
        wanted = self.wanted
        return not self.children and wanted is not None and not wanted.processes

    def _asked_anew(self) -> None:
        """A verb has asked for something: what was given up, and what waits, is tried again."""
        self._failures.forget()
        self.children = [child for child in self.children if child.phase != "Failed" or child.id is not None]

    def _told(self, seen: Seen | None) -> None:
        """What the gateways say: what clients ask for, and where requests wait without a sign of life."""
        self._asked.update(seen.asked if seen else ())
        for child, watch in self._watches.items():
            watch.asked = self._asked
            watch.silent_since = seen.silent.get(child.route) if seen else None

    def _publish(self, force: bool = False) -> None:
        wanted, seen = self.wanted, self._seen
        said = publish.Said(
            asked=self._upkeep.wanted,
            led=wanted,
            stopped=self._rollouts.stopped,
            trouble=self._upkeep.trouble,
            in_rotation=len(seen.ready) if seen else 0,
            asked_for=tuple(sorted(self._asked)),
            requests=seen.requests if seen else None,
        )
        self._publisher.publish(said, self.children, force=force)

    async def _tend(self, child: Child, seen: Seen | None) -> None:
        code = child.ended()
        if code is not None and child.phase != "Failed":
            self._ended(child, code)
        elif child.leaving:
            fresh = Leaving(child, self._watches.get(child), self._publisher.revision)
            wanted = self.wanted or Wanted(0, "", (), 0.0)
            way = self._leavings.setdefault(child, fresh)
            await way.step(wanted.drain_timeout, seen, wanted.queue_timeout)
        elif (watch := self._watches.get(child)) and watch.hung:
            log.warning("%s hangs: %s", child.process.key, watch.hung)
            child.killed_for = watch.hung
            child.kill()
        elif child.phase == "Ready" and clock.now() - child.since > STEADY_SECONDS:
            self._failures.steady(child)

    def _ended(self, child: Child, code: int) -> None:
        """It has ended: what is left of its group goes, and it is restarted, given up, or gone as asked."""
        child.kill()
        self._forget(child)
        if child.leaving:
            log.warning("%s has left", child.process.key)
            return
        cause = cause_of(child, code)
        log.warning("%s ended: %s", child.process.key, cause.what)
        asked = self._upkeep.wanted
        new = self._rollouts.is_new(child, asked)
        if child.standby and not new:
            self._failures.wait(child.process.key + "+", self._failures.count(child, code))
            return
        given_up = self._failures.give_up(child, code, new) and not self._upkeep.full
        if given_up and new and asked is not None:
            self._rollouts.stop(child, cause, asked)
        elif child.standby:
            self._failures.wait(child.process.key + "+", self._failures.of(child))
        elif not self._stands_by(child, cause):
            self._again(child, cause, given_up)

    def _stands_by(self, child: Child, cause: Finding) -> bool:
        """Another one has taken its place already."""
        for one in gateways.gateways(self.children):
            if one.standby and one.stamp == child.stamp and one.process.key == child.process.key:
                one.restarts, one.cause = child.restarts + 1, cause
                self._promote(one)
                return True
        return False

    def _promote(self, child: Child) -> None:
        child.standby, child.ever_ready = False, True
        self._watches[child] = Watch(child)

    def _again(self, child: Child, cause: Finding, given_up: bool) -> None:
        successor = child.successor(cause)
        self.children.append(successor)
        if given_up:
            return successor.become("Failed", "given up")
        wait = self._failures.wait(child.process.key, self._failures.of(child))
        successor.restarts += 1
        return successor.become("Pending", f"starts again in {wait:g} s")

    def _forget(self, child: Child) -> None:
        if watch := self._watches.pop(child, None):
            watch.stop()
        self._leavings.pop(child, None)
        self.children.remove(child)
        child.clean()
        gateways.forget(self.folder, child)

    # all of them

    def _reconcile(self, seen: Seen | None) -> None:
        wanted = self.wanted
        if wanted is None:
            return
        keys = {process.key for process in wanted.processes}
        routed = any(child.process.routed for child in self.children)
        for child in list(self.children):
            # answers go through it until the last replica is out
            needed = child.process.role == "gateway" and routed and not child.standby
            if child.process.key not in keys and not child.leaving and not needed:
                self._let_go(child)
        for process in wanted.processes:
            self._settle(process, wanted.stamp(process), wanted)
        self._settle_gateways(wanted)
        for old, beside in to_replace(wanted, self.children, gateways.rotation(self.children, seen)):
            if beside is not None:
                self._begin(beside, wanted.stamp(beside))
            elif old is not None:
                self._let_go(old)

    def _settle_gateways(self, wanted: Wanted) -> None:
        """The one that stands by, and a successor for one whose settings have changed."""
        process = next((one for one in wanted.processes if one.role == "gateway"), None)
        if process is None:
            return
        held = [(process.host, process.port or 0)]
        held += [(one.process.host, one.port) for one in gateways.gateways(self.children)]
        self._listeners.keep(held)
        for one in [one for one in self.children if one.standby and gateways.answers(self.folder, one)]:
            self._promote(one)  # its turn has come, as where somebody removed the lock
        waiting = [one for one in self.children if one.standby and gateways.waits(self.folder, one)]
        for step in gateway_steps(process, wanted.stamp(process), self.children, waiting):
            if step.what == "start" and self._failures.may(process.key + ("+" if step.standby else "")):
                self._begin(process, wanted.stamp(process), standby=step.standby)
            elif step.what == "leave" and step.child is not None:
                self._let_go(step.child)
            elif step.what == "promote" and step.child is not None:
                self._promote(step.child)

    def _settle(self, process: Process, stamp: str, wanted: Wanted) -> None:
        """Starts a wanted process that has no child, or whose child waits to be started again."""
        mine = [child for child in self.children if child.process.key == process.key]
        if process.role == "gateway":  # its successor starts beside it
            mine = [child for child in mine if not child.leaving and not child.standby]
        if not mine:
            self._begin(process, stamp)
        for child in mine:
            if child.phase == "Failed" and child.stamp != stamp:
                self.children.remove(child)
            elif child.phase == "Pending" and child.id is None and self._may_start(process):
                if child.stamp == stamp or comes_back(child, wanted, self.children):
                    self._start(child)
                else:
                    self.children.remove(child)

    def _begin(self, process: Process, stamp: str, standby: bool = False) -> None:
        if standby or self._may_start(process):
            self._generation += 1
            child = Child(process, self._generation, stamp, self.folder.logs)
            child.standby = standby
            self.children.append(child)
            self._start(child)

    def _may_start(self, process: Process) -> bool:
        ready = {child.process.role for child in self.children if child.ever_ready}
        return self._failures.may(process.key) and (process.after is None or process.after in ready)

    def _start(self, child: Child) -> None:
        try:
            sockets = gateways.sockets(self.folder, self._listeners, child, self.children)
        except OSError as error:
            return self._not_yet(child, f"port {child.process.port} cannot be had: {error.strerror or error}")
        try:
            port, beside = child.process.port or free_port(), any(one.serves for one in self.children)
            child.start(self.folder.path, port, sockets, self._growth.starters, beside=beside)
        except OSError as error:
            if error.errno not in FOREVER or child.standby:
                return self._not_yet(child, f"cannot be started: {error}", BACKOFF[-2])
            child.cause = rule("engine-start").finding(why=error)
            return child.become("Failed", "given up")
        log.warning("%s started, pid %s", child.process.key, child.id and child.id.pid)
        self._publish(force=True)  # the pid is on disk before anything else
        if not child.standby:
            self._watches[child] = Watch(child)
        return None

    def _not_yet(self, child: Child, why: str, seconds: float = PORT_SECONDS) -> None:
        child.detail = why
        if child.standby:
            self.children.remove(child)
        self._failures.hold(child.process.key + ("+" if child.standby else ""), seconds)

    def _let_go(self, child: Child) -> None:
        self.children.remove(child) if child.id is None else child.leave()
