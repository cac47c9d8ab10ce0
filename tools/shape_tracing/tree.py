"""Many makings of a model, merged into one program of its config.

Nodes: ["p", name, sizes], ["b", condition, then, else], ["l", count, variable, body], and ["a", condition,
answer] where only one answer was ever seen: with the other one nothing is known.
"""

import re
from collections.abc import Iterator
from typing import Any

_NUMBER = re.compile(r"(?<=\.)\d+(?=\.|$)")


def template(name: str) -> str:
    """A parameter's name without the numbers of layers."""
    return _NUMBER.sub("*", name)


def cleaned(
    stream: list[Any], names: dict[int, str], holders: set[str], loops: tuple[str, ...] = ()
) -> list[Any]:
    """Parameters by their names, those that the model has not in the end left out; calls without any are
    opened, and what is asked of a loop behind its end is left out."""
    out: list[Any] = []
    for event in stream:
        if event[0] == "p":
            if event[1] in names:
                out.append(("p", template(names[event[1]]), event[2]))
        elif event[0] == "m":
            if event[3] in names:
                out.append(("m", event[1], event[2], template(names[event[3]])))
        elif event[0] == "call":
            inner = cleaned(event[2], names, holders, loops)
            if event[1] in holders:
                out.append(("call", event[1], inner))
            else:
                out.extend(inner)
        elif event[0] == "loop":
            bodies = [cleaned(one, names, holders, (*loops, event[2])) for one in event[3]]
            if any(bodies):
                out.append(("loop", event[1], event[2], bodies))
        elif variables(event[1]) <= set(loops):
            out.append(event)
    return out


def variables(made: Any) -> set[str]:
    """The loops that an expression speaks of."""
    if not isinstance(made, tuple):
        return set()
    if len(made) == 2 and made[0] == "var":
        return {made[1]}
    return set().union(*(variables(one) for one in made)) if made else set()


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


Known = dict[Any, bool]


def merged(streams: list[list[Any]], known: Known | None = None, leaves: Any = None) -> list[Any]:
    """One program of several streams of the same function. Raises: Apart.

    known: conditions that are answered where this stands. leaves: all makings of torch's own modules.
    """
    out: list[Any] = []
    known = dict(known or {})
    while any(streams):
        condition = next((one[0][1] for one in streams if one and one[0][0] == "b"), None)
        if condition is not None:
            streams = _conditional(out, condition, streams, known, leaves)
            continue
        if not all(streams):
            raise Apart(f"an end / {str(next(s[0] for s in streams if s))[:200]}")
        heads = [one[0] for one in streams]
        for head in heads:
            if _same(head) != _same(heads[0]):
                raise Apart(f"{str(heads[0])[:150]} / {str(head)[:150]}")
        out.extend(_event(heads, known, leaves))
        streams = [one[1:] for one in streams]
    return out


def _event(heads: list[Any], known: Known, leaves: Any) -> list[Any]:
    kind = heads[0][0]
    if kind == "p":
        return [["p", heads[0][1], list(heads[0][2])]]
    if kind == "m":
        return [list(heads[0])]
    if kind == "call":
        bodies = [list(head[2]) for head in heads]
        keys = {_leaf(head) for head in heads}
        others = (leaves or {}).get(keys.pop()) if len(keys) == 1 else None
        asked = {_asked(head) for head in heads}
        others = [one for one in others or () if _asked(("call", "", one)) in asked]
        if others:
            try:
                return merged([list(one) for one in others], known, leaves)
            except Apart:
                pass
        return merged(bodies, known, leaves)
    bodies = [list(body) for head in heads for body in head[3]]
    inner = {c: a for c, a in known.items() if heads[0][2] not in variables(c)}
    body = merged(bodies, inner, leaves) if bodies else []
    return [["l", heads[0][1], heads[0][2], body]] if body else []


def _leaf(event: Any) -> Any:
    """What tells one of torch's own modules from others: its class, its first parameter and that one's
    sizes."""
    first = next((one for one in event[2] if one[0] == "p"), None)
    return (event[1], first) if first is not None and not event[1].startswith("modeling_") else None


def leaves(streams: list[list[Any]]) -> dict[Any, list[Any]]:
    """All makings of torch's own modules, by what tells them apart."""
    found: dict[Any, list[Any]] = {}
    for stream in streams:
        _collect(stream, found)
    return found


