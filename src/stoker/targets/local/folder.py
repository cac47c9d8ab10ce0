"""A fleet's folder: every path in it, and the reading and writing of what verbs and supervisor share."""

import contextlib
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stoker.errors import StateBroken
from stoker.fleet.process import Wanted, wanted_from_json, wanted_to_json
from stoker.fleet.state import FleetState, to_json
from stoker.fleet.typed import typed
from stoker.system.file_errors import unwritable
from stoker.system.files import is_locked, keep_json, kept_json, newest_json, previous
from stoker.system.paths import private

GENERATIONS = 10  # fleets that were ready, of which one can be gone back to
ANOTHER_LIVES = 3  # exit code of a supervisor that finds another one
MENDED = 3.0  # seconds in which a living supervisor writes a damaged report anew


@dataclass(frozen=True, slots=True)
class Record:
    """The supervisor's report: the fleet's state, its children for the next supervisor, and what it has taken
    up.

    in_rotation: replicas that the gateway sends to. routes: the revision of the routes as last written.
    """

    fleet: FleetState
    children: tuple[dict[str, Any], ...] = ()
    supervisor: int = 0
    wanted: Wanted | None = None
    in_rotation: int = 0
    routes: int = 0
    asked: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "fleet": to_json(self.fleet),
            "children": list(self.children),
            "supervisor": self.supervisor,
            "wanted": wanted_to_json(self.wanted) if self.wanted else None,
            "in_rotation": self.in_rotation,
            "routes": self.routes,
            "asked": list(self.asked),
        }


def _record(raw: dict[str, Any]) -> Record:
    """What `Record.to_json` wrote, here or by an older Stoker."""
    return typed(Record, raw)


@dataclass(frozen=True, slots=True)
class Folder:
    """`wanted.json` is written by verbs, `state.json` by the supervisor, `routes.json` for the gateway."""

    path: Path

    @property
    def wanted_file(self) -> Path:
        return self.path / "wanted.json"

    @property
    def state_file(self) -> Path:
        return self.path / "state.json"

    @property
    def moved_file(self) -> Path:
        """Touched when a phase changes, something starts again, or another number is wanted; not for figures
        alone."""
        return self.path / "moved"

    @property
    def routes_file(self) -> Path:
        return self.path / "routes.json"

    @property
    def generations_file(self) -> Path:
        """What was ready before."""
        return self.path / "generations.json"

    @property
    def engine_key(self) -> Path:
        return self.path / "engine.key"

    @property
    def endpoint_key(self) -> Path:
        return self.path / "endpoint.key"

    @property
    def lock(self) -> Path:
        """Held by the supervisor as long as it lives."""
        return self.path / "supervisor.lock"

    @property
    def verbs_lock(self) -> Path:
        """Held by a verb while it changes what is wanted."""
        return self.path / "verbs.lock"

    @property
    def leading_lock(self) -> Path:
        """Held by a verb as long as it leads the fleet to something; the autoscaler waits for it."""
        return self.path / "leading.lock"

    @property
    def autoscaler_file(self) -> Path:
        """What the autoscaler decided last, and what it remembers."""
        return self.path / "autoscaler.json"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def targets_file(self) -> Path:
        """The replicas' addresses for a Prometheus."""
        return self.path / "prometheus-targets.json"

    @property
    def history(self) -> Path:
        """A day of figures, for post-mortems."""
        return self.path / "history.sqlite"

    def make(self) -> None:
        """Makes the folder and its logs, private to the user. Raises: StateBroken."""
        try:
            private(self.path.parent)
            private(self.path).chmod(0o700)
            private(self.logs)
        except OSError as error:
            raise unwritable(self.path, error) from None

    @property
    def supervised(self) -> bool:
        """Whether a supervisor lives. Raises: StateBroken, where the lock is no file."""
        return is_locked(self.lock)

    def wanted(self) -> Wanted | None:
        """What verbs last asked for; None where nothing is. A damaged file is replaced by what the supervisor
        took up.

        Raises: StateBroken, where nothing tells.
        """
        try:
            return newest_json(self.wanted_file, wanted_from_json)
        except StateBroken:
            with contextlib.suppress(StateBroken):
                if (record := self.record()) is not None and record.wanted is not None:
                    return record.wanted
            if (found := kept_json(self.wanted_file, wanted_from_json)) is None:
                raise
            return found

    def want(self, wanted: Wanted) -> None:
        """Asks the supervisor for it. Raises: StateBroken, where it cannot be written."""
        try:
            keep_json(self.wanted_file, wanted_to_json(wanted), durable=True)
        except OSError as error:
            raise unwritable(self.wanted_file, error) from None

    def record(self) -> Record | None:
        """The supervisor's last report; None where nothing runs. Raises: StateBroken."""
        deadline = time.monotonic() + MENDED
        while True:
            try:
                return kept_json(self.state_file, _record)
            except StateBroken:
                if time.monotonic() > deadline or not self.supervised:
                    raise
                time.sleep(0.05)  # its writer looks after it

    def report(self, record: Record) -> None:
        """Writes the supervisor's report. Raises: OSError."""
        keep_json(self.state_file, record.to_json())

    def state(self) -> FleetState | None:
        """The fleet as last reported; None where nothing runs. Raises: StateBroken."""
        record = self.record()
        return None if record is None else record.fleet

    def generations(self) -> tuple[Wanted, ...]:
        """What was ready before and now, the newest last. A file that cannot be read, or is gone, is the one
        before; without either there is none."""
        for path in (self.generations_file, previous(self.generations_file)):
            with contextlib.suppress(StateBroken):
                if (found := newest_json(path, _generations)) is not None:
                    return found
        return ()

    def generations_are_kept(self) -> bool:
        """Whether the file of them can be read."""
        with contextlib.suppress(StateBroken):
            return newest_json(self.generations_file, _generations) is not None
        return False

    def keep_generations(self, generations: tuple[Wanted, ...]) -> None:
        """Keeps the newest of them. Raises: OSError."""
        kept = [wanted_to_json(one) for one in generations[-GENERATIONS:]]
        keep_json(self.generations_file, {"generations": kept}, durable=True)

    def forget(self) -> None:
        """Drops what described a running fleet; logs stay for a post-mortem. What cannot be removed stays."""
        kept = (
            self.wanted_file,
            self.state_file,
            self.generations_file,
            self.autoscaler_file,
            self.engine_key,
            self.endpoint_key,
        )
        gone = [*kept, *map(previous, kept), self.routes_file, self.targets_file, self.moved_file]
        gone += [*self.path.glob("gateway.*"), *self.path.glob("*.ranks.json"), *self.path.glob(".*.[0-9]*")]
        for path in gone:
            with contextlib.suppress(OSError):
                path.unlink()


def _generations(raw: dict[str, Any]) -> tuple[Wanted, ...]:
    return tuple(wanted_from_json(one) for one in list(raw["generations"]))
