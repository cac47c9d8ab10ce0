"""The objects of a file of manifests, with the line of each value."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from stoker.findings import Finding, Severity
from stoker.spec.nodes import scalar

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Manifest:
    """One object: its values, and where they stand."""

    file: str
    body: dict[str, Any]
    lines: dict[Path, tuple[int, int]] = field(repr=False, compare=False)

    @property
    def kind(self) -> str:
        """Such as `Deployment`; empty where it has none."""
        return str(self.body.get("kind") or "")

    @property
    def name(self) -> str:
        """Its name; empty where it has none."""
        return str(self.get("metadata", "name") or "")

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
        return f"{self.file}:{line}:{column}"

    def finding(
        self,
        rule: str,
        path: Sequence[str | int],
        what: str,
        why: str,
        fix: str,
        severity: Severity = "error",
    ) -> Finding:
        """A finding about a value of it."""
        return Finding(f"{self.kind} {self.name}: {what}", why, fix, self.at(*path), severity, f"lint-{rule}")

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


def read(text: str, file: str) -> tuple[list[Manifest], list[Finding]]:
    """The objects of a file, and what is wrong with it as a file."""
    try:
        nodes = [node for node in yaml.compose_all(text, Loader=yaml.SafeLoader) if node is not None]
        out = [one for node in nodes if (one := _manifest(node, file)) is not None]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        at = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else f"{file}:1:1"
        return [], [Finding("this is not valid YAML", error.problem or "", "check the indentation and the quotes", at, rule="lint-yaml")]  # fmt: skip
    except (yaml.YAMLError, RecursionError) as error:
        return [], [Finding("this is not valid YAML", str(error), "save it as UTF-8 text", f"{file}:1:1", rule="lint-yaml")]  # fmt: skip
    if not out:
        empty = Finding(
            f"{file} holds no object", "kubectl applies nothing and says nothing of it",
            "write the manifest, or leave the file out", f"{file}:1:1", rule="lint-empty",
        )  # fmt: skip
        return [], [empty]
    return [inner for one in out for inner in _items(one)], []


def _items(one: Manifest) -> list[Manifest]:
    """The objects of a List, or the object."""
    if one.kind != "List" or not isinstance(one.body.get("items"), list):
        return [one]
    return [
        Manifest(one.file, item, {p[2:]: line for p, line in one.lines.items() if p[:2] == ("items", index)})
        for index, item in enumerate(one.body["items"])
        if isinstance(item, dict)
    ]


def _manifest(node: yaml.Node, file: str) -> Manifest | None:
    lines: dict[Path, tuple[int, int]] = {}
    value = _value(node, (), lines, 0)
    return Manifest(file, value, lines) if isinstance(value, dict) and value else None


def _value(node: yaml.Node, path: Path, lines: dict[Path, tuple[int, int]], depth: int) -> Any:
    if depth > 60:
        raise yaml.YAMLError("it is nested too deeply")
    lines.setdefault(path, (node.start_mark.line + 1, node.start_mark.column + 1))
    if isinstance(node, yaml.MappingNode):
        out: dict[str, Any] = {}
        for key, inner in node.value:
            name = str(getattr(key, "value", ""))
            lines[(*path, name)] = (key.start_mark.line + 1, key.start_mark.column + 1)
            out[name] = _value(inner, (*path, name), lines, depth + 1)
        return out
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, index), lines, depth + 1) for index, item in enumerate(node.value)]
    assert isinstance(node, yaml.ScalarNode)
    text = str(node.value)
    return text if node.style or node.tag.startswith("!") else scalar(text)
