"""The supervisor: keeps a fleet's processes as wanted, knowing nothing of what they are for.

Level-triggered: a verb writes `wanted.json`, each tick moves what runs one step towards it. Killed at any moment,
its children go on, and the next supervisor adopts them out of `state.json`.
"""

import asyncio
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import IO

from stoker.engine.last_words import last_words
from stoker.findings import Finding
from stoker.fleet.process import Process, Wanted
from stoker.system import clock
from stoker.system.files import tail, try_lock
from stoker.system.log import setup
from stoker.system.proc import free_port, port_free
from stoker.targets.gateway.config import Seen
from stoker.targets.local import adoption, publish
from stoker.targets.local.child import Child
from stoker.targets.local.folder import Folder
from stoker.targets.local.group import TRY_AGAIN, reason
from stoker.targets.local.leaving import Leaving
from stoker.targets.local.lives import Keeper
from stoker.targets.local.replacing import to_replace
from stoker.targets.local.watch import Watch

TICK = 0.1
LOCK_SECONDS = 1.0
MAX_FAILURES = 5
STEADY_SECONDS = 60.0  # ready for so long: earlier failures are forgotten
BACKOFF = (0.2, 1.0, 2.0, 5.0, 15.0, 30.0)

log = logging.getLogger("stoker.supervisor")


