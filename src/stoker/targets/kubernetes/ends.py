"""How a container's last life has ended, and why: what the engine said last, else what the kubelet says."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from stoker.advise.why.rule import shown
from stoker.catalog.rules import rule
from stoker.engine.last_error import FOLLOWING, last_error
from stoker.findings import Finding

Log = Callable[[str], Sequence[str]]


class End(NamedTuple):
    """How a container's last life has ended: in words, and why, where a rule knows."""

    words: str
    cause: Finding | None


def end_of(pod: dict[str, Any], container: dict[str, Any], log: Log, whole: Log) -> End:
    """Why a container does not run. `log` gives the last lines of a pod's engine, `whole` many more.

    Where the last lines hold nothing but what follows from an error, more of them are read.
    """
    name = pod["metadata"]["name"]
    if container.get("lastState", {}).get("terminated", {}).get("reason") == "OOMKilled":
        return End("the host's memory ran out (OOMKilled)", rule("why-host-memory").finding(f"Pod/{name}"))
    lines = log(name)
    found = last_error(lines)
    if lines and found.rule in FOLLOWING:
        found = last_error(whole(name))
    if lines and found.what:
        return End(found.what, replace(found, at=f"Pod/{name}"))
    waiting = container.get("state", {}).get("waiting", {})
    said = str(waiting.get("message") or "")
    return End(said, shown(f"Pod/{name}", str(waiting.get("reason", "")), said))


def follows(end: End | None) -> bool:
    """Whether a rank's end may follow from that of another."""
    return end is None or end.cause is None or end.cause.rule in FOLLOWING
