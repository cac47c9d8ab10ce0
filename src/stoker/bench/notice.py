"""The notice of a running load test, on this machine: the console of the fleet shows it while it is fresh."""

import contextlib
from collections.abc import Iterator
from typing import Any

from stoker.errors import StateBroken
from stoker.system import clock, paths
from stoker.system.files import read_json, write_json

FRESH = 5.0  # seconds after which a notice is of a test that is gone


class Notice:
    """One test's notice. What cannot be written is left: the test goes on without it."""

    def __init__(self, fleet: str) -> None:
        self._file = paths.running_test(fleet)

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
