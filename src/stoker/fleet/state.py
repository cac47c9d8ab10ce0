"""FleetState and its parts: what runs, as one value. `-o json` prints it as it is."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from stoker.engine.samples import MetricSample
from stoker.findings import Finding
from stoker.fleet.typed import typed

Phase = Literal[
    "Pending",
    "Scheduled",
    "Pulling",
    "Starting",
    "Loading",
    "Warming",
    "Ready",
    "Unready",
    "Draining",
    "Failed",
]


@dataclass(frozen=True, slots=True)
class Rank:
    """One process of a replica, on one host."""

    index: int
    host: str
    phase: Phase
    pid: int | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """A replica's own figures at one moment. None means that nobody answered, never zero.

    ttft_sum, ttft_count: seconds to the first token of all requests so far, together, and how many they were.
    """

    at: float
    running: float | None = None
    waiting: float | None = None
    kv_cache_usage: float | None = None
    prompt_tokens: float | None = None
    generation_tokens: float | None = None
    ttft_sum: float | None = None
    ttft_count: float | None = None

    @classmethod
    def of(cls, found: MetricSample) -> "Sample":
        """The figures of a look at an engine's page."""
        gauges = (found.gauges.get(name) for name in ("running", "waiting", "kv_cache_usage"))
        counters = (found.counters.get(name) for name in ("prompt_tokens", "generation_tokens"))
        ttft = found.histograms.get("ttft")
        first = (ttft.sum, ttft.counts[-1]) if ttft and ttft.counts else (None, None)
        return cls(found.at, *gauges, *counters, *first)


@dataclass(frozen=True, slots=True)
class Replica:
    """One copy of the model behind the endpoint. `started` is when its process was started, `since` when its
    phase began (epoch seconds); `detail` says more in words.

    current is False for one that runs an older plan and is about to be replaced. cause: why its last life
    ended, made where its log was read; last_error is what it says in one line.
    """

    name: str
    phase: Phase
    since: float
    url: str | None = None
    ranks: tuple[Rank, ...] = ()
    restarts: int = 0
    detail: str = ""
    sample: Sample | None = None
    last_error: str | None = None
    log: str | None = None
    hardware: str = ""
    generation: int = 0
    current: bool = True
    started: float = 0.0
    cause: Finding | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """What stands beside the replicas: the gateway, the web page, the copy of the weights; `detail` in words.

    cause: why it failed, made where that was read.
    """

    role: str
    phase: Phase
    since: float
    pid: int | None = None
    url: str | None = None
    restarts: int = 0
    last_error: str | None = None
    current: bool = True
    detail: str = ""
    cause: Finding | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Something seen that explains a state: where, about what, why, and how often."""

    source: Literal["event", "condition", "log", "probe", "quota"]
    subject: str
    reason: str
    text: str
    count: int = 1
    last_seen: float = 0.0


@dataclass(frozen=True, slots=True)
class ScaledBy:
    """A metric that moves the number of replicas: its average a replica, and the target of that. None: no
    figure yet."""

    metric: str
    value: float | None
    target: float | None


@dataclass(frozen=True, slots=True)
class Scaling:
    """The autoscaler of a fleet: its bounds, what it has and wants now, and its reason in words.

    soon: what it will decide next if the figures stay as they are, and when; empty where nothing is known.
    """

    by: str
    low: int
    high: int
    now: int
    wanted: int
    metrics: tuple[ScaledBy, ...]
    reason: str
    since: float = 0.0
    soon: str = ""


@dataclass(frozen=True, slots=True)
class Stopped:
    """A change that was stopped since its first replacement failed: the fleet goes on as it was.

    revision is the change's, serving the one that goes on; subject failed, with last error, cause and log.
    """

    revision: int
    serving: int
    subject: str
    last_error: str
    log: str | None = None
    since: float = 0.0
    cause: Finding | None = None


@dataclass(frozen=True, slots=True)
class FleetState:
    """One fleet at one moment. `endpoint` is the base URL without `/v1`; `wanted` counts replicas.

    stopped: the newest change, where it failed and was stopped. trouble: what keeps the fleet's keeper from
    its work. requests: how many the endpoint holds, with a replica or waiting for one; None where that is not
    known.
    """

    name: str
    target: str
    at: float
    revision: int = 0
    endpoint: str | None = None
    page: str | None = None
    model: str | None = None
    wanted: int = 0
    replicas: tuple[Replica, ...] = ()
    services: tuple[Service, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    supervised: bool = True
    stopping: bool = False
    command: str = ""
    scaling: Scaling | None = None
    stopped: Stopped | None = None
    trouble: str = ""
    requests: int | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def ready(self) -> int:
        """How many replicas are ready."""
        return sum(replica.phase == "Ready" for replica in self.replicas)

    def service(self, role: str) -> Service | None:
        """The service of that role, where there is one."""
        return next((service for service in self.services if service.role == role), None)


def to_json(state: FleetState) -> dict[str, Any]:
    """The state as plain values."""
    return asdict(state)


def from_json(raw: dict[str, Any]) -> FleetState:
    """The state that `to_json` wrote. Raises: ValueError, for anything else."""
    return typed(FleetState, raw)
