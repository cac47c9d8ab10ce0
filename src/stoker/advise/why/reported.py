"""Why an engine ended, by a log or by events that somebody hands over: no fleet and no spec are needed.

A log is vLLM's, as a terminal, a runtime or a collector shows it. Events are those of `kubectl get events`
and `kubectl describe`, in place of a log or within one; as JSON they may be pods too.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import Any

from stoker.advise.why.rule import explained
from stoker.bounds import TEXT, TooMuch, read_json
from stoker.catalog.rules import rule
from stoker.engine.last_error import Cause, causes
from stoker.findings import Finding
from stoker.fleet.state import Evidence

MOST = 10  # findings
MOST_EVENTS = 2000
_AGE = r"(?:\d+[smhdy]\w*|<unknown>|<invalid>)(?: ?\(x\d+ over [\w.]+\))?"
# kubectl describe: type, reason, age, from, message; kubectl get events: age, type, reason, object, message
_DESCRIBED = re.compile(rf"\s*(?:Warning|Normal)\s+(\w+)\s+{_AGE}\s+()[\w.-]{{1,60}}\s+(\S.*)")
_LISTED = re.compile(rf"\s*(?:[\w.-]+\s+)?{_AGE}\s+(?:Warning|Normal)\s+(\w+)\s+(\w[\w.-]*/\S+)\s+(\S.*)")


def reported(log: Iterable[str], name: str) -> tuple[Finding, ...]:
    """What a log, or events, tell of an engine's end, the likeliest cause first; never nothing.

    name is what the log is called; `at` is that with a line's number. What may only follow from a cause, or
    from an error that no rule knows, is a note behind it.
    """
    lines, events = _parted(log)
    found = causes(lines)
    told = [_finding(one, name) for one in found if one.sure]
    told += _of_events(events, name)
    for one in found:
        if not one.sure:
            finding = _finding(one, name)
            told.append(replace(finding, severity="note") if told else finding)
    return tuple(told[:MOST]) or (_nothing(events, name),)


def _nothing(events: Sequence[tuple[int, Evidence]], name: str) -> Finding:
    """That no cause is known, with the last event, where there are any."""
    if not events:
        return rule("engine-unknown", "log").finding(name)
    line, piece = events[-1]
    said = f"{piece.subject}: {piece.reason}: {piece.text}"
    return rule("engine-unknown", "events").finding(f"{name}:{line}" if line else name, event=said)


def _finding(one: Cause, name: str) -> Finding:
    """A cause as it is told of a log: with the line that shows it."""
    found, at = one.finding, f"{name}:{one.line}"
    if found.rule == "engine-error":
        return rule("engine-error", "log").finding(at, line=found.what)
    return replace(found, at=at, why="\n".join(filter(None, (one.said, found.why))))


def _parted(log: Iterable[str]) -> tuple[Iterable[str], list[tuple[int, Evidence]]]:
    """The lines of a log, and the events: a list that fills as the lines are read."""
    lines = iter(log)
    head = list(islice(lines, 1))
    if head and head[0].strip() in ("{", "["):  # a document, where it is not too long for one
        head += _upto(lines, TEXT)
        if events := _of_json("\n".join(head)):
            return (), events
    events = []
    return _without_events(chain(head, lines), events), events


def _upto(lines: Iterator[str], most: int) -> Iterator[str]:
    for line in lines:
        yield line
        most -= len(line) + 1
        if most < 0:
            return


def _without_events(lines: Iterable[str], events: list[tuple[int, Evidence]]) -> Iterator[str]:
    """The lines; of those that are events nothing stays but the line itself, empty."""
    for number, line in enumerate(lines, 1):
        match = _LISTED.match(line) or _DESCRIBED.match(line)
        if match is None or len(events) >= MOST_EVENTS:
            yield line
        else:
            events.append((number, Evidence("event", _subject(match[2]), match[1], match[3].strip())))
            yield ""


def _subject(name: str) -> str:
    kind, _, rest = name.partition("/")
    return f"{kind.capitalize()}/{rest}" if rest else "the pod"


def _of_json(text: str) -> list[tuple[int, Evidence]]:
    """The events and pods of a list, or a single one; none where it is something else."""
    try:
        value = read_json(text)
    except (ValueError, TooMuch, RecursionError):
        return []
    items = value.get("items", [value]) if isinstance(value, dict) else value
    found = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    return [(0, piece) for item in found for piece in (*_of_event(item), *_of_pod(item))][-MOST_EVENTS:]


def _of_event(item: dict[str, Any]) -> Iterator[Evidence]:
    reason, message = item.get("reason"), item.get("message", item.get("note"))
    about = item.get("involvedObject", item.get("regarding"))
    if isinstance(reason, str) and isinstance(message, str) and isinstance(about, dict):
        yield Evidence("event", f"{about.get('kind', '')}/{about.get('name', '')}", reason, message)


def _of_pod(item: dict[str, Any]) -> Iterator[Evidence]:
    """What a pod's status says: why it is not scheduled, why a container waits, how one has ended."""
    status, meta = _table(item, "status"), _table(item, "metadata")
    subject = f"Pod/{meta.get('name', '')}"
    for one in _rows(status, "conditions"):
        if one.get("type") == "PodScheduled" and one.get("status") == "False":
            yield Evidence("condition", subject, "FailedScheduling", str(one.get("message", "")))
    for one in (*_rows(status, "initContainerStatuses"), *_rows(status, "containerStatuses")):
        waits = _table(_table(one, "state"), "waiting")
        ends = [_table(_table(one, state), "terminated") for state in ("state", "lastState")]
        for found in (*ends, waits):
            words = f"{found.get('reason', '')} {found.get('message', '')}".strip()
            if words:
                yield Evidence("condition", subject, "Failed", words)


def _table(value: dict[str, Any], name: str) -> dict[str, Any]:
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def _rows(value: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = value.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _of_events(events: Sequence[tuple[int, Evidence]], name: str) -> Iterator[Finding]:
    """What rules say of events, each rule once: the newest that it fits."""
    pieces = [piece for _, piece in events]
    out: dict[str, Finding] = {}
    for line, piece in reversed(events):
        if (found := explained(piece, pieces)) is not None:
            seen = f"{piece.subject}: {piece.reason}: {piece.text}"
            at = f"{name}:{line}" if line else name
            why = "\n".join(filter(None, (seen, found[1].why)))
            out.setdefault(found[1].rule, replace(found[1], at=at, why=why))
    yield from out.values()
