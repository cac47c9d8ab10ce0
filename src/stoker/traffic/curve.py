"""Curve: several runs of the same at different levels of load, lightest first, as a sweep leaves them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from stoker.traffic.measures import Summary
from stoker.traffic.objectives import SHARE, LatencyObjectives
from stoker.traffic.run import Environment, Run

Axis = Literal["rate", "users"]


@dataclass(frozen=True, slots=True)
class Level:
    """One run of them. level: requests/s, or users. folder: its name below the curve's own."""

    level: float
    summary: Summary
    folder: str = ""
    holds: bool = True


@dataclass(frozen=True, slots=True)
class Found:
    """The capacity that a sweep found, and where it lies at 95 %. level: None, where no level kept the
    objectives; bounded: whether one that does not keep them was seen. limits: what was broken above it."""

    level: float | None = None
    low: float | None = None
    high: float | None = None
    bounded: bool = True
    limits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Curve:
    """All of them. Fields are a run's."""

    name: str
    model: str
    axis: Axis
    levels: tuple[Level, ...]
    url: str = ""
    kind: Literal["measured", "simulated"] = "measured"
    started: float = 0.0
    workload: Mapping[str, Any] = field(default_factory=dict)
    objectives: LatencyObjectives = LatencyObjectives()
    share: float = SHARE
    environment: Environment = Environment()
    capacity: Found | None = None
    interrupted: bool = False


def curve(runs: Sequence[tuple[str, Run]], sweep: Mapping[str, Any] | None = None) -> Curve:
    """Runs, each with its folder's name, and what `sweep.json` says, where it is there. The load may differ
    between them, and is left out of the workload."""
    axis = _axis([run for _, run in runs])
    named = [(folder, run) for folder, run in runs if _axis([run]) == axis]
    first = named[0][1]
    levels = (Level(level_of(run, axis), run.summary, folder, run.holds) for folder, run in named)
    return Curve(
        name=first.name,
        model=first.model,
        axis=axis,
        levels=tuple(sorted(levels, key=lambda one: one.level)),
        url=first.url,
        kind=first.kind,
        started=min(run.started for _, run in named),
        workload={name: value for name, value in first.workload.items() if name not in ("rate", "users")},
        objectives=first.objectives,
        share=first.share,
        environment=first.environment,
        capacity=_capacity(sweep or {}),
        interrupted=any(run.interrupted for _, run in named) or bool((sweep or {}).get("interrupted")),
    )


def _axis(runs: Sequence[Run]) -> Axis:
    """What most of them vary."""
    closed = sum("users" in run.workload for run in runs)
    return "users" if closed * 2 > len(runs) else "rate"


def level_of(run: Run, axis: Axis) -> float:
    """Its load: as it was asked for, or else as it was."""
    text = str(run.workload.get(axis, "")).removesuffix("/s")
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
        return float(text)
    return run.summary.offered if axis == "rate" else float(run.summary.peak_concurrency)


def _capacity(sweep: Mapping[str, Any]) -> Found | None:
    """Tolerant: a number alone is one too."""
    found = sweep.get("capacity")
    if isinstance(found, int | float) and not isinstance(found, bool):
        return Found(float(found))
    if not isinstance(found, Mapping):
        return None
    numbers = {name: _number(found.get(name)) for name in ("level", "low", "high")}
    limits = found.get("limits")
    return Found(
        **numbers,
        bounded=found.get("bounded") is not False,
        limits=tuple(str(one) for one in limits) if isinstance(limits, list) else (),
    )


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def merged(levels: Sequence[Level]) -> list[tuple[float, list[Level]]]:
    """Runs at the same level together."""
    out: dict[float, list[Level]] = {}
    for one in levels:
        out.setdefault(one.level, []).append(one)
    return sorted(out.items())


def kept(one: Level, share: float) -> bool | None:
    """Whether a level kept the objectives; None without any."""
    attainment = one.summary.attainment
    return None if attainment is None else attainment >= share


def capacities(a: Curve, b: Curve) -> str:
    """Two capacities in a sentence: whether they differ by more than chance; empty, where one is not known.
    Intervals that do not meet are a stricter test than that of their difference."""
    one, other = a.capacity, b.capacity
    if one is None or other is None or not one.level or not other.level:
        return ""
    ratio = f"B bears {other.level / one.level:.2f} times the load of A"
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return f"{ratio}; how sure that is, is not known."
    if one.high < other.low or other.high < one.low:
        return f"{ratio}: their intervals do not meet, which is more than chance."
    return f"{ratio}: their intervals meet, so that no difference is seen."
