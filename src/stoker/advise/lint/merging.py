"""Objects with patches over them, as Kustomize makes them: every value keeps the place where it was written.

Strategic merge by the keys of the core's lists, JSON patches by their paths. Sources: the API reference of
Kubernetes (`patchMergeKey`), RFC 6902.
"""

import copy
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from stoker.advise.lint.reading import Manifest, Path
from stoker.advise.lint.values import listed, table, text

# By what the parts of a list are one and the same; other lists are replaced.
_KEYS: Mapping[str, tuple[str, ...]] = {
    "containers": ("name",), "initContainers": ("name",), "ephemeralContainers": ("name",), "env": ("name",),
    "volumes": ("name",), "volumeMounts": ("mountPath",), "volumeDevices": ("devicePath",),
    "ports": ("containerPort", "port", "name"), "imagePullSecrets": ("name",), "resourceClaims": ("name",),
    "topologySpreadConstraints": ("topologyKey",), "hostAliases": ("ip",),
}  # fmt: skip
_DELETE, _REPLACE = "delete", "replace"


def merged(under: Manifest, patch: Manifest) -> Manifest:
    """An object with a strategic merge patch over it."""
    lines, files = dict(under.lines), dict(under.elsewhere)
    value = _merge(under.body, patch.body, (), (), (patch, lines, files))
    return replace(under, body=value, lines=lines, elsewhere=files)


Places = tuple[Manifest, dict[Path, tuple[int, int]], dict[Path, str]]


def _note(path: Path, source: Path, places: Places) -> None:
    """A value comes from the patch: its place, and those of all in it."""
    patch, lines, files = places
    for key, line in patch.lines.items():
        if key[: len(source)] == source:
            lines[path + key[len(source) :]] = line
            files[path + key[len(source) :]] = patch.elsewhere.get(key, patch.file)


def _merge(under: Any, over: Any, path: Path, source: Path, places: Places) -> Any:
    if isinstance(under, dict) and isinstance(over, dict) and over.get("$patch") != _REPLACE:
        out = dict(under)
        for key, value in over.items():
            if key.startswith("$"):
                continue
            if value is None or (isinstance(value, dict) and value.get("$patch") == _DELETE):
                out.pop(key, None)
            elif key in out:
                out[key] = _merge(out[key], value, (*path, key), (*source, key), places)
            else:
                out[key] = _without(value)
                _note((*path, key), (*source, key), places)
        return out
    keys = _KEYS.get(str(path[-1])) if path else None
    if keys and isinstance(under, list) and isinstance(over, list):
        return _lists(under, over, path, source, places, keys)
    _note(path, source, places)
    return _without(over)


def _lists(
    under: list[Any], over: list[Any], path: Path, source: Path, places: Places, keys: tuple[str, ...]
) -> list[Any]:
    out = list(under)
    for index, item in enumerate(over):
        named = {key: table(item)[key] for key in keys if key in table(item)}
        key = next(iter(named), None)
        at = next((n for n, one in enumerate(out) if key and table(one).get(key) == named[key]), None)
        if table(item).get("$patch") == _DELETE:
            if at is not None:
                out[at] = None  # the places of those behind it stay
        elif at is not None:
            out[at] = _merge(out[at], item, (*path, at), (*source, index), places)
        else:
            out.append(_without(item))
            _note((*path, len(out) - 1), (*source, index), places)
    return out


def _without(value: Any) -> Any:
    """Without the words to the patcher."""
    if isinstance(value, dict):
        return {key: _without(inner) for key, inner in value.items() if not str(key).startswith("$")}
    return [_without(one) for one in value] if isinstance(value, list) else value


def operated(under: Manifest, operations: Iterable[Any], patch: Manifest) -> Manifest:
    """An object after the operations of a JSON patch; one that does not apply is left out."""
    lines, files = dict(under.lines), dict(under.elsewhere)
    body = copy.deepcopy(under.body)
    for index, given in enumerate(operations):
        steps = [
            one.replace("~1", "/").replace("~0", "~") for one in text(table(given).get("path")).split("/")[1:]
        ]
        what = text(table(given).get("op"))
        if not steps or what not in ("add", "replace", "remove"):
            continue
        path = _operate(body, steps, what, table(given).get("value"))
        place = patch.lines.get((index,), (1, 1))
        if path and what != "remove":
            for old in [key for key in lines if key[: len(path)] == path]:
                del lines[old]
            lines[path], files[path] = place, patch.file
    return replace(under, body=body, lines=lines, elsewhere=files)


def _operate(body: Any, steps: list[str], what: str, value: Any) -> Path:
    """Does one operation; the path it was done at, empty where there is no such place."""
    path: Path = ()
    for step in steps[:-1]:
        if isinstance(body, list) and step.isdigit() and int(step) < len(body):
            body, path = body[int(step)], (*path, int(step))
        elif isinstance(body, dict) and step in body:
            body, path = body[step], (*path, step)
        else:
            return ()
    last = steps[-1]
    if isinstance(body, dict):
        if what == "remove":
            body.pop(last, None)
        else:
            body[last] = value
        return (*path, last)
    if not isinstance(body, list):
        return ()
    index = len(body) if last == "-" else int(last) if last.isdigit() else -1
    if not 0 <= index <= len(body):
        return ()
    if what == "add":
        body.insert(index, value)
    elif index < len(body):
        body[index : index + 1] = [] if what == "remove" else [value]
    return (*path, index)


def items(value: Any) -> list[str]:
    """The texts of a list."""
    return [one for one in listed(value) if isinstance(one, str)]
