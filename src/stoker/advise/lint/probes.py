"""Rules over an engine's probes: whether they are there, ask the right door, and give the start its time."""

from collections.abc import Iterator, Mapping
from typing import Any

from stoker.advise.lint.engines import Engine
from stoker.advise.lint.sizes import weights
from stoker.advise.lint.values import listed, table, text, whole
from stoker.catalog import vllm
from stoker.findings import Finding

LEAST = 300  # seconds: imports, kernels and graphs alone take minutes on a cold node
PATIENT = 600  # a liveness probe that waits so long stands in for a startup probe
RATE = 1e9  # bytes a second that weights load at, where all goes well
AROUND = 120  # seconds of a start that are not loading
KINDS = ("startupProbe", "readinessProbe", "livenessProbe")
_ELSEWHERE = frozenset({"", "/"})


def rules(engine: Engine) -> Iterator[Finding]:
    """All findings about the probes of one engine."""
    if engine.pod.role != "server":
        return
    one, at, container = engine.one, engine.at, engine.container
    if not container.get("readinessProbe"):
        yield one.finding("readiness", at)
    yield from _start(engine)
    for kind in KINDS:
        probe = table(container.get(kind))
        if probe:
            yield from _door(engine, kind, probe)


def _start(engine: Engine) -> Iterator[Finding]:
    one, at, container = engine.one, engine.at, engine.container
    startup, liveness = table(container.get("startupProbe")), table(container.get("livenessProbe"))
    if not startup and not liveness:
        yield one.finding("startup", at)
        return
    kind = "startupProbe" if startup else "livenessProbe"
    given = budget(startup or liveness)
    if given is None:
        return
    if not startup and given < PATIENT:
        yield one.finding("liveness-kills", (*at, kind))
        return
    size = weights(engine.first.model) if engine.first.model else None
    needed = max(LEAST, int(AROUND + size / RATE) if size else 0)
    if given < needed:
        gigabytes = f"{size / 1e9:,.0f} GB of weights" if size and needed > LEAST else "an engine's start"
        yield one.finding("start-budget", (*at, kind), given=given, what=gigabytes, needed=needed)


def budget(probe: Mapping[str, Any]) -> int | None:
    """Seconds until a probe gives up; None where a template fills them in."""
    waits, times, every = (
        whole(probe.get(name, default))
        for name, default in (("initialDelaySeconds", 0), ("failureThreshold", 3), ("periodSeconds", 10))
    )
    if waits is None or times is None or every is None:
        return None
    return waits + times * every


def _door(engine: Engine, kind: str, probe: Mapping[str, Any]) -> Iterator[Finding]:
    """The port and path that a probe asks."""
    asked = table(probe.get("httpGet")) or table(probe.get("tcpSocket")) or table(probe.get("grpc"))
    port = asked.get("port")
    at = (*engine.at, kind)
    names = {
        text(table(one).get("name")): table(one).get("containerPort")
        for one in listed(engine.container.get("ports"))
    }
    if isinstance(port, str) and not port.isdigit():
        if port not in names and "$" not in port and "{{" not in port:
            others = ", ".join(filter(None, names)) or "none"
            yield engine.one.finding("probe-port", at, "name", kind=kind, port=port, others=others)
            return
        port = names.get(port)
    number = whole(int(port)) if isinstance(port, int) or (isinstance(port, str) and port.isdigit()) else None
    mine = engine.port
    if number is None or mine is None:
        return
    if number != mine:
        if not _served_by_others(engine, number):
            yield engine.one.finding("probe-port", at, "number", kind=kind, port=number, mine=mine)
        return
    path = text(asked.get("path")).partition("?")[0]
    routes = vllm.nearest_release(engine.release.version).routes
    if (
        "httpGet" in probe
        and path not in _ELSEWHERE
        and path not in routes
        and not engine.first.given.get("root-path")
    ):
        yield engine.one.finding("probe-path", at, kind=kind, asked=path)


def _served_by_others(engine: Engine, port: int) -> bool:
    """Whether another container of the pod may listen there, or this one by another program."""
    inside = [*listed(engine.pod.spec.get("containers")), *listed(engine.pod.spec.get("initContainers"))]
    stay = [one for one in inside if isinstance(one, dict) and one is not engine.container]
    stay = [
        one
        for one in stay
        if one.get("restartPolicy") == "Always" or one in listed(engine.pod.spec.get("containers"))
    ]
    return bool(stay) or (
        any(start.scripted for start in engine.starts) and port != 8000 and _mentioned(engine, port)
    )


def _mentioned(engine: Engine, port: int) -> bool:
    """Whether the script speaks of the port at all."""
    return any(
        str(port) in text(one) for key in ("command", "args") for one in listed(engine.container.get(key))
    )
