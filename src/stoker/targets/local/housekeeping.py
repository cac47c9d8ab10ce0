"""The supervisor's own upkeep: what is wanted, read anew when it changes, and a folder that others may
damage.

A file that is cut short, emptied or removed while the supervisor lives is written anew out of what it knows;
where that fails, as on a full disk, it says why and goes on.
"""

import contextlib
import logging
import os
import shutil
import time
from typing import IO

from stoker.errors import StateBroken
from stoker.fleet.process import Wanted, wanted_from_json
from stoker.system.files import locked, newest_json, try_lock
from stoker.targets.local.folder import Folder, Record

EVERY = 1.0
ROOM = 256 << 10  # bytes; less is a full disk
MEND_SECONDS = 0.2  # for which a verb's lock is waited for

log = logging.getLogger("stoker.supervisor")


class Upkeep:
    """What verbs want, and the folder it is told in. trouble: why the folder cannot be looked after; empty if
    it can."""

    def __init__(self, folder: Folder, lock: IO[str] | None, record: Record | None) -> None:
        self.folder = folder
        self.trouble = ""
        self.replaced = False  # another supervisor keeps the fleet
        self._lock = lock
        self._looked = 0.0
        self._stamp: int | None = None
        self.wanted: Wanted | None = record.wanted if record else None
        with contextlib.suppress(StateBroken):
            self.wanted = folder.wanted() or self.wanted
        self._said = ""

    def look(self) -> bool:
        """Reads what is wanted where it has changed, and mends the folder now and then. True where a verb
        asks anew."""
        self._say_own()
        if time.monotonic() - self._looked > EVERY:
            self._looked = time.monotonic()
            self._look_after()
        try:
            stamp = self.folder.wanted_file.stat().st_mtime_ns
        except OSError:
            return False  # what was taken up stays
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        return self._read()

    def _read(self) -> bool:
        try:
            found = newest_json(self.folder.wanted_file, wanted_from_json)
        except StateBroken as error:
            log.warning("%s: %s; what was asked before stays", error.finding.what, error.finding.why)
            self._mend_wanted()
            return False
        before, self.wanted = self.wanted, found or self.wanted
        return before is None or found is None or found.revision != before.revision

    def _mend_wanted(self) -> None:
        """Writes it anew, unless a verb does so meanwhile."""
        if self.wanted is None:
            return
        with contextlib.suppress(StateBroken), locked(self.folder.verbs_lock, MEND_SECONDS):
            try:
                newest_json(self.folder.wanted_file, wanted_from_json)
            except StateBroken:
                self.folder.want(self.wanted)

    def _look_after(self) -> None:
        try:
            if not self.folder.logs.is_dir():
                self.folder.make()
            if self.wanted is not None and not self.folder.wanted_file.exists():
                self.folder.want(self.wanted)
            self._keep_lock()
            self.trouble = ""
        except StateBroken as error:
            self.complain(f"{error.finding.what}: {error.finding.why}")
        except OSError as error:
            self.complain(f"the fleet's folder cannot be looked at: {error.strerror or error}")

    @property
    def full(self) -> bool:
        """Whether the disk has no room: what ends then may have ended by that."""
        try:
            return shutil.disk_usage(self.folder.path).free < ROOM
        except OSError:
            return False

    def complain(self, trouble: str) -> None:
        """Notes why something cannot be kept; said once, not at each try."""
        self.trouble = trouble
        if trouble != self._said:
            self._said = trouble
            log.warning("%s; the fleet goes on", trouble)

    def _keep_lock(self) -> None:
        """The lock is a file by its name: where that was removed, another one is taken before another
        supervisor does."""
        if self._lock is None:
            return
        with contextlib.suppress(FileNotFoundError):
            if os.stat(self.folder.lock).st_ino == os.fstat(self._lock.fileno()).st_ino:
                return
        if (held := try_lock(self.folder.lock)) is None:
            log.warning("another supervisor keeps this fleet: this one ends, the processes go on")
            self.replaced = True
            return
        self._lock = held

    def _say_own(self) -> None:
        """Writes this process' number into its lock, for people."""
        if self._lock is not None and not self._looked:
            with contextlib.suppress(OSError):
                self._lock.truncate(0)
                self._lock.write(str(os.getpid()))
                self._lock.flush()
