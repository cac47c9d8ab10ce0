"""What metrics show: often exactly at the tolerance, or a thousandth beside it, of what is asked."""

import random
from typing import Any

from benchmarks.hpa_oracle.quantities import milli_value, write_milli
from benchmarks.hpa_oracle.random_fleet import Fleet, Pod

HUGE = ("9E", "9223372036854775807", "9223372036854775807m", "3000000000", "1e15", "214748364800")
ODD = (0.0, 0.0, 1.0, 0.5, 0.49, 2.0, 1.01, 3.0, 0.001, 12.5, -0.4, -1.2)


class Figures:
    """The figures of one sequence: each metric keeps its course for some looks."""

    def __init__(self, chance: random.Random, fleet: Fleet) -> None:
        self.chance = chance
        self.fleet = fleet
        self.ratios: dict[str, float] = {}
        self.missing: dict[str, tuple[Any, int]] = {}
        self.reach = chance.choice((0.0, 0.0, 0.03, 0.15))  # of pods that report nothing

    def of(
        self, spec: dict[str, Any], tolerances: tuple[float, float], scale: dict[str, int], now: float
    ) -> dict[str, Any]:
        """What every metric shows now. `tolerances`: down and up."""
        lean = self._lean(spec, scale["spec"])
        found: dict[str, Any] = {}
        for metric in spec["metrics"]:
            kind = metric["type"]
            source = metric[kind[0].lower() + kind[1:]]
            key = _key(kind, source)
            if key in found:
                continue
            gone = self._gone(key)
            ratio = self._ratio(key, tolerances, lean)
            if gone is not None:
                found[key] = gone[0]
            elif kind == "Pods":
                found[key] = self._by_pod(milli_value(source["target"]["averageValue"]), ratio)
            elif kind in ("Resource", "ContainerResource"):
                found[key] = self._resource(source, ratio, now)
            else:
                found[key] = self._total(kind, source["target"], ratio, scale["status"])
        return found

    def _gone(self, key: str) -> tuple[Any, int] | None:
        gone = self.missing.pop(key, None)
        if gone is None and self.chance.random() < 0.03:
            gone = (self.chance.choice((None, {})), self.chance.choice((1, 2, 4)))
        if gone is not None and gone[1] > 1:
            self.missing[key] = (gone[0], gone[1] - 1)
        return gone

    def _lean(self, spec: dict[str, Any], replicas: int) -> str:
        """Where the load goes: away from a bound that is reached, or to 0 where that is allowed."""
        if replicas >= spec["maxReplicas"]:
            return "down"
        if replicas > 0 and spec["minReplicas"] == 0:
            return self.chance.choice(("zero", "down", "any"))
        return "up" if replicas <= spec["minReplicas"] else "any"

    def _ratio(self, key: str, tolerances: tuple[float, float], lean: str) -> float:
        if key not in self.ratios or self.chance.random() < 0.45:
            self.ratios[key] = self._new_ratio(tolerances, lean)
        return self.ratios[key]

    def _new_ratio(self, tolerances: tuple[float, float], lean: str) -> float:
        draw = self.chance.random()
        if draw < 0.2:
            return 1 + tolerances[1]
        if draw < 0.4:
            return 1 - tolerances[0]
        if draw < 0.55:
            return self.chance.choice(ODD)
        lowest, highest = {"up": (1.0, 3.0), "down": (0.0, 1.0), "zero": (0.0, 0.0)}.get(lean, (0.0, 2.5))
        return self.chance.uniform(lowest, highest)

    def _beside(self) -> int:
        """Mostly none, else a thousandth or so."""
        return self.chance.choice((0, 0, 0, 1, -1, 1, -1, 2, 10))

    def _text(self, milli: int) -> str:
        draw = self.chance.random()
        if draw < 0.8:
            return write_milli(milli)
        if draw < 0.9:
            return f"{milli}m"
        if draw < 0.97:
            return f"{'-' if milli < 0 else ''}{abs(milli) // 1000}.{abs(milli) % 1000:03}"
        if draw < 0.995:
            return (
                f"{milli * 1000 - self.chance.choice((1, 500, 999))}u"  # rounded up to the same, or one less
            )
        return self.chance.choice((*HUGE, "-5", "-1m"))

    def _by_pod(self, target: int, ratio: float) -> dict[str, str]:
        base = round(target * ratio)
        reporting = [pod for pod in self.fleet.pods if self._reports(pod)]
        shown = {pod.name: base for pod in reporting}
        if shown:
            some = self.chance.choice(list(shown))
            shown[some] += self.chance.choice((0, 0, 1, -1, len(shown), -len(shown), len(shown) - 1, base))
            if self.chance.random() < 0.2 and len(shown) > 1:
                other = next(iter(shown))
                shown[some] += base // 3
                shown[other] -= base // 3
        draw = self.chance.random()
        if draw < 0.01:
            shown["x-gone"] = base * 2
        elif draw < 0.015:
            return dict.fromkeys(shown, self.chance.choice(HUGE))
        return {name: self._text(value) for name, value in shown.items()}

    def _reports(self, pod: Pod) -> bool:
        if pod.phase == "Pending":
            return self.chance.random() < 0.02
        if pod.phase != "Running" and self.chance.random() < 0.6:
            return False
        return not self.reach or self.chance.random() >= self.reach

    def _total(self, kind: str, target: dict[str, str], ratio: float, status: int) -> Any:
        each = milli_value(target.get("averageValue", target.get("value", "0")))
        many = max(status, 1) if "averageValue" in target else 1
        whole = round(each * many * ratio) + self._beside()
        if kind == "Object" or self.chance.random() < 0.7:
            return self._text(whole)
        if self.chance.random() < 0.04:
            return [self.chance.choice(HUGE) for _ in range(3)]
        parts = [whole // 3, whole // 2]
        return (
            [self._text(part) for part in (*parts, whole - sum(parts))] if self.chance.random() < 0.95 else []
        )

    def _resource(self, source: dict[str, Any], ratio: float, now: float) -> dict[str, Any]:
        resource, container = source["name"], source.get("container")
        requests = self.fleet.requests
        asked = sum(
            milli_value(requests[name].get(resource, "1"))
            for name in ([container] if container in requests else requests)
        )
        wanted = source["target"].get("averageUtilization")
        base = asked * wanted // 100 if wanted else milli_value(source["target"]["averageValue"])
        base = round(base * ratio)
        if resource == "memory":
            base -= base % 1000  # whole bytes
        shown = {}
        for pod in self.fleet.pods:
            if self._reports(pod):
                shown[pod.name] = {
                    "value": write_milli(base + (self._beside() if resource == "cpu" else 0)),
                    "timestamp": self._taken(pod, now),
                    "window": self.chance.choice((15, 15, 30)),
                }
        return shown

    def _taken(self, pod: Pod, now: float) -> int:
        """When a sample was taken: lately, or at the edge of what is believed of a pod."""
        if pod.changed is not None and self.chance.random() < 0.5:
            return pod.changed + self.chance.choice((14, 15, 16, 29, 30, 31))
        return int(now) - self.chance.choice((0, 5, 15, 30))


def _key(kind: str, source: dict[str, Any]) -> str:
    if kind == "ContainerResource":
        return f"{source['container']}/{source['name']}"
    return str(source["name"] if kind == "Resource" else source["metric"]["name"])
