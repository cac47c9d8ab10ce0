"""YAML text to nodes, event by event: bounded while it is read, so that no depth and no alias is ever
followed first.

PyYAML's own composer recurses in C, where depth ends the process; here the open collections are a list.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from stoker.bounds import CONTROL, DEPTH, TooMuch, check_digits, check_length, too_deep, too_many
from stoker.errors import SpecError

_LOADER: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_NUMBER = re.compile(r"[-+]?[0-9.]+([eE][-+]?[0-9]+)?")
NODES = 150_000


@dataclass(slots=True)
class Scalar:
    """A text where it stands. plain: neither quoted nor tagged, so that it may mean a number, true or
    nothing."""

    text: str
    plain: bool
    line: int
    column: int


@dataclass(slots=True)
class Listed:
    """A sequence."""

    items: list["Node"]
    line: int
    column: int


@dataclass(slots=True)
class Table:
    """A mapping: its keys with their values, in the order of the text."""

    items: list[tuple["Node", "Node"]]
    line: int
    column: int


Node = Scalar | Listed | Table


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come. size: values in it, aliases written out; height: levels in it."""

    node: Listed | Table
    anchor: str | None
    key: Node | None = None
    size: int = 1
    height: int = 1


@dataclass(slots=True)
class _Reading:
    """What is known while events come. done: the documents; named: anchors with the size and height of what
    they name."""

    file: str
    most: int
    stack: list[_Open] = field(default_factory=list)
    done: list[Node | None] = field(default_factory=list)
    named: dict[str, tuple[Node, int, int]] = field(default_factory=dict)
    size: int = 0


def compose(text: str, file: str, most: int = NODES) -> list[Node | None]:
    """The documents of a text. most: values in all of them.

    Raises: SpecError, with the place, for what is no YAML, and for too much of it.
    """
    reading = _Reading(file, most)
    try:
        check_length(text)
        for event in _events(text, file):
            _take(event, reading)
    except TooMuch as error:
        raise SpecError(
            f"{file} {error.what}",
            at=f"{file}:{max(1, error.line)}:{max(1, error.column)}",
            why=str(error),
            fix=error.fix,
            rule="text-bounds",
        ) from None
    return reading.done


def _events(text: str, file: str) -> Iterator[yaml.Event]:
    """libyaml's events, one after another. Raises: SpecError."""
    try:
        yield from yaml.parse(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        at = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else f"{file}:1:1"
        why, fix = error.problem or str(error), _fix(error, text)
        raise SpecError("this is not valid YAML", at=at, why=why, fix=fix, rule="spec-yaml") from None
    except yaml.YAMLError as error:
        found = CONTROL.search(text)
        line = text.count("\n", 0, found.start()) + 1 if found else 1
        column = found.start() - text.rfind("\n", 0, found.start()) if found else 1
        why = str(error).splitlines()[0] if str(error) else "it holds what is no text"
        raise SpecError(
            "this is not valid YAML",
            at=f"{file}:{line}:{column}",
            why=why,
            fix="save it as UTF-8 text, without control characters",
            rule="spec-yaml",
        ) from None


def _fix(error: yaml.MarkedYAMLError, text: str) -> str:
    lines = text.splitlines()
    line = error.problem_mark.line if error.problem_mark else 0
    if line < len(lines) and "\t" in lines[line]:
        return "indent with spaces, not tabs"
    return "check the indentation and the quotes on this line and the one above"


def _take(event: yaml.Event, reading: _Reading) -> None:
    take = _TAKERS.get(type(event))
    if take is not None:
        take(event, reading)


def _document(event: yaml.Event, reading: _Reading) -> None:
    reading.named = {}
    reading.done.append(None)


def _scalar(event: yaml.ScalarEvent, reading: _Reading) -> None:
    line, column = _mark(event)
    if not event.style and len(event.value) > 20 and _NUMBER.fullmatch(event.value):
        check_digits(event.value, line, column)
    # unescaped ones are no YAML
    if event.style == '"' and (found := CONTROL.search(event.value)):
        why, fix = f"a text in it has the control character {found[0]!r}", "leave it out"
        raise TooMuch(why, fix, line, column, "holds what is no text")
    plain = not event.style and not (event.tag and event.tag.startswith("!"))
    node = Scalar(event.value, plain, line, column)
    _add(node, event, reading, 1, 0)
    if event.anchor:
        reading.named[event.anchor] = (node, 1, 0)


def _open(event: yaml.MappingStartEvent | yaml.SequenceStartEvent, reading: _Reading) -> None:
    if len(reading.stack) >= DEPTH:
        raise too_deep(*_mark(event))
    kind = Table if isinstance(event, yaml.MappingStartEvent) else Listed
    node = kind([], *_mark(event))
    _add(node, event, reading, 1, 1)
    reading.stack.append(_Open(node, event.anchor))


def _close(event: yaml.Event, reading: _Reading) -> None:
    closed = reading.stack.pop()
    if closed.anchor:
        reading.named[closed.anchor] = (closed.node, closed.size, closed.height)
    if reading.stack:
        above = reading.stack[-1]
        above.size += closed.size - 1  # itself has been counted as it was opened
        if closed.height >= above.height:
            above.height = closed.height + 1


def _alias(event: yaml.AliasEvent, reading: _Reading) -> None:
    line, column = _mark(event)
    at = f"{reading.file}:{line}:{column}"
    if any(one.anchor == event.anchor for one in reading.stack):
        raise SpecError(
            "this alias contains itself",
            at=at,
            why=f"it stands within &{event.anchor}",
            fix="write the value out",
            rule="spec-yaml",
        )
    if event.anchor not in reading.named:
        raise SpecError(
            "this is not valid YAML",
            at=at,
            why=f"there is no anchor &{event.anchor} before this alias",
            fix="write the value out",
            rule="spec-yaml",
        )
    node, size, height = reading.named[event.anchor]
    if len(reading.stack) + height > DEPTH:
        raise too_deep(line, column)
    _add(node, event, reading, size, height)


def _add(node: Node, event: yaml.Event, reading: _Reading, size: int, height: int) -> None:
    """Puts a value where it belongs, and counts what it holds."""
    reading.size += size
    if reading.size > reading.most:
        raise too_many(reading.most, *_mark(event))
    if not reading.stack:
        reading.done[-1] = node
        return
    above = reading.stack[-1]
    above.size += size
    if height >= above.height:
        above.height = height + 1
    if isinstance(above.node, Listed):
        above.node.items.append(node)
    elif above.key is None:
        above.key = node
    else:
        above.node.items.append((above.key, node))
        above.key = None


def _mark(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)


_TAKERS: Mapping[type[yaml.Event], Callable[[Any, _Reading], None]] = {
    yaml.ScalarEvent: _scalar,
    yaml.MappingStartEvent: _open,
    yaml.SequenceStartEvent: _open,
    yaml.MappingEndEvent: _close,
    yaml.SequenceEndEvent: _close,
    yaml.AliasEvent: _alias,
    yaml.DocumentStartEvent: _document,
}
