"""What the gateway is told: its own settings once, and the replicas' routes again whenever they change."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from stoker.errors import StateBroken
from stoker.fleet.typed import typed
from stoker.system.files import keep_json, newest_json, read_secret, write_json

MAX_BODY = 256 << 20


@dataclass(frozen=True, slots=True)
class Settings:
    """Read at start from the file that the plan rendered. Keys are in files of mode 0600, named here.

    engine_key: None where the engines ask for none. max_body: bytes of a request's body. routes_file and
    seen_file: of a local fleet; a pod watches pods.
    """

    host: str
    port: int
    queue_timeout: float
    cors: tuple[str, ...]
    hosts: tuple[str, ...]
    inference_routes: frozenset[str]
    key: str | None
    engine_key: str | None
    routes_file: Path | None
    seen_file: Path | None
    model: str
    max_body: int = MAX_BODY

    @classmethod
    def read(cls, path: Path) -> "Settings":
        """Reads the settings and the keys that they name. Raises: OSError, ValueError."""
        return cls.parse(path.read_text())

    @classmethod
    def parse(cls, text: str) -> "Settings":
        """The settings as JSON has them, with the keys that they name. Raises: OSError, ValueError."""
        raw: dict[str, Any] = json.loads(text)
        key_file, engine_file = raw["key_file"], raw["engine_key_file"]
        routes, seen = raw.get("routes_file"), raw.get("seen_file")
        return cls(
            host=raw["host"],
            port=raw["port"],
            queue_timeout=raw["queue_timeout"] if "queue_timeout" in raw else raw["hold"],  # before 0.2
            cors=tuple(raw["cors"]),
            hosts=tuple(raw["hosts"]),
            inference_routes=frozenset(raw["inference_routes"]),
            key=_secret(key_file),
            engine_key=_secret(engine_file),
            routes_file=Path(routes) if routes else None,
            seen_file=Path(seen) if seen else None,
            model=raw["model"],
            max_body=raw.get("max_body", MAX_BODY),
        )


def _secret(path: str | None) -> str | None:
    """A key out of its file. Raises: OSError, where it is lost: nobody serves without the lock that was asked
    for."""
    if not path:
        return None
    if (found := read_secret(Path(path))) is None:
        raise OSError(f"the key in {path} is lost")
    return found


@dataclass(frozen=True, slots=True)
class Route:
    """One replica as the supervisor lists it. A leaving one gets nothing new and finishes what it has.

    cut: it leaves now, and what it has not finished is ended by the gateway.
    """

    id: str
    host: str
    port: int
    leaving: bool = False
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Routes:
    """All replicas at one revision; `reason` says in words why none is ready, where none is.

    stopping: none will become ready again, so that no request needs to wait.
    """

    revision: int = 0
    routes: tuple[Route, ...] = ()
    reason: str = "no replica has been started yet"
    stopping: bool = False

    @classmethod
    def read(cls, path: Path) -> "Routes":
        """Reads the file; one that is not there yet means no routes. Raises: StateBroken."""
        return newest_json(path, cls.from_json) or cls()

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> "Routes":
        """What `to_json` made. Raises: ValueError."""
        if (
            missing := {"revision", "routes"} - raw.keys()
        ):  # all have defaults: anything else would be no routes
            raise ValueError(f"{', '.join(sorted(missing))} is missing")
        return typed(cls, raw)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def write(self, path: Path) -> None:
        """Replaces the file in one step, so that no reader sees half of it. Raises: OSError."""
        keep_json(path, self.to_json())


@dataclass(frozen=True, slots=True)
class Seen:
    """What a gateway reports in its own file: the revision it follows, and requests in flight by leaving
    replica.

    ready: the replicas it sends to. silent: those of which nothing has come for a while though requests are
    in flight, each with the time of its last sign of life (seconds of the system's monotonic clock). asked:
    what clients ask for, of `features`.
    waiting: it does not answer yet, since another gateway does. requests: how many it holds, with a replica
    or waiting for one, a second old at most.
    """

    revision: int
    in_flight: dict[str, int]
    ready: tuple[str, ...] = ()
    silent: dict[str, float] = field(default_factory=dict)
    asked: tuple[str, ...] = ()
    waiting: bool = False
    requests: int = 0

    @classmethod
    def read(cls, path: Path) -> "Seen | None":
        """The last report, or None where there is none that can be read."""
        try:
            return newest_json(path, cls.from_json)
        except StateBroken:
            return None

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> "Seen":
        """What `write` wrote. Raises: ValueError."""
        return typed(cls, raw)

    def write(self, path: Path) -> None:
        """Replaces the file in one step. Raises: OSError."""
        write_json(path, asdict(self))
