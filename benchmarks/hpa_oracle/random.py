"""`python -m benchmarks.hpa_oracle.random --count N --seed S > FILE.jsonl`: N random sequences with the
oracle's answers, a line each, in the shape of recordings.

What recordings lack: `fetched` of a sync (False where the count was decided without metrics; missing means
True), `hpa_spec` of a sync (from there on), `rivals` of a sync (other HPAs on these pods), `rescale_reason`;
of pods `start_time`, `ready_since` (when Ready last changed; null: no such condition) and `requests`, of
resource metrics `timestamp` and `window`, all in seconds, a container's metric under CONTAINER/RESOURCE.
"""

import argparse
import json
import random
import sys
from collections.abc import Iterator
from typing import Any

from benchmarks.hpa_oracle import random_specs
from benchmarks.hpa_oracle.controller import FLAG, Controller
from benchmarks.hpa_oracle.golang import microseconds
from benchmarks.hpa_oracle.random_figures import Figures
from benchmarks.hpa_oracle.random_fleet import Fleet

BEGAN = 1_800_000_000.0


def sequences(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Sequences, each from its own seed."""
    for number in range(count):
        yield sequence(f"random-{seed}-{number}")


def sequence(name: str) -> dict[str, Any]:
    """One sequence, by its name alone."""
    chance = random.Random(name)
    flags = random_specs.flags(chance)
    to_zero = flags["feature-gates"].endswith("true")
    spec = random_specs.spec(chance, name, to_zero)
    replicas = _first(chance, spec)
    whole = {
        "id": name,
        "title": "random",
        "kubernetes": "v1.36.2",
        "flags": flags,
        "initial_replicas": replicas,
        "hpa_spec": spec,
        "created": BEGAN,
        "steps": [],
    }
    world = World(chance, whole, to_zero)
    whole["syncs"] = [world.sync() for _ in range(chance.choice((4, 8, 12, 16, 24)))]
    return whole | {"end": world.now}


def _first(chance: random.Random, spec: dict[str, Any]) -> int:
    least, most = spec["minReplicas"], spec["maxReplicas"]
    if chance.random() < 0.85:
        return chance.randint(max(least, 1), max(most, 1))
    return chance.choice((0, 1, most + 1, most + 3, max(least - 1, 0)))


class World:
    """A cluster with one HPA: clock, fleet, metrics, and people who interfere."""

    def __init__(self, chance: random.Random, whole: dict[str, Any], to_zero: bool) -> None:
        self.chance = chance
        self.to_zero = to_zero
        self.spec = whole["hpa_spec"]
        self.flags = whole["flags"]
        self.replicas = whole["initial_replicas"]
        self.controller = Controller(self.flags, to_zero, namespace=f"hpa-{whole['id']}")
        self.now = BEGAN
        self.period = microseconds(self.flags[FLAG + "sync-period"]) // 1_000_000
        detailed = chance.random() < 0.1 or any(
            "Resource" in metric["type"] for metric in self.spec["metrics"]
        )
        delay = microseconds(self.flags[FLAG + "initial-readiness-delay"]) // 1_000_000
        self.fleet = Fleet(chance, detailed, delay)
        self.fleet.begin(self.replicas, self.now)
        self.figures = Figures(chance, self.fleet)
        self.restless = chance.random() < 0.4
        self.even = chance.random() < 0.7
        self.status = self.fleet.status
        self.disabled = False

    def sync(self) -> dict[str, Any]:
        """Time goes on, things change, the controller looks."""
        self._wait()
        extra: dict[str, Any] = {}
        if self.restless:
            extra = self._interfere()
        if self.disabled and self.chance.random() < 0.4:
            self.replicas = self.chance.randint(1, max(1, self.spec["maxReplicas"]))
        self.fleet.settle(self.replicas, self.now)
        if self.chance.random() < 0.9:
            self.status = self.fleet.status
        scale = {"spec": self.replicas, "status": self.status}
        pods = self.fleet.shown()
        metrics = self.figures.of(self.spec, self._tolerances(), scale, self.now)
        answer = self.controller.reconcile(
            self.spec, scale, pods, metrics, self.now, rivals=extra.get("rivals", ())
        )
        self.replicas = answer["spec_replicas_after"]
        self.disabled = self.replicas == 0 and not answer["fetched"]
        if not answer["fetched"]:
            metrics = {}
        at = {"t": self.now, "t_rel": round(self.now - BEGAN, 3)}
        return at | extra | {"metrics": metrics, "pods": pods, "scale_before": scale} | answer

    def _wait(self) -> None:
        self.now += self.period
        if not self.even:
            self.now = round(self.now + self.chance.choice((0, 0, 0.001, -0.001, 0.25, 1.5)), 3)
        if self.restless and self.chance.random() < 0.02:
            self.now += self.chance.choice((-1, -self.period, -40, 100, 600))

    def _interfere(self) -> dict[str, Any]:
        draw = self.chance.random()
        if draw < (0.3 if self.replicas == 0 else 0.07):
            self.spec = random_specs.edited(self.chance, self.spec, self.to_zero, self.replicas)
            self.fleet.detailed |= any("Resource" in metric["type"] for metric in self.spec["metrics"])
            return {"hpa_spec": self.spec}
        if draw < 0.12:
            most = self.spec["maxReplicas"]
            self.replicas = self.chance.choice(
                (0, 0, 1, most, most + 2, max(self.spec["minReplicas"] - 1, 0))
            )
        elif draw < 0.14:
            return {"rivals": [f"{self.controller.namespace}/y"]}
        return {}

    def _tolerances(self) -> tuple[float, float]:
        found = self.controller.tolerances(self.spec)
        return found.down, found.up


def main() -> None:
    """Writes sequences to stdout."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=100, help="sequences")
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    encode = json.JSONEncoder(check_circular=False, separators=(",", ":")).encode
    for one in sequences(given.count, given.seed):
        sys.stdout.write(encode(one) + "\n")


if __name__ == "__main__":
    main()