def _collect(stream: list[Any], found: dict[Any, list[Any]]) -> None:
    for event in stream:
        if event[0] == "call":
            key = _leaf(event)
            if key is not None and event[2] not in found.setdefault(key, []):
                found[key].append(event[2])
            _collect(event[2], found)
        elif event[0] == "loop":
            for body in event[3]:
                _collect(body, found)


def _conditional(
    out: list[Any], condition: Any, streams: list[list[Any]], known: Known, leaves: Any
) -> list[list[Any]]:
    """The streams behind a condition at their heads; where some makings did not ask, it changed nothing."""
    answers = [_answer(one[0], condition) if one else None for one in streams]
    tails = [one[1:] if one and _asks(one[0], condition) else one for one in streams]
    if None in answers or all(answer == known.get(condition) for answer in answers):
        return tails
    return _branch(out, condition, answers, tails, known, leaves)


def _asks(event: Any, condition: Any) -> bool:
    return bool(event[0] == "b" and event[1] == condition)


def _answer(event: Any, condition: Any) -> bool | None:
    """What a making said of a condition: what is one text is not another."""
    if event[0] != "b":
        return None
    if event[1] == condition:
        return bool(event[2])
    told, asked = event[1], condition
    if told[0] == asked[0] == "==" and told[1] == asked[1] and told[2] != asked[2] and event[2]:
        return False
    return None


def _same(event: Any) -> Any:
    """What of an event is the same in every making."""
    if event[0] == "p":  # the same tensor may stand under another name in another layer
        return event[0], event[2]
    if event[0] in ("loop", "m"):
        return event[:3]
    return event[:2]


def _branch(
    out: list[Any], condition: Any, answers: list[Any], tails: list[list[Any]], known: Known, leaves: Any
) -> list[list[Any]]:
    yes = [tail for answer, tail in zip(answers, tails, strict=True) if answer]
    no = [tail for answer, tail in zip(answers, tails, strict=True) if not answer]
    if not yes or not no:
        known[condition] = bool(yes)
        out.append(["a", condition, bool(yes)])
        return tails
    keep = _suffix(tails)
    then = merged([tail[: len(tail) - keep] for tail in yes], {**known, condition: True}, leaves)
    other = merged([tail[: len(tail) - keep] for tail in no], {**known, condition: False}, leaves)
    if then == other:
        out.extend(then)
    else:
        out.append(["b", condition, then, other])
    return [tail[len(tail) - keep :] for tail in tails]


def open_ends(program: list[Any], path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """For each condition that was seen with one answer alone, the answers that lead to the other one."""
    for node in program:
        if node[0] == "a":
            yield (*path, (node[1], not node[2]))
        elif node[0] == "b":
            yield from open_ends(node[2], (*path, (node[1], True)))
            yield from open_ends(node[3], (*path, (node[1], False)))
        elif node[0] == "l":
            yield from open_ends(node[3], path)


def _suffix(tails: list[list[Any]]) -> int:
    """How many events at the end are alike in all."""
    most = min(len(one) for one in tails)
    for n in range(1, most + 1):
        if not _alike([one[-n] for one in tails]):
            return n - 1
    return most


def _alike(events: list[Any]) -> bool:
    """Whether they are the same to look at, and give the parameters that they share the same sizes."""
    if any(_same(one) != _same(events[0]) for one in events):
        return False
    if events[0][0] not in ("call", "loop"):
        return True
    if _leaf(events[0]) is not None and len({_asked(one) for one in events}) > 1:
        return False
    sizes: dict[str, Any] = {}
    gathered: list[dict[str, set[Any]]] = []
    for one in events:
        found: dict[str, set[Any]] = {}
        _gather(one, found)
        gathered.append(found)
        if (
            found
            and gathered[0]
            and not found.keys() & gathered[0].keys()
            and _dims(found) != _dims(gathered[0])
        ):
            return False
        for name, own in found.items():
            if sizes.setdefault(name, own) != own:
                return False
    return True


def _asked(event: Any) -> frozenset[Any]:
    """The conditions that a making of a module asks."""
    return frozenset(condition for condition, _ in conditions([event]))


def _dims(found: dict[str, set[Any]]) -> set[Any]:
    return set().union(*found.values())


def _gather(event: Any, found: dict[str, set[Any]]) -> None:
    """All sizes of each parameter in an event."""
    if event[0] == "p":
        found.setdefault(event[1], set()).add(event[2])
    elif event[0] == "call":
        for one in event[2]:
            _gather(one, found)
    elif event[0] == "loop":
        for body in event[3]:
            for one in body:
                _gather(one, found)
