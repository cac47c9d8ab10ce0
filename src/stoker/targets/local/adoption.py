"""Taking over the children of a supervisor that is gone: as its record names them, or as they name
themselves.

What runs and cannot be explained is left alone: only `down` ends it.
"""

import logging
from pathlib import Path

from stoker.errors import StateBroken
from stoker.fleet.process import Process, Wanted
from stoker.fleet.typed import of_today
from stoker.system.files import read_secret, write_secret
from stoker.targets.local.child import Child
from stoker.targets.local.folder import Folder, Record
from stoker.targets.local.process_marks import of_fleet
from stoker.targets.local.restarts import read_again

log = logging.getLogger("stoker.supervisor")


def read_record(folder: Folder) -> Record | None:
    """The last supervisor's report; None where there is none, or none that can be read."""
    try:
        return folder.record()
    except StateBroken as error:
        log.warning("%s: %s; what runs is found by its own marks", error.finding.what, error.finding.why)
        return None


def adopt(folder: Folder, record: Record | None, wanted: Wanted | None) -> list[Child]:
    """The children that still run."""
    children = [child for raw in (record.children if record else ()) if (child := _recorded(raw, folder))]
    for child in children:
        if child.id is not None and not child.id.alive:
            log.warning("%s (pid %d) ended while nobody watched", child.process.key, child.id.pid)
        elif child.id is not None:
            log.warning("adopted %s, pid %d", child.process.key, child.id.pid)
    return children + _unrecorded(folder, children, wanted)


def _recorded(raw: dict[str, object], folder: Folder) -> Child | None:
    try:
        raw = of_today(raw)
        child = Child.adopt(raw, folder.logs)
        words = raw.get("last_error")
        if child.cause is None and isinstance(words, str) and words:  # of a Stoker that kept no more
            child.cause = read_again(words, str(child.log), child.process.role)
        return child
    except (KeyError, TypeError, ValueError) as error:  # of another Stoker
        log.warning("a child's record cannot be read: %s: %s", type(error).__name__, error)
        return None


def _unrecorded(folder: Folder, known: list[Child], wanted: Wanted | None) -> list[Child]:
    """Process groups of this fleet that no record names, by the marks that they carry."""
    processes = {one.key: one for one in wanted.processes} if wanted else {}
    lives = {(child.process.key, child.generation) for child in known}
    pids = {child.id.pid for child in known if child.id is not None}
    found = []
    for id, mark in sorted(of_fleet(folder.path), key=lambda one: one[0].started):
        if id.pid in pids or (mark and (mark.key, mark.generation) in lives):
            continue  # recorded, or started by one that is
        process: Process | None = processes.get(mark.key) or mark.process() if mark else None
        if mark is None or process is None:
            log.warning("pid %d belongs to this fleet and is none of its processes: left alone", id.pid)
            continue
        log.warning("found %s, pid %d, without a record", mark.key, id.pid)
        lives.add((mark.key, mark.generation))
        found.append(Child.found(mark, id, process, folder.logs))
    return found


def mend_keys(folder: Folder, children: list[Child]) -> None:
    """A lost key of the engines is taken from one that runs; the endpoint's own cannot be had again."""
    if read_secret(folder.engine_key) is not None:
        return
    for child in children:
        if (
            child.id is not None
            and child.process.routed
            and (key := _environment(child.id.pid).get("VLLM_API_KEY"))
        ):
            log.warning("the engines' key was lost: taken from %s", child.process.key)
            try:
                write_secret(folder.engine_key, key)
            except OSError as error:
                log.warning("the engines' key cannot be kept: %s", error)
            return


def _environment(pid: int) -> dict[str, str]:
    try:
        raw = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return {}
    pairs = (part.partition("=") for part in raw.decode("utf-8", "replace").split("\0"))
    return {name: value for name, _, value in pairs}
