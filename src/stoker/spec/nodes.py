"""YAML text to plain values with the place of each, strict where YAML 1.1 surprises people."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stoker.bounds import DIGITS, finite, shown
from stoker.errors import SpecError
from stoker.spec.compose import Listed, Node, Scalar, Table, compose
from stoker.spec.nouns import Place

Path = tuple[str | int, ...]

_TRAPS = (
    (
        re.compile(r"(yes|no|on|off|y|n)", re.I),
        "YAML 1.1 reads it as true or false",
        "write true or false, or quote it",
    ),
    (re.compile(r"[-+]?0[0-9_]+"), "YAML 1.1 reads a leading zero as octal", "drop the zero, or quote it"),
    (
        re.compile(r"[-+]?[0-9]+(:[0-5]?[0-9])+"),
        "YAML 1.1 reads it as a number in base 60",
        "quote it, or use units: 90s",
    ),
    (re.compile(r"[-+]?[0-9][0-9]*_[0-9_]*"), "YAML reads underscores as part of a number", "leave them out"),
)
_NUMERIC = frozenset("+-.0123456789")  # what numbers begin with, and what a trap begins with
_TRAPPED = _NUMERIC | frozenset("yYnNoO")
MOST = 20_000  # values in a spec, aliases written out
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)([eE][-+]?[0-9]+)?")
_CONSTANTS = {"true": True, "false": False, "null": None, "~": None, "": None}


@dataclass(slots=True)
class Tree:
    """The values of a file, and where each stands. `raw` keeps scalars as they were written."""

    file: str
    value: Any = None
    places: dict[Path, Place] = field(default_factory=dict)
    raw: dict[Path, str] = field(default_factory=dict)

    def place(self, path: Path) -> Place:
        """The place of a value, or of the nearest thing around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, Place(self.file, 1, 1))


def parse(text: str, file: str) -> Tree:
    """Reads one document. Raises: SpecError for bad YAML, too much of it, duplicate keys and YAML 1.1's
    traps."""
    documents = compose(text, file, MOST)
    tree = Tree(file)
    if len(documents) > 1:
        second = documents[1]
        at = f"{file}:{second.line}:{second.column}" if second is not None else f"{file}:1:1"
        raise SpecError(
            "there are two documents in one file",
            at=at,
            why="a spec is one fleet",
            fix="one file a fleet",
            rule="spec-yaml",
        )
    tree.value = _value(documents[0], (), tree) if documents and documents[0] is not None else {}
    return tree


def _value(node: Node, path: Path, tree: Tree) -> Any:
    tree.places.setdefault(path, Place(tree.file, node.line, node.column))
    if isinstance(node, Table):
        return _table(node, path, tree)
    if isinstance(node, Listed):
        return [_value(item, (*path, index), tree) for index, item in enumerate(node.items)]
    return _scalar(node, path, tree)


def _table(node: Table, path: Path, tree: Tree) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key_node, value_node in node.items:
        at = Place(tree.file, key_node.line, key_node.column)
        key = _key(key_node, at)
        if key in out:
            raise SpecError(
                f"the key {shown(key)} stands twice",
                at=str(at),
                why=f"it stands at line {tree.places[(*path, key)].line} already",
                fix="keep one",
                rule="spec-yaml",
            )
        tree.places[(*path, key)] = at
        out[key] = _value(value_node, (*path, key), tree)
    return out


def _key(node: Node, at: Place) -> str:
    if isinstance(node, Scalar) and node.text != "<<":
        return node.text
    raise SpecError(
        "a key must be plain text",
        at=str(at),
        why="it is a merge key" if isinstance(node, Scalar) else "it is a list or a table",
        fix="write each field out, without merge keys",
        rule="spec-yaml",
    )


def _scalar(node: Scalar, path: Path, tree: Tree) -> Any:
    tree.raw[path] = node.text
    if not node.plain:
        return node.text
    for pattern, why, fix in _TRAPS if node.text[:1] in _TRAPPED else ():
        if len(node.text) <= DIGITS and pattern.fullmatch(node.text):
            at = str(Place(tree.file, node.line, node.column))
            what = f"{node.text!r} is ambiguous in YAML"
            raise SpecError(what, at=at, why=why, fix=fix, rule="spec-yaml")
    return scalar(node.text)


def scalar(text: str) -> Any:
    """A plain scalar by the core schema of YAML 1.2; a number that is beyond a float stays text."""
    if text.lower() in _CONSTANTS and text in (text.lower(), text.upper(), text.capitalize()):
        return _CONSTANTS[text.lower()]
    if text[:1] not in _NUMERIC or len(text) > DIGITS:
        return text
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and finite(number := float(text)):
        return number
    return text


def texts(tree: Tree, wanted: "Mapping[Path, None]") -> None:
    """Puts back, for the given paths, scalars as they were written: a version `0.30` is text, not 0.3."""
    for path in tree.raw:
        if path in wanted or (*path[:-1], "*") in wanted:
            _set(tree.value, path, tree.raw[path])


def _set(value: Any, path: Path, text: str) -> None:
    for key in path[:-1]:
        value = value[key]
    value[path[-1]] = text
