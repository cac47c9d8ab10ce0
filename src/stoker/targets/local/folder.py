"""A fleet's folder: every path in it, and the reading and writing of what verbs and supervisor share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stoker.fleet.process import Wanted, wanted_from_json, wanted_to_json
from stoker.fleet.state import FleetState, from_json
from stoker.system.files import is_locked, read_json, write_json
from stoker.system.paths import private


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
        """Touched when a phase changes, something starts again, or another number is wanted; not for figures alone."""
        return self.path / "moved"

    @property
    def routes_file(self) -> Path:
        return self.path / "routes.json"

    @property
    def seen_file(self) -> Path:
        return self.path / "gateway.seen.json"

    @property
    def gateway_file(self) -> Path:
        return self.path / "gateway.json"

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
        """Makes the folder and its logs, private to the user."""
        private(self.path.parent)
        private(self.path).chmod(0o700)
        private(self.logs)

    @property
    def supervised(self) -> bool:
        """Whether a supervisor lives."""
        return is_locked(self.lock)

    def wanted(self) -> Wanted | None:
        """What verbs last asked for; None where nothing is."""
        raw = read_json(self.wanted_file)
        return None if raw is None else wanted_from_json(raw)

    def want(self, wanted: Wanted) -> None:
        """Asks the supervisor for it."""
        write_json(self.wanted_file, wanted_to_json(wanted))

    def record(self) -> dict[str, Any] | None:
        """The supervisor's last report: `fleet` and `children`."""
        found: dict[str, Any] | None = read_json(self.state_file)
        return found

    def state(self) -> FleetState | None:
        """The fleet as last reported; None where nothing runs."""
        record = self.record()
        return None if record is None else from_json(record["fleet"])

    def forget(self) -> None:
        """Drops what described a running fleet; logs stay for a post-mortem."""
        for path in (
            self.wanted_file,
            self.state_file,
            self.routes_file,
            self.seen_file,
            self.gateway_file,
            self.targets_file,
            self.moved_file,
        ):
            path.unlink(missing_ok=True)
        for path in (self.engine_key, self.endpoint_key):
            path.unlink(missing_ok=True)
