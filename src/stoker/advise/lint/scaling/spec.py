"""The same rules over a spec's own `scaling`: what its HPA, or KEDA, will be told."""

import math
from collections.abc import Iterator
from typing import Any

from stoker.advise.lint.scaling.figures import never
from stoker.advise.lint.scaling.pace import FRESH, applies, fast, hasty, stuck_at_zero, way
from stoker.advise.lint.scaling.scaler import TOLERANCE
from stoker.advise.lint.values import figure, quantity
from stoker.catalog import gpus
from stoker.catalog.rules import rule
from stoker.errors import UsageError
from stoker.findings import Finding
from stoker.planner.settings import default_requests
from stoker.render.manifests.probes import SETTLE, WARM_UP
from stoker.spec.nouns import Scaling, ServeSpec
from stoker.spec.places import place_of
from stoker.units import Tokens

# Sums over the fleet, which a replica that still loads does not lower, where an HPA is told them as such.
SUMS = frozenset({"queue-depth", "batch-size", "in-flight"})


def lint_spec(spec: ServeSpec) -> tuple[Finding, ...]:
    """What would hurt in its scaling."""
    if spec.scaling is None or spec.replicas.fixed:
        return ()
    found = [*_reach(spec, spec.scaling), *_behavior(spec, spec.scaling)]
    if spec.target == "kubernetes" and spec.kubernetes.scaler == "keda":
        found += _keda(spec)
    return tuple(found)


def _finding(spec: ServeSpec, name: str, path: str, case: str = "", **values: object) -> Finding:
    """A rule's finding at a field, or at the nearest thing around it."""
    parts = path.split(".")
    around = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    at = next(filter(None, (place_of(spec, one) for one in around)), "")
    return rule(f"lint-{name}", case).finding(at, **values)


def _reach(spec: ServeSpec, scaling: Scaling) -> Iterator[Finding]:
    """Targets that a replica's figure never passes."""
    given = quantity(way(scaling.behavior, "scaleUp").get("tolerance"))
    slack = TOLERANCE if given is None else given
    said = {"tolerance": figure(slack * 100)}
    target, running = scaling.metrics.get("batch-size"), _running(spec)
    if target is not None and running is not None and never(target, running[0], slack):
        most, says = running
        more = {"value": figure(target), "most": most, "says": says, "instead": "queue-depth"}
        below = figure(math.ceil(most / (1 + slack)) - 1)
        yield _finding(
            spec, "hpa-unreachable", "scaling.metrics.batch-size", "running", **said, **more, below=below
        )
    share = scaling.metrics.get("kv-cache")
    if share is not None and never(share, 1, slack):
        more = {"value": figure(share), "below": figure(round(1 / (1 + slack), 2))}
        yield _finding(spec, "hpa-unreachable", "scaling.metrics.kv-cache", "cache", **said, **more)


def _running(spec: ServeSpec) -> tuple[int, str] | None:
    """The most requests that a replica runs at once, and what says so; None where that is not known."""
    given = spec.engine.options.get("max-num-seqs")
    if given is not None:
        try:
            return int(Tokens.parse(given)), f"max-num-seqs: {given}"
        except ValueError:
            return None
    otherwise = spec.engine.kind != "vllm" or "performance-mode" in spec.engine.options
    if spec.target != "kubernetes" or otherwise or not spec.hardware.gpu or spec.hardware.gpu == "cpu":
        return None
    try:
        device = gpus.gpu(spec.hardware.gpu)
    except UsageError:
        return None
    most = default_requests(spec.engine.version, device)
    return most, f"the default of vLLM {spec.engine.version} on {device}, max-num-seqs: {most}"


def _behavior(spec: ServeSpec, scaling: Scaling) -> Iterator[Finding]:
    """How fast it moves."""
    behavior = scaling.behavior
    if not behavior and spec.target == "kubernetes":
        yield _finding(spec, "hpa-behavior", "scaling")
    if all(way(behavior, name).get("selectPolicy") == "Disabled" for name in ("scaleUp", "scaleDown")):
        yield _finding(spec, "hpa-disabled", "scaling.behavior")
    window = hasty(way(behavior, "scaleDown"))
    if window is not None:
        at = "scaling.behavior.scaleDown.stabilizationWindowSeconds"
        yield _finding(spec, "hpa-window", at, "short", window=window)
    sums = SUMS if spec.kubernetes.scaler == "keda" else SUMS & {"in-flight"}
    sleeps = not spec.replicas.low and spec.kubernetes.scaler != "keda"
    if sleeps and stuck_at_zero(way(behavior, "scaleUp")):
        yield _finding(spec, "scale-from-zero", "scaling.behavior.scaleUp", "percent")
    counted = next((name for name in scaling.metrics if name in sums), None)
    if behavior and counted and spec.target == "kubernetes" and spec.engine.kind == "vllm":
        yield from _pace(spec, scaling, counted)


def _pace(spec: ServeSpec, scaling: Scaling, counted: str) -> Iterator[Finding]:
    """All replicas that there may be, within one start."""
    rules, start = way(scaling.behavior, "scaleUp"), SETTLE + WARM_UP
    least, most = max(1, spec.replicas.low), spec.replicas.high
    written = fast(rules, least, most, start) if applies(rules) else None
    if written is not None:
        said: dict[str, Any] = {
            "least": least,
            "most": most,
            "start": start,
            "place": "its startup probe",
            "policies": written,
        }
        slower = max(FRESH, start // 4)
        yield _finding(spec, "hpa-pace", "scaling.behavior.scaleUp", **said, metric=counted, slower=slower)


def _keda(spec: ServeSpec) -> Iterator[Finding]:
    """KEDA's own fields."""
    keda, low, high = spec.kubernetes.keda, spec.replicas.low, spec.replicas.high
    if keda.fallback is not None and keda.fallback not in spec.replicas:
        kept = min(max(keda.fallback, low, 1), high)
        said: dict[str, Any] = {"replicas": keda.fallback, "least": low, "most": high, "kept": kept}
        at = "kubernetes.keda.fallback"
        yield _finding(spec, "keda-fallback", at, "range", **said, instead=f"fallback: {kept}")
    if low > 0 and "kubernetes.keda.cooldown" in spec.origin:
        more: dict[str, Any] = {
            "least": low,
            "seconds": int(keda.cooldown),
            "field": "cooldown",
            "instead": "scaling.behavior",
        }
        yield _finding(spec, "keda-cooldown", "kubernetes.keda.cooldown", **more)
