"""What an apply would change of a live object, field by field."""

from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any

SERVERS = {"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"}
LONGEST = 60


def changed(live: dict[str, Any], wanted: dict[str, Any]) -> tuple[str, ...]:
    """Each difference as `path: old -> new`; what only the server writes is left out."""
    return tuple(_differences(_own(live), _own(wanted), ""))


def _own(body: dict[str, Any]) -> dict[str, Any]:
    meta = {k: v for k, v in body.get("metadata", {}).items() if k not in SERVERS}
    return {**{k: v for k, v in body.items() if k != "status"}, "metadata": meta}


def _differences(old: Any, new: Any, path: str) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(k for k in new if k not in old)]:
            yield from _differences(old.get(key), new.get(key), f"{path}.{key}" if path else str(key))
    elif isinstance(old, list) and isinstance(new, list) and _named(old) and _named(new):
        before, after = {one["name"]: one for one in old}, {one["name"]: one for one in new}
        for name in [*before, *(n for n in after if n not in before)]:
            yield from _differences(before.get(name), after.get(name), f"{path}[{name}]")
    elif _objects(old) and _objects(new):
        for number, (one, other) in enumerate(zip_longest(old, new)):
            yield from _differences(one, other, f"{path}[{number}]")
    elif _words(old) and _words(new):
        yield from _changed_words(old, new, path)
    elif old != new:
        yield f"{path}: {_short(old)} -> {_short(new)}"


def _named(value: list[Any]) -> bool:
    return bool(value) and all(isinstance(one, dict) and "name" in one for one in value)


def _objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _words(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, str) for one in value)


def _changed_words(old: list[str], new: list[str], path: str) -> Iterator[str]:
    """A command line's words that differ, with the flag that they stand under."""
    for how, a, b, c, d in SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        if how != "equal":
            flag = f" {old[a - 1]}" if a and old[a - 1].startswith("--") else ""
            yield (
                f"{path}{flag}: {_short(' '.join(old[a:b]) or None)} -> {_short(' '.join(new[c:d]) or None)}"
            )


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
