"""Many makings of a model, merged into one program of its config.

Nodes: ["p", name, sizes], ["b", condition, then, else], ["l", count, variable, body], and ["a", condition,
answer] where only one answer was ever seen: with the other one nothing is known.
"""

import re
from collections.abc import Iterator
from typing import Any

_NUMBER = re.compile(r"(?<=\.)\d+(?=\.|$)")


def cleaned(stream: list[Any], names: dict[int, str], holders: set[str]) -> list[Any]:
    """Parameters by their names, those that the model has not in the end left out; calls without any are
    opened."""
    out: list[Any] = []
    for event in stream:
        if event[0] == "p":
            if event[1] in names:
                out.append(("p", _NUMBER.sub("*", names[event[1]]), event[2]))
        elif event[0] == "m":
            if event[3] in names:
                out.append(("m", event[1], event[2], _NUMBER.sub("*", names[event[3]])))
        elif event[0] == "call":
            inner = cleaned(event[2], names, holders)
            if event[1] in holders:
                out.append(("call", event[1], inner))
            else:
                out.extend(inner)
        elif event[0] == "loop":
            bodies = [cleaned(one, names, holders) for one in event[3]]
            if any(bodies):
                out.append(("loop", event[1], event[2], bodies))
        else:
            out.append(event)
    return out


def holders(stream: list[Any], names: dict[int, str]) -> set[str]:
    """Names of the functions that made a parameter."""
    found: set[str] = set()
    _hold(stream, names, found)
    return found


def _hold(stream: list[Any], names: dict[int, str], found: set[str]) -> bool:
    some = False
    for event in stream:
        if event[0] in ("p", "m"):
            some = some or event[1 if event[0] == "p" else 3] in names
        elif event[0] == "call":
            if _hold(event[2], names, found):
                found.add(event[1])
                some = True
        elif event[0] == "loop":
            for one in event[3]:
                some = _hold(one, names, found) or some
    return some


def conditions(stream: list[Any]) -> Iterator[tuple[Any, bool]]:
    """Every condition with each of its answers."""
    for event in stream:
        if event[0] == "b":
            yield event[1], event[2]
        elif event[0] == "call":
            yield from conditions(event[2])
        elif event[0] == "loop":
            for one in event[3]:
                yield from conditions(one)


class Apart(Exception):
    """Two makings differ, and no condition says why."""


def merged(streams: list[list[Any]]) -> list[Any]:
    """One program of several streams of the same function."""
    out: list[Any] = []
    while any(streams):
        known = _settled(streams)
        if known is not None:
            streams = known
            continue
        if not all(streams):
            raise Apart(str(next(s[0] for s in streams if s))[:200])
        heads = [one[0] for one in streams]
        kind = heads[0][0]
        if any(_same(head) != _same(heads[0]) for head in heads):
            raise Apart(f"{str(heads[0])[:120]} / {[str(h)[:120] for h in heads if _same(h) != _same(heads[0])][0]}")
        tails = [one[1:] for one in streams]
        if kind == "b":
            streams = _branch(out, heads, tails)
            continue
        if kind == "p":
            out.append(["p", heads[0][1], list(heads[0][2])])
        elif kind == "m":
            out.append(list(heads[0]))
        elif kind == "call":
            out.extend(merged([list(head[2]) for head in heads]))
        else:
            bodies = [list(body) for head in heads for body in head[3]]
            body = merged(bodies) if bodies else []
            if body:
                out.append(["l", heads[0][1], heads[0][2], body])
        streams = tails
    return out


def _settled(streams: list[list[Any]]) -> list[list[Any]] | None:
    """The streams without conditions at their heads that change nothing of them; None where there is none."""
    asked = {one[0][1] for one in streams if one and one[0][0] == "b"}
    for condition in asked:
        without = [one[1:] if one and one[0][0] == "b" and one[0][1] == condition else one for one in streams]
        has = [one and one[0][0] == "b" and one[0][1] == condition for one in streams]
        if not all(has):
            return without  # asked in some makings only
    return None


def _same(event: Any) -> Any:
    """What of an event is the same in every making."""
    if event[0] in ("p", "loop", "m"):
        return event[:3]
    return event[:2]


def _branch(out: list[Any], heads: list[Any], tails: list[list[Any]]) -> list[list[Any]]:
    condition = heads[0][1]
    yes = [tail for head, tail in zip(heads, tails, strict=True) if head[2]]
    no = [tail for head, tail in zip(heads, tails, strict=True) if not head[2]]
    if not yes or not no:
        out.append(["a", condition, bool(yes)])
        return tails
    keep = _suffix(tails)
    cut = [len(tail) - keep for tail in tails]
    before_yes = [tail[: len(tail) - keep] for tail in yes]
    before_no = [tail[: len(tail) - keep] for tail in no]
    if any(before_yes) or any(before_no):
        then, other = merged(before_yes), merged(before_no)
        if then != other:
            out.append(["b", condition, then, other])
        else:
            out.extend(then)
    return [tail[n:] for tail, n in zip(tails, cut, strict=True)]


def _suffix(tails: list[list[Any]]) -> int:
    """How many events at the end are alike in all."""
    most = min(len(one) for one in tails)
    for n in range(1, most + 1):
        if any(_same(one[-n]) != _same(tails[0][-n]) for one in tails):
            return n - 1
    return most
