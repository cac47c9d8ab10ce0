"""YAML text to plain values with the place of each, strict where YAML 1.1 surprises people."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from stoker.errors import SpecError
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
    """Reads one document. Raises: SpecError for bad YAML, duplicate keys, anchors' tags and YAML 1.1's traps."""
    loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
    try:
        node = yaml.compose(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        at = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else file
        raise SpecError(
            "this is not valid YAML", at=at, why=error.problem or str(error), fix=_yaml_fix(error, text)
        ) from None
    except yaml.YAMLError as error:
        raise SpecError(
            "this is not valid YAML", at=file, why=str(error), fix="save it as UTF-8 text"
        ) from None
    tree = Tree(file)
    tree.value = _value(node, (), tree, frozenset()) if node is not None else {}
    return tree


def _yaml_fix(error: yaml.MarkedYAMLError, text: str) -> str:
    lines = text.splitlines()
    line = error.problem_mark.line if error.problem_mark else 0
    if line < len(lines) and "\t" in lines[line]:
        return "indent with spaces, not tabs"
    return "check the indentation and the quotes on this line and the one above"


def _value(node: yaml.Node, path: Path, tree: Tree, above: frozenset[int]) -> Any:
    tree.places.setdefault(path, Place(tree.file, node.start_mark.line + 1, node.start_mark.column + 1))
    if id(node) in above:
        raise SpecError("this alias contains itself", at=str(tree.place(path)), fix="write the value out")
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, tree, above | {id(node)})
    if isinstance(node, yaml.SequenceNode):
        inside = above | {id(node)}
        return [_value(item, (*path, index), tree, inside) for index, item in enumerate(node.value)]
    assert isinstance(node, yaml.ScalarNode)
    return _scalar(node, path, tree)


def _mapping(node: yaml.MappingNode, path: Path, tree: Tree, above: frozenset[int]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key_node, value_node in node.value:
        at = Place(tree.file, key_node.start_mark.line + 1, key_node.start_mark.column + 1)
        if not isinstance(key_node, yaml.ScalarNode) or key_node.value == "<<":
            raise SpecError(
                "a key must be plain text", at=str(at), fix="write each field out, without merge keys"
            )
        key = key_node.value
        if key in out:
            first = tree.places[(*path, key)]
            raise SpecError(
                f"the key {key!r} stands twice",
                at=str(at),
                why=f"it stands at line {first.line} already",
                fix="keep one",
            )
        tree.places[(*path, key)] = at
        out[key] = _value(value_node, (*path, key), tree, above)
    return out


def _scalar(node: yaml.ScalarNode, path: Path, tree: Tree) -> Any:
    text: str = node.value
    tree.raw[path] = text
    if node.tag.startswith("!") or node.style:
        return text
    for pattern, why, fix in _TRAPS:
        if pattern.fullmatch(text):
            raise SpecError(f"{text!r} is ambiguous in YAML", at=str(_at(node, tree)), why=why, fix=fix)
    return scalar(text)


def _at(node: yaml.Node, tree: Tree) -> Place:
    return Place(tree.file, node.start_mark.line + 1, node.start_mark.column + 1)


def scalar(text: str) -> Any:
    """A plain scalar by the core schema of YAML 1.2."""
    if text.lower() in _CONSTANTS and text in (text.lower(), text.upper(), text.capitalize()):
        return _CONSTANTS[text.lower()]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
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
