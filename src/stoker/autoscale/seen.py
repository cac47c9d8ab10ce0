"""What the autoscaler looks at: the object that it scales, its pods, and the figures that reached it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod as the API has it.

    phase: Pending, Running, Succeeded, Failed or Unknown. ready: its Ready condition; None where it has none.
    started, ready_since: when it was started and when that condition last changed, in seconds on the clock of
    `now`; None where unknown, and then its CPU counts for nothing. requests: thousandths that a
    container requests of a resource, by container and resource; levels: the same of the pod as a whole.
    """

    name: str
    phase: str = "Running"
    ready: bool | None = True
    deleting: bool = False
    started: float | None = None
    ready_since: float | None = None
    requests: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    levels: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reading:
    """A pod's figure with its age: when it was taken, over how many seconds."""

    value: int
    at: float
    window: float


@dataclass(frozen=True, slots=True)
class Lost:
    """A figure that did not arrive. why: the error's own words."""

    why: str


# of a Pods metric: thousandths by pod; of a Resource: readings by pod; of an External: its series; of an
# Object: its one value
Figures = Mapping[str, int] | Mapping[str, Reading] | tuple[int, ...] | int | Lost


@dataclass(frozen=True, slots=True)
class Scale:
    """The scaled object. wanted: its spec.replicas; current: its status.replicas; rivals: every HPA that
    selects its pods, this one first, where there are several, as `namespace/name`."""

    wanted: int
    current: int
    pods: tuple[Pod, ...]
    namespace: str = "default"
    selector: str = ""
    rivals: tuple[str, ...] = ()
