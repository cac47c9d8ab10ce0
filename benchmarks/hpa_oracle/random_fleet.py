"""A fleet that follows decisions badly: pods start late, are not ready, fail, end, are deleted slowly."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

REQUESTS = (
    {"app": {"cpu": "500m", "memory": "256Mi"}},
    {"app": {"cpu": "1", "memory": "1Gi"}, "side": {"cpu": "100m", "memory": "64M"}},
    {"side": {"cpu": "250m", "memory": "100Mi"}, "app": {"cpu": "333m", "memory": "128Mi"}},
    {"app": {"cpu": "2"}},
    {"app": {"cpu": "0", "memory": "0"}},
)
NEVER = 1e12
DELAYS = (0, 0, 5, 10, 15, 30, 45, NEVER)


@dataclass(slots=True)
class Pod:
    """A pod, and when what comes next comes (seconds)."""

    name: str
    created: str
    requests: dict[str, Any]
    phase: str = "Pending"
    ready: bool = False
    deleting: bool = False
    start: int | None = None
    changed: int | None = None
    runs_at: float = 0.0
    ready_at: float = 0.0
    gone_at: float = NEVER

    @property
    def serves(self) -> bool:
        """Whether its owner counts it."""
        return not self.deleting and self.phase in ("Pending", "Running")

    def shown(self, detailed: bool) -> dict[str, Any]:
        """As recordings list it; with what resource metrics need, where they are asked."""
        shown: dict[str, Any] = {
            "name": self.name,
            "phase": self.phase,
            "ready": self.ready,
            "deleting": self.deleting,
            "created": self.created,
        }
        if detailed:
            shown |= {"start_time": self.start, "ready_since": self.changed, "requests": self.requests}
        return shown


class Fleet:
    """The pods of a Deployment, brought towards the replicas asked for at every look."""

    def __init__(self, chance: random.Random, detailed: bool, readiness_delay: int) -> None:
        """`readiness_delay`: the controller's, in seconds; states change about then."""
        self.chance = chance
        self.detailed = detailed
        self.pods: list[Pod] = []
        self.readiness_delay = readiness_delay
        self.quota = chance.choice((0, 2, 2, 4, 4)) if chance.random() < 0.1 else 10_000
        self.requests = chance.choices(REQUESTS, (40, 25, 25, 6, 4))[0]
        self.trouble = chance.choice((0.0, 0.0, 0.01, 0.04, 0.1))
        self.slow = chance.random() < 0.6
        self.count = 0

    def begin(self, replicas: int, now: float) -> None:
        """Most of the first replicas run already."""
        for _ in range(min(replicas, self.quota)):
            pod = self._new(now - 1000)
            if self.chance.random() < 0.9:
                pod.phase, pod.ready = "Running", True
                pod.changed = pod.start + 5 if pod.start is not None else None

    def settle(self, replicas: int, now: float) -> None:
        """What happened until now, and what the owner does about it."""
        self.pods = [pod for pod in self.pods if pod.gone_at > now]
        for pod in self.pods:
            self._live(pod, now)
        serving = [pod for pod in self.pods if pod.serves]
        for _ in range(min(replicas, self.quota) - len(serving)):
            self._new(now)
        if len(serving) > replicas:
            serving.sort(key=lambda pod: (pod.ready, pod.phase == "Running"))
            for pod in serving[: len(serving) - replicas]:
                self._end(pod, now)

    @property
    def status(self) -> int:
        """What the Deployment's status counts."""
        return sum(pod.serves for pod in self.pods)

    def shown(self) -> list[dict[str, Any]]:
        """The pods as listed."""
        return [pod.shown(self.detailed) for pod in self.pods]

    def _new(self, now: float) -> Pod:
        self.count += 1
        created = datetime.fromtimestamp(int(now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        pod = Pod(f"x-{self.count}", created, self.requests)
        if not self.slow or self.chance.random() < 0.4:
            pod.phase, pod.runs_at, pod.ready_at = "Running", now, now + self.chance.choice(DELAYS)
            pod.ready = pod.ready_at <= now
        else:
            pod.runs_at = now + self.chance.choice(DELAYS)
            pod.ready_at = pod.runs_at + self.chance.choice(DELAYS)
        if self.chance.random() < 0.95:
            pod.start = pod.changed = int(now)
        self.pods.append(pod)
        return pod

    def _live(self, pod: Pod, now: float) -> None:
        if pod.phase == "Pending" and now >= pod.runs_at:
            pod.phase = "Running"
        if pod.phase != "Running":
            return
        if not pod.ready and pod.ready_at <= now:
            pod.ready, pod.changed = True, int(now)
        elif self.trouble and self.chance.random() < self.trouble:
            what = self.chance.randrange(4)
            if what == 0:
                pod.phase, pod.gone_at = "Failed", now + self.chance.choice(DELAYS)
            elif what == 1:
                pod.phase, pod.gone_at = "Succeeded", now + self.chance.choice(DELAYS)
            elif what == 2:
                pod.changed = None
            else:
                pod.ready, pod.changed = False, int(now)
                if pod.start is not None and self.chance.random() < 0.6:
                    pod.changed = pod.start + self.readiness_delay + self.chance.choice((-1, 0, 0, 1))
                pod.ready_at = now + self.chance.choice(DELAYS)

    def _end(self, pod: Pod, now: float) -> None:
        if self.chance.random() < 0.5:
            pod.deleting, pod.gone_at = True, now + self.chance.choice((5, 15, 30))
        else:
            self.pods.remove(pod)
