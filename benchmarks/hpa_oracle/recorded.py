"""Recorded sequences, and random ones, led through the oracle again: where do they differ?

A recording lists what fetched metrics (`syncs`). Reconciles that fetched none, as the replicas were out of
bounds or 0 or as another HPA stood in the way, are seen only in what they wrote (`status_updates`): they are
replayed too, in their place, since they leave recommendations, changes of scale and conditions behind. Where
a second HPA was there, it is an oracle too.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.hpa_oracle.controller import Controller

COMPARED = (
    "decision",
    "spec_replicas_after",
    "fetched",
    "currentReplicas",
    "desiredReplicas",
    "currentMetrics",
)
NAMES = re.compile(r"\[(.*)\]$")  # of HPAs, in an order that is chance
SECOND_HPA = "y"  # its name in recordings


@dataclass(frozen=True)
class Difference:
    """Where the oracle and a sequence differ: seconds since it began, what, and both."""

    at: float
    what: str
    recorded: Any
    oracle: Any

    def __str__(self) -> str:
        return f"{self.at:.3f} s {self.what}: recorded {self.recorded}, oracle {self.oracle}"


def controller(sequence: dict[str, Any], name: str = "x") -> Controller:
    """The controller that a sequence ran."""
    gates = sequence["flags"].get("feature-gates", "")
    return Controller(
        sequence["flags"], "HPAScaleToZero=true" in gates, namespace=f"hpa-{sequence['id']}", name=name
    )


def replay(sequence: dict[str, Any]) -> list[Difference]:
    """Every difference of a sequence, in order."""
    first = sequence.get("created", sequence["syncs"][0]["t"] if sequence["syncs"] else 0.0)
    oracle, rival = controller(sequence), controller(sequence, SECOND_HPA)
    second = [f"{rival.namespace}/{rival.name}"] if _has_second(sequence) else []
    found: list[Difference] = []
    spec = sequence["hpa_spec"]
    events = {event["message"] for event in sequence.get("hpa_events", [])}
    for entry in moments(sequence):
        spec = entry.get("hpa_spec", spec)
        given = (spec, entry["scale_before"], entry["pods"], entry["metrics"], entry["t"])
        answer = oracle.reconcile(*given, rivals=entry.get("rivals", second))
        if second and answer["decision"] is None and entry["metrics"]:
            # What was fetched then was the second one's: it had looked first, before this one was known.
            answer["spec_replicas_after"] = rival.reconcile(*given)["spec_replicas_after"]
            answer["fetched"] = True
        found += differences(entry, answer, entry["t"] - first)
        event = f"New size: {answer['decision']}; reason: {answer['rescale_reason']}"
        if events and answer["rescale_reason"] is not None and event not in events:
            found.append(Difference(entry["t"] - first, "event", None, event))
    return found


def _has_second(sequence: dict[str, Any]) -> bool:
    return any("second" in step["did"] for step in sequence.get("steps", []))


def moments(sequence: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All reconciles in order: those listed, and those that only their writing tells, by the clock."""
    others = list(unlisted(sequence))
    for sync in sequence["syncs"]:
        while others and others[0]["t"] < sync["t"]:
            yield others.pop(0)
        yield sync
    yield from others


def unlisted(sequence: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What was written while the sequence ran, and by none of its syncs; as syncs without metrics."""
    written = [sync for sync in sequence["syncs"] if sync.get("status_written")]
    for update in sequence.get("status_updates", []):
        ran = sequence["created"] < update["t"] <= sequence["end"]
        own = next(
            (sync for sync in written if sync["t"] <= update["t"] and _same(sync["status"], update)), None
        )
        if own is not None:
            written.remove(own)
        elif ran and update["conditions"]:
            yield _as_sync(sequence, update)


def _same(status: dict[str, Any], update: dict[str, Any]) -> bool:
    return all(
        status[key] == update[key]
        for key in ("currentReplicas", "desiredReplicas", "currentMetrics", "conditions", "lastScaleTime")
    )


def _as_sync(sequence: dict[str, Any], update: dict[str, Any]) -> dict[str, Any]:
    at = update["t"]
    current = update["currentReplicas"] or 0
    earlier = [one for one in sequence["scale_updates"] if one["t"] < at]
    near = min(sequence["syncs"], key=lambda sync: abs(float(sync["t"]) - at))
    active = {one["type"]: one for one in update["conditions"]}.get("ScalingActive", {})
    held = active.get("reason") == "AmbiguousSelector"
    return {
        "t": at,
        "fetched": False,
        "metrics": {},
        "pods": near["pods"],
        "scale_before": {"spec": current, "status": earlier[-1]["status"] if earlier else current},
        "decision": None if held else update["desiredReplicas"],
        "spec_replicas_after": current if held else update["desiredReplicas"],
        "status": update,
    }


def differences(entry: dict[str, Any], answer: dict[str, Any], at: float) -> Iterator[Difference]:
    """How an answer differs from what a sync tells."""
    theirs = entry | entry["status"] | {"fetched": entry.get("fetched", True)}
    ours = answer | answer["status"]
    for what in (*COMPARED, *({"rescale_reason"} & entry.keys())):
        if theirs[what] != ours[what]:
            yield Difference(at, what, theirs[what], ours[what])
    if (theirs["lastScaleTime"] is None) != (ours["lastScaleTime"] is None):
        yield Difference(at, "lastScaleTime", theirs["lastScaleTime"], ours["lastScaleTime"])
    told, said = (conditions(one["conditions"]) for one in (theirs, ours))
    if [one[0] for one in told] != [one[0] for one in said]:
        yield Difference(at, "order of conditions", [one[0] for one in told], [one[0] for one in said])
    for theirs_one, ours_one in zip(sorted(told), sorted(said), strict=False):
        if theirs_one != ours_one:
            yield Difference(at, "condition", theirs_one, ours_one)


def conditions(listed: list[dict[str, Any]]) -> list[tuple[str, str, str, str]]:
    """Type, status, reason and message of each, in order."""
    return [(one["type"], one["status"], one["reason"], _sorted_names(one["message"])) for one in listed]


def _sorted_names(message: str) -> str:
    return NAMES.sub(lambda names: f"[{' '.join(sorted(names[1].split()))}]", message)
