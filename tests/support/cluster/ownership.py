"""Server-side apply: who owns which field, what an apply changes, and what it conflicts with.

A path is a tuple of keys; a list whose items all have a `name` is a map by name, as in the API's own merge
keys, and any other list is one value. Source:
https://kubernetes.io/docs/reference/using-api/server-side-apply/
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

Path = tuple[str, ...]
NEVER = {("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")}


def _named(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) and "name" in v for v in value)


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every field that holds no other, with its value."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from leaves(inner, (*path, str(key)))
    elif _named(value):
        for one in value:
            yield from leaves(one, (*path, f"[{one['name']}]"))
    else:
        yield path, value


def owned(body: Mapping[str, Any]) -> dict[Path, Any]:
    """The fields that an applied body claims."""
    return {path: value for path, value in leaves(body) if path not in NEVER and path[:1] != ("status",)}


def written(path: Path) -> str:
    """As the API server names a field: `.spec.template.spec.containers[name="engine"].image`."""
    return "".join(f'[name="{part[1:-1]}"]' if part.startswith("[") else f".{part}" for part in path)


def get(body: Any, path: Path) -> Any:
    """The value at a path; None where there is none."""
    for part in path:
        if part.startswith("["):
            body = next(
                (one for one in body or () if isinstance(one, dict) and one.get("name") == part[1:-1]), None
            )
        else:
            body = body.get(part) if isinstance(body, Mapping) else None
        if body is None:
            return None
    return body


def put(body: Any, path: Path, value: Any) -> None:
    """Sets the value at a path, making what stands above it."""
    for index, part in enumerate(path[:-1]):
        below: Any = [] if path[index + 1].startswith("[") else {}
        if part.startswith("["):
            found = next((one for one in body if one.get("name") == part[1:-1]), None)
            if found is None:
                found = {"name": part[1:-1]}
                body.append(found)
            body = found
        else:
            if not isinstance(body.get(part), type(below)):
                body[part] = below
            body = body[part]
    body[path[-1]] = deepcopy(value)


def remove(body: Any, path: Path) -> None:
    """Takes a field away, and what is empty above it."""
    above = get(body, path[:-1]) if path[:-1] else body
    if isinstance(above, dict):
        above.pop(path[-1], None)
        if path[:-1] and (not above or (path[-2].startswith("[") and set(above) <= {"name"})):
            _drop(body, path[:-1])


def _drop(body: Any, path: Path) -> None:
    above = get(body, path[:-1]) if path[:-1] else body
    if isinstance(above, list):
        above[:] = [one for one in above if one.get("name") != path[-1][1:-1]]
        if not above:
            _drop(body, path[:-1])
    elif isinstance(above, dict):
        above.pop(path[-1], None)


def conflicts(
    live: Any, owners: Mapping[str, set[Path]], manager: str, wanted: Mapping[Path, Any]
) -> dict[str, list[Path]]:
    """Fields that another manager owns and that would change, by that manager."""
    out: dict[str, list[Path]] = {}
    for other, paths in owners.items():
        if other == manager:
            continue
        for path in paths:
            if path in wanted and get(live, path) != wanted[path]:
                out.setdefault(other, []).append(path)
    return out
