"""Run: a workload that was sent, or simulated, and everything that is known of it. One noun for both.

`run.json` is a Run without its records, which stand in `records.jsonl`, one a line, and its timeline, which
stands in `timeline.jsonl`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from stoker.engine.profile import EngineProfile
from stoker.findings import Finding
from stoker.fleet.points import Point
from stoker.fleet.typed import typed
from stoker.traffic.measures import Spread, Summary, Window
from stoker.traffic.objectives import SHARE, LatencyObjectives
from stoker.traffic.records import RequestRecord

VERSION = 1  # of the files' form


@dataclass(frozen=True, slots=True)
class Moment:
    """A second of the run as the server told it. at: seconds from the start; whole: all replicas together."""

    at: float
    whole: Point
    replicas: tuple[Point, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerSide:
    """What the engines counted themselves within the window: rates a second, latencies out of histograms
    (seconds, by name and quantile), and the mean of each. None: no engine told it."""

    requests: float | None = None
    prompt_tokens: float | None = None
    generation_tokens: float | None = None
    preemptions: float | None = None
    prefix_hit_share: float | None = None
    latencies: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GeneratorUse:
    """What the load generator itself used: processes, the busiest one's share of a core, CPU seconds of all,
    its event loop."""

    workers: int = 1
    busiest: float = 0.0
    cpu: float = 0.0
    loop: str = ""


@dataclass(frozen=True, slots=True)
class Environment:
    """Where and with what: versions, machine, the fleet's spec and plan as plain values where they are
    known."""

    stoker: str = ""
    engine: str = ""
    python: str = ""
    machine: str = ""
    cores: int = 0
    spec: Mapping[str, Any] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)
    price: float | None = None  # an hour of what served, in dollars


@dataclass(frozen=True, slots=True)
class Run:
    """One test. name: the fleet, or its URL. started: epoch seconds. workload: as it was asked for, in the
    words of a workload file. share: of requests that are to keep the objectives. profile: of the engine,
    where it was a single one."""

    kind: Literal["measured", "simulated"]
    name: str
    model: str
    url: str
    started: float
    workload: Mapping[str, Any]
    summary: Summary
    objectives: LatencyObjectives = LatencyObjectives()
    share: float = SHARE
    interrupted: bool = False
    server: ServerSide = ServerSide()
    generator: GeneratorUse = GeneratorUse()
    environment: Environment = Environment()
    findings: tuple[Finding, ...] = ()
    profile: EngineProfile | None = None
    version: int = VERSION
    records: tuple[RequestRecord, ...] = ()
    timeline: tuple[Moment, ...] = ()

    @property
    def window(self) -> Window:
        """The measured part."""
        return self.summary.window

    @property
    def holds(self) -> bool:
        """Whether its figures can be believed: nothing spoiled the test itself."""
        return not any(one.severity == "error" for one in self.findings)

    @property
    def cost(self) -> float | None:
        """Dollars a million output tokens; None where there is no price, or no token."""
        rate = self.summary.output_rate
        price = self.environment.price
        return price / (rate * 3600) * 1e6 if price is not None and rate else None


def to_json(run: Run) -> dict[str, Any]:
    """What `run.json` holds, and `stoker bench -o json` prints: all but records and timeline."""
    out = asdict(_light(run))
    out.pop("records"), out.pop("timeline")
    out["cost"] = run.cost
    out["holds"] = run.holds
    return out


def from_json(
    raw: Mapping[str, Any],
    records: tuple[RequestRecord, ...] = (),
    timeline: tuple[Moment, ...] = (),
) -> Run:
    """The run that `to_json` wrote. Raises: ValueError, for anything else, or a later form."""
    if raw.get("version") != VERSION:
        raise ValueError(f"its version is {raw.get('version')!r}, this Stoker reads {VERSION}")
    known = {key: value for key, value in raw.items() if key not in ("cost", "holds")}
    found = typed(Run, {**known, "records": [], "timeline": []})
    return _with(found, records, timeline)


def _light(run: Run) -> Run:
    return _with(run, (), ())


def _with(run: Run, records: tuple[RequestRecord, ...], timeline: tuple[Moment, ...]) -> Run:
    from dataclasses import replace

    return replace(run, records=records, timeline=timeline)


__all__ = ["Environment", "GeneratorUse", "Moment", "Run", "ServerSide", "Spread", "from_json", "to_json"]
