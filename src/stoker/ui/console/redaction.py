"""What a visitor is told who may not read logs: all but the lines that an engine's log has said."""

import re
from collections.abc import Sequence
from typing import Any

from stoker.catalog.rules import variants
from stoker.findings import Finding
from stoker.fleet.state import FleetState, Replica, Service, Stopped

ELSEWHERE = "(its log says)"
_SAID = re.compile(
    r"(restarted|Failed|Unready|stopped: .*? failed|the copy's container [^:]*: \w+)(: |  ).*", re.S
)


def events(told: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What has happened, without the last error behind it."""
    return [{**one, "text": _SAID.sub(r"\1", one["text"])} for one in told]


def now(told: dict[str, Any], state: FleetState | None) -> dict[str, Any]:
    """A look without last error and the evidence of findings."""
    said = words(state) if state else ()
    out = {**told, "why": _without(told["why"], said)}
    if "tested" in told:
        out["tested"] = None  # it names files, and only who may read logs can play it
    if "state" not in told:
        return out
    replicas = [
        {**one, "words": "", "detail": _without(one["detail"], said), "cause": _ruled(one["cause"])}
        for one in told["state"]["replicas"]
    ]
    services = [
        {**one, "detail": _SAID.sub(r"\1", _without(one["detail"], said)), "cause": _ruled(one["cause"])}
        for one in told["state"]["services"]
    ]
    findings = [
        {**one, "what": _without(one["what"], said), "why": "", "fix": _without(one["fix"], said), "at": ""}
        for one in told["findings"]
    ]
    return {
        **out,
        "state": {**told["state"], "replicas": replicas, "services": services},
        "findings": findings,
    }


def words(state: FleetState) -> tuple[str, ...]:
    """What logs have said that a state holds, the longest first."""
    stopped = (state.stopped,) if state.stopped else ()
    parts: tuple[Replica | Service | Stopped, ...] = (*state.replicas, *state.services, *stopped)
    said = {one.last_error for one in parts if one.last_error}
    said |= {one.cause.what for one in parts if one.cause and _quotes(one.cause)}
    said |= {piece.text for piece in state.evidence if piece.source == "log" and piece.text}
    return tuple(sorted(said, key=len, reverse=True))


def _quotes(cause: Finding) -> bool:
    """Whether a cause repeats words of a log, rather than only what a rule says of them."""
    return cause.what not in {one.what for one in variants(cause.rule)}


def _ruled(cause: dict[str, Any] | None) -> dict[str, Any] | None:
    """By which rule it failed, without what its log says."""
    return {**cause, "what": "", "why": "", "fix": "", "at": ""} if cause else None


def _without(text: str, said: Sequence[str]) -> str:
    for one in said:
        text = text.replace(one, ELSEWHERE)
    return text