class Supervisor:
    """All children of one fleet."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.wanted: Wanted | None = None
        self.children: list[Child] = []
        self._watches: dict[Child, Watch] = {}
        self._leavings: dict[Child, Leaving] = {}
        self._failures: dict[str, int] = {}
        self._not_before: dict[str, float] = {}
        self._generation = 0
        self._stamp = 0
        self._publisher = publish.Publisher(folder)

    async def run(self) -> None:
        """Until nothing is wanted and nothing runs."""
        self.children = adoption.adopt(self.folder)
        self._generation = max((child.generation for child in self.children), default=0)
        for child in self.children:
            self._watches[child] = Watch(child)
        keeper = Keeper(self.folder.logs, lambda: {child.log for child in self.children})
        self._keeping = asyncio.create_task(keeper.run())
        while True:
            self._read_wanted()
            for child in list(self.children):
                await self._tend(child)
            self._reconcile()
            self._publisher.publish(self.wanted, self.children)
            if self.wanted is not None and not self.wanted.processes and not self.children:
                return
            await asyncio.sleep(TICK)

    def _read_wanted(self) -> None:
        try:
            stamp = self.folder.wanted_file.stat().st_mtime_ns
        except FileNotFoundError:
            return
        if stamp != self._stamp:
            self.wanted, self._stamp = self.folder.wanted(), stamp
            self._not_before.clear()

    # one child

    async def _tend(self, child: Child) -> None:
        code = child.ended()
        if code is not None and child.phase != "Failed":
            self._ended(child, code)
        elif child.leaving:
            leaving = self._leavings.setdefault(child, Leaving(child, self.folder, self._watches.get(child)))
            await leaving.step(self.wanted.drain_timeout if self.wanted else 0.0, self._publisher.revision)
        elif (watch := self._watches.get(child)) and watch.hung:
            log.warning("%s hangs: %s", child.process.key, watch.hung)
            child.last_words = watch.hung
            child.kill()
        elif child.phase == "Ready" and clock.now() - child.since > STEADY_SECONDS:
            self._failures.pop(child.process.key, None)

    def _ended(self, child: Child, code: int) -> None:
        """It has ended: what is left of its group goes, and it is restarted, given up, or gone as asked."""
        child.kill()
        self._forget(child)
        if child.leaving:
            log.warning("%s has left", child.process.key)
            return
        finding = last_words(tail(child.log)) if child.process.routed else None
        words = child.last_words if code == -9 and child.last_words else _words(code, finding, child)
        log.warning("%s ended: %s", child.process.key, words)
        failures = self._failures.get(child.process.key, 0) + (code != TRY_AGAIN)
        self._failures[child.process.key] = failures
        by_itself_in_start_up = (
            code > 0 and code != TRY_AGAIN and not child.ever_ready and child.process.routed
        )
        successor = Child(child.process, child.generation, child.stamp, self.folder.logs)
        successor.log = child.log
        successor.restarts, successor.last_words = child.restarts, words
        successor.ever_ready = False
        if (by_itself_in_start_up and child.restarts == 0) or failures > MAX_FAILURES:
            successor.become("Failed", "given up")
        else:
            wait = BACKOFF[min(max(failures - 1, 0), len(BACKOFF) - 1)]
            self._not_before[child.process.key] = time.monotonic() + wait
            successor.restarts += 1
            successor.become("Pending", f"starts again in {wait:g} s")
        self.children.append(successor)

    def _forget(self, child: Child) -> None:
        if watch := self._watches.pop(child, None):
            watch.stop()
        self._leavings.pop(child, None)
        self.children.remove(child)
        child.clean()

    # all of them

    def _reconcile(self) -> None:
        if self.wanted is None:
            return
        wanted = {process.key: process for process in self.wanted.processes}
        routed = any(child.process.routed for child in self.children)
        for child in list(self.children):
            needed = (
                child.process.role == "gateway" and routed
            )  # answers go through it until the last one is out
            if child.process.key not in wanted and not child.leaving and not needed:
                self._let_go(child)
        for process in self.wanted.processes:
            self._settle(process, self.wanted.stamp(process))
        for old, beside in to_replace(self.wanted, self.children, self._rotation()):
            if beside is not None:
                self._begin(beside, self.wanted.stamp(beside))
            elif old is not None:
                self._let_go(old)

    def _rotation(self) -> tuple[str, ...] | None:
        """The routes that the gateway sends to, as it says itself; None where none runs or it has said nothing yet."""
        lives = any(child.process.role == "gateway" and child.phase == "Ready" for child in self.children)
        seen = Seen.read(self.folder.seen_file) if lives else None
        return seen.ready if seen is not None else None

    def _settle(self, process: Process, stamp: str) -> None:
        """Starts a wanted process that has no child, or whose child waits to be started again."""
        mine = [child for child in self.children if child.process.key == process.key]
        if not mine:
            self._begin(process, stamp)
        for child in mine:
            if child.phase == "Failed" and child.stamp != stamp:
                self.children.remove(child)
            elif child.phase == "Pending" and child.id is None and self._may_start(process):
                if child.stamp != stamp:
                    self.children.remove(child)
                else:
                    self._start(child)

    def _begin(self, process: Process, stamp: str) -> None:
        if self._may_start(process):
            self._generation += 1
            child = Child(process, self._generation, stamp, self.folder.logs)
            self.children.append(child)
            self._start(child)

    def _may_start(self, process: Process) -> bool:
        if time.monotonic() < self._not_before.get(process.key, 0.0):
            return False
        if process.after is None:
            return True
        return any(child.process.role == process.after and child.ever_ready for child in self.children)

    def _start(self, child: Child) -> None:
        if child.process.port and not port_free(child.process.host, child.process.port):
            child.detail = f"port {child.process.port} is taken"
            self._not_before[child.process.key] = time.monotonic() + 0.5
            return
        try:
            child.start(self.folder.path, child.process.port or free_port())
        except OSError as error:
            child.last_words = f"cannot be started: {error}"
            child.become("Failed", "given up")
            return
        log.warning("%s started, pid %s", child.process.key, child.id and child.id.pid)
        self._publisher.publish(
            self.wanted, self.children, force=True
        )  # the pid is on disk before anything else
        self._watches[child] = Watch(child)

    def _let_go(self, child: Child) -> None:
        if child.id is None:
            self.children.remove(child)
        else:
            child.leave()


def _words(code: int, finding: Finding | None, child: Child) -> str:
    if code < 0:
        name = signal.Signals(-code).name if -code in signal.valid_signals() else f"signal {-code}"
        return f"killed by {name}"
    if code == TRY_AGAIN and (why := reason(tail(child.log))):
        return why
    if finding is not None and finding.what:
        return finding.what
    lines = tail(child.log)
    error = next((line for line in reversed(lines) if line.startswith("error: ")), "")
    return error.removeprefix("error: ") or (lines[-1] if lines else f"exit code {code}")


def _hold(folder: Folder) -> IO[str] | None:
    """The fleet's lock. It is asked for a while: whoever looks whether a supervisor lives holds it for a moment."""
    deadline = time.monotonic() + LOCK_SECONDS
    while (held := try_lock(folder.lock)) is None and time.monotonic() < deadline:
        time.sleep(0.02)
    return held


def main() -> int:
    """`python -m stoker.targets.local.supervisor FOLDER`: returns 0 once a process of its own keeps the fleet.

    1 where another supervisor lives. The process is nobody's child, so that no caller has to wait for it.
    """
    setup("supervisor")
    folder = Folder(Path(sys.argv[1]))
    held = _hold(folder)
    if held is None:
        return 1
    if os.fork():
        os._exit(0)  # the lock is the open file's, so the child has it
    held.truncate(0)
    held.write(str(os.getpid()))
    held.flush()
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    asyncio.run(Supervisor(folder).run())
    folder.forget()
    logging.shutdown()
    os._exit(0)  # at once: whoever waits for the end takes the folder's for it


if __name__ == "__main__":
    sys.exit(main())
