"""Rules over what scrapes and reaches an engine's pods: the namespace, the port and the path asked."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stoker.advise.lint.engines import Engine, engines
from stoker.advise.lint.kinds import labels_of, pods
from stoker.advise.lint.reading import Manifest, Path
from stoker.advise.lint.values import listed, table, text
from stoker.findings import Finding

# What is watched beside an engine, and stands in files of its own.
_OTHERS = re.compile(r"dcgm|exporter|gateway|epp|router|redis|kube-state|node-|operator|prometheus|scheduler")
_ENDPOINTS = {
    "PodMonitor": "podMetricsEndpoints",
    "PodMonitoring": "endpoints",
    "ServiceMonitor": "endpoints",
}


def rules(one: Manifest, everything: Sequence[Manifest]) -> Iterator[Finding]:
    """It selects pods (a ServiceMonitor: Services) of its own namespace alone."""
    selector = one.get("spec", "selector", "matchLabels", default={})
    if not isinstance(selector, dict) or not selector or one.loose:
        return
    found = [
        w for w in everything if any(selector.items() <= labels.items() for labels in _labels(w, one.kind))
    ]
    if not found and _meant(one, selector, everything):
        words = ", ".join(f"{key}={value}" for key, value in selector.items())
        case = "services" if one.kind == "ServiceMonitor" else "pods"
        yield one.finding("monitoring-selector", ("spec", "selector"), case, labels=words)
    mine = one.namespace or "default"
    others = {w.namespace or "default" for w in found}
    told = not any("$" in space or "{" in space for space in (mine, *others)) and mine != "system"
    elsewhere = sorted(others - {mine}) if told and mine not in others else []
    if elsewhere and not one.get("spec", "namespaceSelector"):
        here = one.namespace or "whatever namespace is current"
        yield one.finding("monitoring-namespace", ("metadata",), here=here, there=elsewhere[0])
    key = _ENDPOINTS[one.kind]
    for index, endpoint in enumerate(listed(one.get("spec", key))):
        yield from _endpoint(one, ("spec", key, index), table(endpoint), found, everything)


def _meant(one: Manifest, selector: Mapping[str, Any], everything: Sequence[Manifest]) -> bool:
    """Whether it was meant for something in these files: they use its labels, with other values."""
    keys = {key for w in everything for labels in _labels(w, one.kind) for key in labels}
    elsewhere = any(w.loose for w in everything) or _OTHERS.search(f"{one.name} {selector}".lower())
    return keys >= selector.keys() and not elsewhere


def _labels(one: Manifest, kind: str) -> list[Mapping[str, Any]]:
    if kind == "ServiceMonitor":
        return [table(one.get("metadata", "labels"))] if one.kind == "Service" else []
    return list(labels_of(one))


def _endpoint(
    one: Manifest,
    at: Path,
    endpoint: Mapping[str, Any],
    found: Sequence[Manifest],
    everything: Sequence[Manifest],
) -> Iterator[Finding]:
    """The port that is asked, among those of the pods or Services, and the path."""
    port = endpoint.get("port")
    names = {name for other in found for name in _ports(other)}
    if found and isinstance(port, str) and not port.isdigit() and port not in names and "$" not in port:
        others = ", ".join(sorted(names)) or "none"
        yield one.finding("monitoring-port", (*at, "port"), port=port, others=others)
    if isinstance(port, int) and one.kind == "PodMonitoring" and _silent(found, port, everything):
        others = ", ".join(sorted(filter(None, names))) or "none"
        yield one.finding("monitoring-port", (*at, "port"), port=port, others=others)
    path = text(endpoint.get("path"))
    serving = one.kind != "ServiceMonitor" and [e for w in found for e in engines(w, everything)]
    if serving and path and path.rstrip("/") != "/metrics" and not serving[0].first.given.get("root-path"):
        yield one.finding("monitoring-path", (*at, "path"), asked=path)


def _silent(found: Sequence[Manifest], port: int, everything: Sequence[Manifest]) -> bool:
    """Whether none of the engines that are selected listens on a port, as far as that is known."""
    behind = [engine for other in found for engine in engines(other, everything)]
    return bool(behind) and all(_shut(engine, port) for engine in behind)


def _ports(one: Manifest) -> Iterator[str]:
    if one.kind == "Service":
        yield from (text(table(port).get("name")) for port in listed(one.get("spec", "ports")))
    for pod in pods(one):
        for key in ("containers", "initContainers"):
            for container in listed(pod.spec.get(key)):
                yield from (text(table(port).get("name")) for port in listed(table(container).get("ports")))


def doors(one: Manifest, selector: Mapping[str, Any], others: Sequence[Manifest]) -> Iterator[Finding]:
    """A Service's ports against the one that the engine behind it listens on."""
    chosen = [o for o in others if any(selector.items() <= labels.items() for labels in labels_of(o))]
    behind = [engine for other in chosen for engine in engines(other, others)]
    if len(behind) != len(chosen) or not behind:
        return
    for index, given in enumerate(listed(one.get("spec", "ports"))):
        port = table(given).get("targetPort", table(given).get("port"))
        if all(_shut(engine, port) for engine in behind):
            said = {"port": port, "mine": ", ".join(sorted({str(engine.port) for engine in behind}))}
            yield one.finding("service-port", ("spec", "ports", index), **said)


def _shut(engine: Engine, port: object) -> bool:
    """Whether nobody in an engine's pod listens on a port: its only container has neither that port nor
    another program."""
    alone = len(listed(engine.pod.spec.get("containers"))) == 1 and not listed(
        engine.pod.spec.get("initContainers")
    )
    scripted = any(start.scripted for start in engine.starts)
    declared = [table(p) for p in listed(engine.container.get("ports"))]
    if not alone or scripted or engine.port is None:
        return False
    if isinstance(port, str) and not port.isdigit():
        return port not in [text(p.get("name")) for p in declared]
    return (
        isinstance(port, int)
        and port != engine.port
        and port not in [p.get("containerPort") for p in declared]
    )
