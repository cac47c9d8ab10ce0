"""What is kept of a fleet that did not come up: its state as it failed, until `down` or the next `up`."""

import contextlib
import os
from dataclasses import asdict, dataclass
from typing import Any

from stoker.errors import StateBroken
from stoker.findings import Finding
from stoker.fleet.state import FleetState
from stoker.fleet.typed import typed
from stoker.system import paths
from stoker.system.files import keep_json, kept_json, previous
from stoker.targets.local.folder import Folder

FILE = "last_try.json"


@dataclass(frozen=True, slots=True)
class Try:
    """A try that failed: when, the error that ended it, and the fleet as it was then."""

    at: float
    finding: Finding
    fleet: FleetState

    @property
    def name(self) -> str:
        """The fleet's."""
        return self.fleet.name


def keep(folder: Folder, last: Try) -> None:
    """Keeps it. A disk that is full keeps nothing, and the error is told all the same."""
    with contextlib.suppress(OSError, StateBroken):
        keep_json(folder.path / FILE, asdict(last))


def kept(folder: Folder) -> Try | None:
    """The last try of a fleet; None where it came up, was taken down, or nothing can be read."""
    with contextlib.suppress(StateBroken):
        return kept_json(folder.path / FILE, _read)
    return None


def drop(folder: Folder) -> None:
    """Forgets it."""
    for path in (folder.path / FILE, previous(folder.path / FILE)):
        with contextlib.suppress(OSError):
            path.unlink()


def newest(name: str | None = None) -> Try | None:
    """The last try of a fleet of this machine; of all of them the newest, where none is named."""
    found = (kept(one) for one in folders() if name in (None, one.path.name))
    return max(filter(None, found), key=lambda one: one.at, default=None)


def folders() -> list[Folder]:
    """Those in which a last try is kept."""
    with contextlib.suppress(OSError):
        return [Folder(path) for path in paths.fleets().iterdir() if os.path.lexists(path / FILE)]
    return []


def _read(raw: dict[str, Any]) -> Try:
    return typed(Try, raw)
