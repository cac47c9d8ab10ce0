"""The notice of a load test, on this machine: the console of the fleet shows how far it is while it runs, and
plays the newest one on a virtual clock."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stoker.errors import StateBroken
from stoker.fleet.typed import typed
from stoker.system import clock, paths
from stoker.system.files import read_json, write_json

FRESH = 5.0  # seconds after which a notice is of a test that is gone


@dataclass(frozen=True, slots=True)
class LastTest:
    """The newest load test of a fleet. at: when it began, epoch seconds; words: its workload as it was asked
    for; base: the folder that its files are beside; results: where its run is kept. Both are absolute."""

    at: float
    words: Mapping[str, Any]
    base: str
    results: str


class Notice:
    """One test's notice. What cannot be written is left: the test goes on without it."""

    def __init__(self, fleet: str) -> None:
        self._file, self._last = paths.running_test(fleet), paths.last_test(fleet)

    def begin(self, words: Mapping[str, Any], base: Path | None, results: Path) -> None:
        """A test begins that can be played again. base: where its workload file is."""
        last = LastTest(clock.now(), dict(words), str((base or Path()).absolute()), str(results.absolute()))
        with contextlib.suppress(OSError, StateBroken):
            paths.private(self._last.parent)
            write_json(self._last, asdict(last))

    def tell(self, text: str, share: float | None) -> None:
        """How far it is: in words, and as a share of its time where that is known."""
        with contextlib.suppress(OSError, StateBroken):
            paths.private(self._file.parent)
            write_json(self._file, {"at": clock.now(), "text": text, "share": share})

    def end(self) -> None:
        """The test is over."""
        with contextlib.suppress(OSError):
            self._file.unlink()


@contextlib.contextmanager
def notice(fleet: str) -> Iterator[Notice]:
    """A notice for as long as the block lasts."""
    made = Notice(fleet)
    try:
        yield made
    finally:
        made.end()


def running(fleet: str) -> dict[str, Any] | None:
    """The notice of a fleet's test: `text` and `share`; None where none runs."""
    try:
        found = read_json(paths.running_test(fleet))
        fresh = isinstance(found, dict) and 0 <= clock.now() - float(found["at"]) < FRESH
        return {"text": str(found["text"])[:300], "share": found.get("share")} if fresh else None
    except (StateBroken, KeyError, TypeError, ValueError):
        return None


def last(fleet: str) -> LastTest | None:
    """The newest test of a fleet that can be played again; None where nobody knows of one."""
    try:
        return typed(LastTest, read_json(paths.last_test(fleet)))
    except (StateBroken, ValueError):
        return None
