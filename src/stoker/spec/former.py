"""Keys that had another name in an earlier release: they are still read, and a note names the new one."""

from collections.abc import Mapping

from stoker.errors import SpecError
from stoker.findings import Finding
from stoker.spec import nodes

# the former path, and the name that its last part has now
FORMER: Mapping[nodes.Path, str] = {("endpoint", "hold"): "queue_timeout"}
RULE = "spec-former-key"


def renamed(tree: nodes.Tree) -> tuple[Finding, ...]:
    """Gives each former key its name of today, in place; one note for each. Raises: SpecError, where both are
    there."""
    return tuple(_rename(tree, path, new) for path, new in FORMER.items() if _there(tree.value, path))


def _there(value: object, path: nodes.Path) -> bool:
    for part in path:
        if not isinstance(value, dict) or part not in value:
            return False
        value = value[part]
    return True


def _rename(tree: nodes.Tree, path: nodes.Path, new: str) -> Finding:
    at, today = str(tree.place(path)), (*path[:-1], new)
    table = tree.value
    for part in path[:-1]:
        table = table[part]
    if new in table:
        raise SpecError(
            f"{_dotted(path)} and {_dotted(today)} both stand here",
            at=at,
            why="the first is the second's former name",
            fix=f"leave {path[-1]} out",
            rule=RULE,
        )
    table[new] = table.pop(path[-1])
    for places in (tree.places, tree.raw):
        for old in [one for one in places if one[: len(path)] == path]:
            places[(*today, *old[len(path) :])] = places.pop(old)  # type: ignore[assignment]
    return Finding(
        f"{_dotted(path)} is now {_dotted(today)}",
        why="it is read under its former name, too",
        fix=f"write {new}",
        at=at,
        severity="note",
        rule=RULE,
    )


def _dotted(path: nodes.Path) -> str:
    return ".".join(map(str, path))
