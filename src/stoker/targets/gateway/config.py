"""What the gateway is told: its own settings once, and the replicas' routes again whenever they change."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_BODY = 256 << 20


@dataclass(frozen=True, slots=True)
class Settings:
    """Read at start from the file that the plan rendered. Keys are in files of mode 0600, named here.

    engine_key: None where the engines ask for none. max_body: bytes of a request's body. routes_file and seen_file: of a local fleet; a pod watches pods.
    """

    host: str
    port: int
    hold: float
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
        raw: dict[str, Any] = json.loads(path.read_text())
        key_file, engine_file = raw["key_file"], raw["engine_key_file"]
        routes, seen = raw.get("routes_file"), raw.get("seen_file")
        return cls(
            host=raw["host"],
            port=raw["port"],
            hold=raw["hold"],
            cors=tuple(raw["cors"]),
            hosts=tuple(raw["hosts"]),
            inference_routes=frozenset(raw["inference_routes"]),
            key=Path(key_file).read_text().strip() if key_file else None,
            engine_key=Path(engine_file).read_text().strip() if engine_file else None,
            routes_file=Path(routes) if routes else None,
            seen_file=Path(seen) if seen else None,
            model=raw["model"],
            max_body=raw.get("max_body", MAX_BODY),
        )


@dataclass(frozen=True, slots=True)
class Route:
    """One replica as the supervisor lists it. A leaving one gets nothing new and finishes what it has."""

    id: str
    host: str
    port: int
    leaving: bool = False


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
        """Reads the file; one that is not there yet means no routes."""
        try:
            raw = json.loads(path.read_text())
        except FileNotFoundError:
            return cls()
        routes = tuple(Route(r["id"], r["host"], r["port"], r["leaving"]) for r in raw["routes"])
        return cls(raw["revision"], routes, raw["reason"], raw["stopping"])

    def write(self, path: Path) -> None:
        """Replaces the file in one step, so that no reader sees half of it."""
        routes = [{"id": r.id, "host": r.host, "port": r.port, "leaving": r.leaving} for r in self.routes]
        text = json.dumps(
            {"revision": self.revision, "routes": routes, "reason": self.reason, "stopping": self.stopping}
        )
        partial = path.with_suffix(".new")
        partial.write_text(text)
        os.replace(partial, path)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the gateway answers in its own file: the revision it follows, and requests in flight by replica."""

    revision: int
    in_flight: dict[str, int]
    ready: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path) -> "Seen | None":
        """The last report, or None where there is none."""
        try:
            raw = json.loads(path.read_text())
        except (FileNotFoundError, ValueError):
            return None
        return cls(raw["revision"], raw["in_flight"], tuple(raw["ready"]))

    def write(self, path: Path) -> None:
        """Replaces the file in one step."""
        text = json.dumps({"revision": self.revision, "in_flight": self.in_flight, "ready": list(self.ready)})
        partial = path.with_suffix(".new")
        partial.write_text(text)
        os.replace(partial, path)
