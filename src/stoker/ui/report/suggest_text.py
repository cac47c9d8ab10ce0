"""A suggestion in a terminal: what to set, what it costs and keeps, beside what else was tried; or why
nothing will do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from stoker.operate.suggest import OWN, Suggestion
from stoker.simulator.choices import BEHAVIORS, Choice, Weighed
from stoker.simulator.search import attainable
from stoker.ui.report.figures import figure
from stoker.ui.report.simulated_text import bound_by, profile
from stoker.ui.terminal import table

FRONT = 8  # rows of what is worth its price


def text(found: Suggestion, name: str) -> str:
    """The whole of it."""
    first = next(iter(found.bases.values())).scenario
    head = [
        f"{name}   {first.objectives} for {found.share:.0%} of requests   (simulated, "
        f"{len(found.found.tried)} "
        "settings tried)",
        f"  profile     {profile(first)}",
    ]
    body = _chosen(found) if found.found.best is not None else hopeless(found)
    return "\n".join([*head, *body]).rstrip()


def _chosen(found: Suggestion) -> Iterator[str]:
    best = found.found.best
    assert best is not None
    yield f"  suggested   {named(found, best)}"
    yield f"  keeps       {kept(best)} of requests, by {best.seeds} seeds; {costs(found, best)}"
    yield from bound_by(best.spent)
    beside = (
        ("fixed", found.found.static),
        ("the guide's", found.found.guide),
        ("at equal", found.found.guide_equal),
    )
    guide, as_well = found.found.guide, found.found.as_well
    for label, one in beside:
        if one is not None and one.choice != best.choice:
            yield f"  {label:<11} {named(found, one)}: {kept(one)}, {costs(found, one)}{_ratio(best, one)}"
    if guide is not None and as_well is not None and as_well.choice != guide.choice:
        share = f"; {as_well.cost.mean / guide.cost.mean:.2f} of the guide's" if guide.cost.mean else ""
        yield f"  as well     {named(found, as_well)}: {kept(as_well)}, {costs(found, as_well)}{share}"
    yield ""
    yield from (f"  {line}" for line in table(rows(found), frozenset({1, 2, 3, 4})).splitlines())
    yield ""
    yield from (f"  {line}" for line in block(found, best.choice).splitlines())
    yield from left_out(found)


def left_out(found: Suggestion) -> Iterator[str]:
    """What was not tried, by why."""
    reasons: dict[str, list[str]] = {}
    for base, why in found.left_out.items():
        reasons.setdefault(why, []).append(base)
    for why, bases in reasons.items():
        yield f"  left out    {', '.join(bases)}: {why}"


def _ratio(best: Weighed, one: Weighed) -> str:
    return f"; the suggested is {best.cost.mean / one.cost.mean:.2f} of it" if one.cost.mean else ""


def named(found: Suggestion, one: Weighed) -> str:
    """A setting, with its base where there are several."""
    base = "" if one.choice.base == OWN else f"{one.choice.base}: "
    return f"{base}{one.choice}"


def kept(one: Weighed) -> str:
    """The share that kept the objectives, with its interval where there are several seeds."""
    found = one.attainment
    if one.seeds < 2 or found.high == found.low:
        return figure(found.mean, "%")
    return (
        f"{figure(found.mean, '%')} ({figure(max(0, found.low), '%')} to {figure(min(1, found.high), '%')})"
    )


def costs(found: Suggestion, one: Weighed) -> str:
    """What it costs, in what is known."""
    return f"{unit(found, one)[0]}{figure(one.cost.mean)}{unit(found, one)[1]}"


def unit(found: Suggestion, one: Weighed) -> tuple[str, str]:
    """What stands before and behind a cost."""
    if one.figures.get("cost") is not None and one.cost == one.figures["cost"]:
        return "$", ""
    if one.cost == one.figures.get("gpu_hours"):
        return "", " GPU hours"
    return "", " replica hours"


def rows(found: Suggestion) -> list[list[str]]:
    """What is worth its price: none is cheaper and keeps more."""
    worth = found.found.front
    out = [["WORTH ITS PRICE", "COST", "KEPT", "TTFT P99", "ITL P99"]]
    shown = (
        worth if len(worth) <= FRONT else [worth[n * (len(worth) - 1) // (FRONT - 1)] for n in range(FRONT)]
    )
    for one in shown:
        times = (one.figures.get("ttft_p99"), one.figures.get("itl_p99"))
        latencies = [figure(time.mean, "s") if time else "-" for time in times]
        out.append([named(found, one), costs(found, one), figure(one.attainment.mean, "%"), *latencies])
    return out


def fields(found: Suggestion, choice: Choice) -> dict[str, Any]:
    """The setting as fields of a spec."""
    out: dict[str, Any] = {}
    for path, value in found.bases[choice.base].fields.items():
        _put(out, path, value)
    if choice.scaling is None:
        return out | {"replicas": choice.high}
    metrics: dict[str, Any] = {str(choice.metric): _plain(choice.target)}
    scaling: dict[str, Any] = {"metrics": metrics}
    if BEHAVIORS[choice.behavior]:
        scaling["behavior"] = _copied(BEHAVIORS[choice.behavior])
    return out | {"replicas": f"{choice.low}..{choice.high}", "scaling": scaling}


def block(found: Suggestion, choice: Choice) -> str:
    """The same as YAML."""
    return yaml.safe_dump(fields(found, choice), sort_keys=False, default_flow_style=None).rstrip()


def _put(out: dict[str, Any], path: str, value: object) -> None:
    head, dot, rest = path.partition(".")
    if dot:
        _put(out.setdefault(head, {}), rest, value)
    else:
        out[head] = value


def _plain(value: float) -> float | int:
    return int(value) if value == int(value) else value


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _copied(one) for name, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_copied(one) for one in value]
    return value


def hopeless(found: Suggestion) -> Iterator[str]:
    """Nothing keeps the objectives: the nearest, and what stands in the way."""
    one = found.found.nearest
    assert one is not None
    scenario = found.bases[one.choice.base].scenario
    objectives = scenario.objectives
    yield f"  suggested   nothing: no setting keeps {objectives} for {found.share:.0%} of requests"
    yield f"  nearest     {named(found, one)}: {kept(one)}, {costs(found, one)}"
    bounds = attainable(one, {"ttft": objectives.ttft, "itl": objectives.itl, "e2e": objectives.e2e})
    if bounds:
        can = ",".join(f"{name}={figure(value, 's').replace(' ', '')}" for name, value in bounds.items())
        yield f"  can be met  {can}, by 99 % of requests with that setting"
    yield f"  in the way  {in_the_way(found, one)}"


def in_the_way(found: Suggestion, one: Weighed) -> str:
    """What no setting changes, in a sentence."""
    scenario = found.bases[one.choice.base].scenario
    pace, objectives = scenario.profile, scenario.objectives
    alone = pace.seconds(0, 1, 0)
    if objectives.itl is not None and alone > objectives.itl:
        pace_of = f"a token takes {figure(alone, 's')} even for a request that is alone"
        return f"{pace_of}: faster hardware, or fewer bits"
    prompt = scenario.limits.max_num_batched_tokens
    read = pace.seconds(prompt, 0, 0) + pace.overhead
    if objectives.ttft is not None and read > objectives.ttft:
        return (
            f"reading {prompt:,} prompt tokens takes {figure(read, 's')} alone: faster hardware, more GPUs a "
            "replica, or shorter prompts"
        )
    if one.broken:
        name = max(one.broken, key=lambda each: one.broken[each])
        count = f"{one.broken[name]:,} requests broke with {one.choice.high} replicas"
        return f"{name}, which {count}: --most allows more"
    return "requests that fail: the endpoint is not ready when they come"
