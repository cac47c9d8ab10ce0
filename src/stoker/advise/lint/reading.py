"""The objects of a file of manifests, with the line of each value."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from stoker.catalog.rules import rule
from stoker.errors import SpecError
from stoker.findings import Finding
from stoker.spec.compose import Listed, Node, Scalar, Table, compose
from stoker.spec.nodes import scalar

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Manifest:
    """One object: its values, and where they stand.

    elsewhere: the files of values that a patch brought. first: the name before a kustomization changed it.
    loose: whether a kustomization changes it in ways that nobody here follows. build: the kustomization
    that it was made by.
    """

    file: str
    body: dict[str, Any]
    lines: dict[Path, tuple[int, int]] = field(repr=False, compare=False)
    elsewhere: dict[Path, str] = field(default_factory=dict, repr=False, compare=False)
    first: str = ""
    loose: bool = False
    build: str = ""

    @property
    def kind(self) -> str:
        """Such as `Deployment`; empty where it has none."""
        return str(self.body.get("kind") or "")

    @property
    def name(self) -> str:
        """Its name; empty where it has none."""
        found = self.get("metadata", "name")
        return str(found) if isinstance(found, str | int) else ""

    @property
    def namespace(self) -> str | None:
        """Its namespace, where one is written."""
        found = self.get("metadata", "namespace")
        return None if found is None else str(found)

    def get(self, *path: str | int, default: Any = None) -> Any:
        """The value at a path; the default where any part is not there."""
        found: Any = self.body
        for key in path:
            if isinstance(found, list) and isinstance(key, int) and key < len(found):
                found = found[key]
            elif isinstance(found, dict) and key in found:
                found = found[key]
            else:
                return default
        return default if found is None else found

    def at(self, *path: str | int) -> str:
        """file:line:column of a path, or of the nearest thing around it."""
        while path and path not in self.lines:
            path = path[:-1]
        line, column = self.lines.get(path, (1, 1))
        return f"{self.elsewhere.get(path, self.file)}:{line}:{column}"

    def finding(self, name: str, path: Sequence[str | int], case: str = "", **values: object) -> Finding:
        """What a rule says about a value of it; case: which variant of the rule."""
        found = rule(f"lint-{name}", case).finding(self.at(*path), **values)
        whose = " ".join(filter(None, (self.kind, self.name)))
        return replace(found, what=f"{whose}: {found.what}" if whose else found.what)

    def texts(self) -> Iterator[tuple[Path, str]]:
        """Every text in it, with its path."""
        yield from _texts(self.body, ())


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, (*path, index))
    elif isinstance(value, str):
        yield path, value


def read(text: str, file: str, *, patch: bool = False) -> tuple[list[Manifest], list[Finding]]:
    """The objects of a file, and what is wrong with it as a file. patch: a list of operations is one."""
    try:
        nodes = compose(text, file)
    except SpecError as error:
        id = "lint-yaml" if error.finding.rule == "spec-yaml" else error.finding.rule
        return [], [replace(error.finding, rule=id)]
    made = (_manifest(node, file, patch) for node in nodes if node is not None)
    out = [one for one in made if one is not None]
    if not out:
        return [], [rule("lint-empty").finding(f"{file}:1:1", file=file)]
    return [inner for one in out for inner in _items(one)], []


def _items(one: Manifest) -> list[Manifest]:
    """The objects of a List (kubectl's, or a `DeploymentList`), or the object."""
    if not one.kind.endswith("List") or not isinstance(one.body.get("items"), list):
        return [one]
    lines: list[dict[Path, tuple[int, int]]] = [{} for _ in one.body["items"]]
    for path, line in one.lines.items():
        if len(path) > 1 and path[0] == "items" and isinstance(path[1], int):
            lines[path[1]][path[2:]] = line
    kind = one.kind.removesuffix("List")  # a DeploymentList's own say no kind
    return [
        Manifest(one.file, {"kind": kind, **item} if kind else item, places)
        for item, places in zip(one.body["items"], lines, strict=True)
        if isinstance(item, dict)
    ]


def _manifest(node: Node, file: str, patch: bool = False) -> Manifest | None:
    lines: dict[Path, tuple[int, int]] = {}
    value = _value(_head(node), (), lines)
    if patch and isinstance(value, list):
        whole: dict[str, Any] = {"": value}
        return Manifest(file, whole, lines)
    return Manifest(file, value, lines) if isinstance(value, dict) and value else None


def _head(node: Node) -> Node:
    """A document without what is never read: the schemas of a CustomResourceDefinition are megabytes."""
    if not isinstance(node, Table):
        return node
    kind = next((value for key, value in node.items if isinstance(key, Scalar) and key.text == "kind"), None)
    if not isinstance(kind, Scalar) or kind.text != "CustomResourceDefinition":
        return node
    kept: list[tuple[Node, Node]] = [
        (key, value) for key, value in node.items if isinstance(key, Scalar) and key.text != "spec"
    ]
    return Table(kept, node.line, node.column)


def _merged(node: Node, out: dict[str, Any], path: Path, lines: dict[Path, tuple[int, int]]) -> None:
    """A merge key: what an anchor holds, where nothing of that name stands here already."""
    for one in node.items if isinstance(node, Listed) else [node]:
        found = _value(one, path, {}) if isinstance(one, Table) else {}
        for name, value in found.items():
            out.setdefault(name, value)
            lines.setdefault((*path, name), (one.line, one.column))


def _value(node: Node, path: Path, lines: dict[Path, tuple[int, int]]) -> Any:
    """The plain value; its depth is what `compose` lets through."""
    lines.setdefault(path, (node.line, node.column))
    if isinstance(node, Table):
        out: dict[str, Any] = {}
        for key, inner in node.items:
            name = key.text if isinstance(key, Scalar) else ""
            lines[(*path, name)] = (key.line, key.column)
            if name == "<<":
                _merged(inner, out, path, lines)
                continue
            out[name] = _value(inner, (*path, name), lines)
        return out
    if isinstance(node, Listed):
        return [_value(item, (*path, index), lines) for index, item in enumerate(node.items)]
    return scalar(node.text) if node.plain else node.text
