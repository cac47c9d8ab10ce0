"""Rules about pace: no behavior, faster than a replica starts, sooner than figures are true."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from stoker.advise.lint import promql
from stoker.advise.lint.names import asked
from stoker.advise.lint.scaling.scaler import Metric, Scaler
from stoker.advise.lint.scaling.workload import Workload
from stoker.advise.lint.values import listed, table, text, whole
from stoker.findings import Finding

LOOK = 15  # seconds between two looks of the controller
FRESH = 60  # seconds within which a figure is true: a scrape, the adapter, a look
WINDOW = 300  # the controller's own for scaling down
Policy = tuple[str, int, int]  # Pods or Percent, how many, in how many seconds
_UP: tuple[Policy, ...] = (("Pods", 4, 15), ("Percent", 100, 15))
_DOWN: tuple[Policy, ...] = (("Percent", 100, 15),)


def rules(scaler: Scaler, workload: Workload | None) -> Iterator[Finding]:
    """All findings about its pace."""
    if scaler.behavior is None and not scaler.keda:
        yield scaler.one.finding("hpa-behavior", ("spec",))
    elif workload is not None:
        yield from _fast(scaler, workload)
    yield from _window(scaler)


def way(behavior: Mapping[str, Any] | None, name: str) -> Mapping[str, Any]:
    """One direction of a behavior."""
    return table((behavior or {}).get(name))


def policies(rules: Mapping[str, Any], default: tuple[Policy, ...]) -> tuple[Policy, ...] | None:
    """Its rate limits; the defaults where none are written, None where one is no limit at all."""
    given = rules.get("policies")
    if given is None:
        return default
    out: list[Policy] = []
    for one in map(table, listed(given)):
        count, every = whole(one.get("value")), whole(one.get("periodSeconds"))
        if count is None or every is None or every < 1 or one.get("type") not in ("Pods", "Percent"):
            return None
        out.append((text(one["type"]), count, every))
    return tuple(out) or None


def reaches(limits: tuple[Policy, ...], slowest: bool, least: int, seconds: float) -> int:
    """The replicas that rate limits let it have after so long, from the fewest on."""
    return (min if slowest else max)(_after(one, max(1, least), seconds) for one in limits)


def _after(policy: Policy, replicas: int, seconds: float) -> int:
    kind, count, every = policy
    steps = max(0, min(int(seconds // every), 64))
    if kind == "Pods":
        return replicas + count * steps
    for _ in range(steps):
        replicas = min(10**6, math.ceil(replicas * (1 + count / 100)))
    return replicas


def applies(rules: Mapping[str, Any]) -> bool:
    """Whether it goes up without waiting."""
    return rules.get("selectPolicy") != "Disabled" and not rules.get("stabilizationWindowSeconds")


def stuck_at_zero(rules: Mapping[str, Any]) -> bool:
    """Whether its policies upwards allow nothing from 0: so many percent of nothing."""
    kinds = {kind for kind, _, _ in policies(rules, _UP) or ()}
    return "Percent" in kinds and (rules.get("selectPolicy") == "Min" or kinds == {"Percent"})


def fast(rules: Mapping[str, Any], least: int, most: int, start: int) -> str | None:
    """Its policies in words, where they let it have all replicas within half of one start; None where they
    hold it, or there is little to hold."""
    limits = policies(rules, _UP)
    if not limits or most - least < 2 or start < 2 * FRESH:
        return None
    if reaches(limits, rules.get("selectPolicy") == "Min", least, start / 2) < most:
        return None
    return " or ".join(
        f"{count}{'' if kind == 'Pods' else ' %'} in {every} s" for kind, count, every in limits
    )


def _fast(scaler: Scaler, workload: Workload) -> Iterator[Finding]:
    """As many replicas as there may be, before the first one that was added can be of use."""
    rules = way(scaler.behavior, "scaleUp")
    counted = next((one for one in scaler.metrics if _counts_on(one)), None)
    start, least, most = workload.start, scaler.least, scaler.most
    if start is None or counted is None or least is None or most is None or scaler.composed:
        return
    least = max(1, least)
    written = fast(rules, least, most, start[0]) if applies(rules) else None
    if written is not None:
        at = (*scaler.behavior_at, "scaleUp") if rules else ("spec",)
        said: dict[str, Any] = {"least": least, "most": most, "start": start[0], "policies": written}
        slower = min(1800, max(FRESH, start[0] // 4))
        place = workload.one.at(*start[1])
        more: dict[str, Any] = {"metric": _name(counted), "slower": slower, "place": place}
        yield scaler.one.finding("hpa-pace", at, **said, **more)


def _counts_on(metric: Metric) -> bool:
    """Whether its figure is a sum over the fleet, which replicas that still load do not lower: in a Pods
    metric they count as 0."""
    if metric.source != "External" or metric.how == "Utilization":
        return False
    if metric.query is None:
        return asked(metric.name).back_end == "stackdriver" and "num_requests" in metric.name
    query = promql.read(metric.query)
    return query.outer == "sum" and any("num_requests" in one for one in query.names or ())


def _name(metric: Metric) -> str:
    if metric.query is None:
        return metric.name
    return f"sum({', '.join(sorted(promql.read(metric.query).names or ()))})"


def _lags(metric: Metric) -> bool:
    """Whether its figure is of the pods themselves; one from outside may be somebody's decision, made at
    leisure."""
    return metric.source not in ("External", "Object") or "vllm" in metric.name


def hasty(rules: Mapping[str, Any]) -> int | None:
    """The window within which replicas go, where that is shorter than figures are old; None where it is not,
    or a policy holds them."""
    window = whole(rules.get("stabilizationWindowSeconds"))
    limits = policies(rules, _DOWN)
    if rules.get("selectPolicy") == "Disabled" or window is None or not 0 <= window < FRESH:
        return None
    return window if limits and any(every < FRESH for _, _, every in limits) else None


def _window(scaler: Scaler) -> Iterator[Finding]:
    """Patience before replicas go, against how old the figures are."""
    rules = way(scaler.behavior, "scaleDown")
    if rules.get("selectPolicy") == "Disabled" or scaler.most == 1 or not any(map(_lags, scaler.metrics)):
        return
    window = hasty(rules)
    if window is not None:
        at = (*scaler.behavior_at, "scaleDown", "stabilizationWindowSeconds")
        yield scaler.one.finding("hpa-window", at, "short", window=window)
        return
    written = whole(rules.get("stabilizationWindowSeconds", WINDOW))
    for metric in scaler.metrics:
        back = promql.read(metric.query).looks_back if metric.query else None
        if back and written is not None and back > written:
            where = (*metric.path, "metadata", "query")
            yield scaler.one.finding("hpa-window", where, "range", range=f"{back:g}", window=written)
