"""`--set path=value`: one field over the file, parsed as the file would be."""

from collections.abc import Iterable

from stoker.errors import SpecError
from stoker.spec import nodes
from stoker.spec.nouns import Place


class Flag(str):
    """A `path=value` that an option of the command line stands for; errors name that option."""

    label: str

    def __new__(cls, label: str, path: str, value: str) -> "Flag":
        made = super().__new__(cls, f"{path}={value}")
        made.label = label
        return made


def apply_sets(tree: nodes.Tree, sets: Iterable[str]) -> None:
    """Writes each `path=value` into the tree. Raises: SpecError."""
    for text in sets:
        dotted, equals, value = text.partition("=")
        if not equals or not dotted.strip():
            raise SpecError(f"--set {text!r} sets nothing", why="expected path=value", fix="--set replicas=2")
        _set(tree, tuple(dotted.strip().split(".")), value, getattr(text, "label", f"--set {dotted.strip()}"))


def _set(tree: nodes.Tree, path: tuple[str, ...], text: str, label: str) -> None:
    value = text if path in nodes_texts() else nodes.parse(text, label).value if text.strip() else None
    here = tree.value
    for depth, key in enumerate(path[:-1]):
        below = here.get(key)
        if isinstance(below, str) and key == "model":
            below = {"source": below}  # `model: X` is short for `model: {source: X}`
        if below is None:
            below = {}
        if not isinstance(below, dict):
            raise SpecError(
                f"{label}: {'.'.join(path[: depth + 1])} is no table",
                why=f"it is {below!r}",
                fix="set the whole field",
            )
        here[key] = below
        here = below
    here[path[-1]] = value
    for known in [known for known in tree.places if known[: len(path)] == path]:
        del tree.places[known]
    tree.places[path] = Place(label, 1, 1)


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
