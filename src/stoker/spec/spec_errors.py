"""pydantic's errors as SpecErrors: the first in the file, in users' words, with the nearest key."""

import difflib
from typing import Any

from pydantic import BaseModel, ValidationError

from stoker.bounds import shown
from stoker.errors import SpecError
from stoker.spec import nodes
from stoker.spec.fixes import fix_of
from stoker.spec.models import SpecFile

# pydantic's types of errors whose own words are a programmer's
_EXPECTED = {
    "model_type": "expected a table of fields",
    "dict_type": "expected a table of names and values",
    "list_type": "expected a list",
    "bool_type": "expected true or false",
    "string_type": "expected text: quote it",
    "int_type": "expected a whole number",
    "too_short": "expected one at least",
}


def spec_error(error: ValidationError, tree: nodes.Tree) -> SpecError:
    """The first error in the file, as a SpecError."""
    first = min(error.errors(), key=lambda e: (tree.place(_path(e)).line, tree.place(_path(e)).column))
    path = _path(first)
    dotted = ".".join(map(str, path))
    at = str(tree.place(path))
    if first["type"] == "extra_forbidden":
        keys = sorted(_keys_at(SpecFile, path[:-1]))
        near = difflib.get_close_matches(str(path[-1]), keys, n=1, cutoff=0.5)
        where = f" in {'.'.join(map(str, path[:-1]))}" if len(path) > 1 else ""
        return SpecError(
            f"unknown key {shown(str(path[-1]))}{where}",
            at=at,
            why=f"known: {', '.join(keys)}",
            fix=near[0] if near else "leave it out",
            rule="spec-key",
        )
    message = _EXPECTED.get(first["type"]) or first["msg"].removeprefix("Value error, ")
    given = "" if "api_key" in dotted or "token" in dotted else f" is {_written(first['input'])}"
    if first["type"] == "missing":
        return SpecError(
            f"{dotted} is missing",
            at=at,
            why=message,
            fix=fix_of(path),
            rule="spec-missing",
        )
    return SpecError(
        f"{dotted}{given}",
        at=at,
        why=message[:1].lower() + message[1:],
        fix=fix_of(path),
        rule="spec-value",
    )


def _written(value: Any) -> str:
    """A value as YAML has it."""
    words = {None: "empty", True: "true", False: "false"}
    return words[value] if value is None or isinstance(value, bool) else shown(value)


def _path(error: Any) -> nodes.Path:
    """pydantic's location without its marks for union members and dictionary keys."""
    return tuple(
        part
        for part in error["loc"]
        if not (
            isinstance(part, str)
            and (part.startswith(("dict[", "literal[")) or part in ("[key]", "str", "float"))
        )
    )


def _keys_at(model: type[BaseModel], path: nodes.Path) -> set[str]:
    """The keys that are known at a path."""
    here: Any = model
    for part in path:
        info = getattr(here, "model_fields", {}).get(part)
        here = next((a for a in _types(info.annotation)), None) if info else here
    return set(getattr(here, "model_fields", {}))


def _types(annotation: Any) -> list[Any]:
    inner = [annotation, *getattr(annotation, "__args__", ())]
    found = [a for a in inner if isinstance(a, type) and issubclass(a, BaseModel)]
    return found or [t for a in getattr(annotation, "__args__", ()) for t in _types(a)]
