"""`--set path=value`: one field over the file, parsed as the file would be."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from stoker.bounds import CONTROL, shown
from stoker.errors import SpecError
from stoker.spec import nodes
from stoker.spec.models import short_hardware
from stoker.spec.nouns import Place


class Flag(str):
    """A `path=value` that an option of the command line stands for; errors name that option."""

    label: str

    def __new__(cls, label: str, path: str, value: str) -> "Flag":
        made = super().__new__(cls, f"{path}={value}")
        made.label = label
        return made


# what a text in place of a table is short for
_SHORT: Mapping[str, Callable[[str], Any]] = {
    "model": lambda text: {"source": text},
    "hardware": short_hardware,
}


def apply_sets(tree: nodes.Tree, sets: Iterable[str]) -> None:
    """Writes each `path=value` into the tree. Raises: SpecError."""
    for text in sets:
        dotted, equals, value = text.partition("=")
        _check_text(text)
        if not equals or not dotted.strip():
            raise SpecError(
                f"--set {shown(text)} sets nothing",
                at="--set",
                why="expected path=value",
                fix="--set replicas=2",
                rule="spec-set",
            )
        _set(tree, tuple(dotted.strip().split(".")), value, getattr(text, "label", f"--set {dotted.strip()}"))


def _check_text(text: str) -> None:
    """Raises: SpecError, for bytes of a command line that are no text, and for control characters."""
    if CONTROL.search(text) or (not text.isascii() and text.encode("utf-8", "replace").decode() != text):
        raise SpecError(
            f"--set {shown(text)} is no text",
            at="--set",
            why="it has bytes that are no UTF-8, or control characters",
            fix="write it as text",
            rule="spec-set",
        )


def _set(tree: nodes.Tree, path: tuple[str, ...], text: str, label: str) -> None:
    value = text if path in nodes_texts() else nodes.parse(text, label).value if text.strip() else None
    here = tree.value
    for depth, key in enumerate(path[:-1]):
        below = here.get(key)
        if isinstance(below, str) and depth == 0 and key in _SHORT and below:
            below = _expanded(key, below, label)
        if not below:
            below = {}
        if not isinstance(below, dict):
            raise SpecError(
                f"{label}: {'.'.join(path[: depth + 1])} is no table",
                at=str(tree.place(path[: depth + 1])),
                why=f"it is {shown(below)}",
                fix="set the whole field",
                rule="spec-set",
            )
        here[key] = below
        here = below
    here[path[-1]] = value
    for known in [known for known in tree.places if known[: len(path)] == path]:
        del tree.places[known]
    for depth in range(1, len(path)):
        tree.places.setdefault(path[:depth], Place(label, 1, 1))
    tree.places[path] = Place(label, 1, 1)


def _expanded(key: str, text: str, label: str) -> Any:
    try:
        return _SHORT[key](text)
    except ValueError as error:
        raise SpecError(
            str(error), at=label, why="the rest of it is set here", fix="mend the file", rule="spec-set"
        ) from None


def nodes_texts() -> frozenset[tuple[str, ...]]:
    """Paths whose value is text however it looks."""
    return frozenset(
        {
            ("name",),
            ("model",),
            ("model", "source"),
            ("model", "revision"),
            ("engine", "version"),
            ("hardware",),
        }
    )
