"""Files of this machine that an engine's options name, for a cluster: their text goes along."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stoker.bounds import shown
from stoker.errors import UsageError
from stoker.spec.carried import DRAFT, FILES, FOLDERS, TEXTS, is_repository
from stoker.spec.nouns import ServeSpec
from stoker.spec.places import place_of
from stoker.system import reading
from stoker.system.reading import Unreadable
from stoker.units import Bytes

LARGEST = Bytes(900 * 1024)  # of all files: a ConfigMap takes 1 MiB


@dataclass(frozen=True, slots=True)
class Carried:
    """texts: by their place under `FILES`. options: what their options say instead. notes: what is only
    assumed."""

    texts: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def with_files(spec: ServeSpec) -> tuple[ServeSpec, Carried]:
    """The spec whose options name the files as a pod finds them, and the files.

    A whole path that is not on this machine is taken for one in the image, or on the weights' disk. Raises:
    UsageError, for a file that is missing, and for what does not go along.
    """
    parts = [_text(spec, name) for name in TEXTS if name in spec.engine.options]
    parts += [_folder(spec, name) for name in FOLDERS if name in spec.engine.options]
    parts += [_draft(spec)] if DRAFT in spec.engine.options else []
    found = Carried(
        {path: text for one in parts for path, text in one.texts.items()},
        {name: value for one in parts for name, value in one.options.items()},
        tuple(note for one in parts for note in one.notes),
    )
    size = Bytes(sum(len(text.encode()) for text in found.texts.values()))
    if size > LARGEST:
        raise UsageError(
            f"the files that the engine's options name have {size}",
            at="engine",
            why=f"a ConfigMap carries them, which takes {LARGEST}",
            fix="put them into the model's folder, or into an own image",
            rule="engine-file",
        )
    options = {**spec.engine.options, **found.options}
    return replace(spec, engine=replace(spec.engine, options=options)), found


def located(spec: ServeSpec, name: str, value: str) -> Path:
    """A path as the file means it: from the file's own folder."""
    place = spec.origin.get(f"engine.{name}")
    base = Path(place.file).parent if place and not place.file.startswith(("<", "--")) else Path()
    return Path(os.path.abspath(base / os.path.expanduser(value)))


def _text(spec: ServeSpec, name: str) -> Carried:
    value = str(spec.engine.options[name])
    if "{" in value:
        return Carried()
    path = located(spec, name, value)
    if _elsewhere(path, value):
        return _of_the_image(name, value)
    target = f"{name}/{path.name}"
    return Carried({target: _read(spec, name, path)}, {name: f"{FILES}/{target}"})


def _folder(spec: ServeSpec, name: str) -> Carried:
    value = str(spec.engine.options[name])
    path = located(spec, name, value)
    if value in FOLDERS[name] or (not path.exists() and is_repository(value)):
        return Carried()
    if _elsewhere(path, value):
        return _of_the_image(name, value)
    if not path.is_dir():
        raise _missing(spec, name, path, "there is no such folder")
    files = [one for one in sorted(path.iterdir()) if one.is_file() and one.suffix not in _WEIGHTS]
    texts = {f"{name}/{one.name}": _read(spec, name, one) for one in files if not one.name.startswith(".")}
    return Carried(texts, {name: f"{FILES}/{name}"})


_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf")


def _draft(spec: ServeSpec) -> Carried:
    """The draft model's weights do not go along. Raises: UsageError, where they are of this machine."""
    given = spec.engine.options[DRAFT]
    try:
        table = json.loads(given) if isinstance(given, str) else given
    except ValueError:
        return Carried()
    value = table.get("model") if isinstance(table, dict) else None
    if not isinstance(value, str):
        return Carried()
    path = located(spec, DRAFT, value)
    if not path.exists() and is_repository(value):
        return Carried()
    if _elsewhere(path, value):
        return _of_the_image(f"{DRAFT}.model", value)
    raise UsageError(
        f"the draft model {shown(value)[1:-1]} is on this machine",
        at=place_of(spec, f"engine.{DRAFT}"),
        why="a cluster's pods cannot read it"
        if path.exists()
        else f"{shown(str(path), 300)[1:-1]}: there is no such folder",
        fix="a repository of the hub with `weights: hub`, or its whole path on the weights' disk",
        rule="engine-file",
    )


def _elsewhere(path: Path, value: str) -> bool:
    return value.startswith("/") and not path.exists()


def _of_the_image(name: str, value: str) -> Carried:
    return Carried(notes=(f"{name} {value} is not on this machine: it is taken for a path in the pod",))


def _read(spec: ServeSpec, name: str, path: Path) -> str:
    try:
        return reading.read_text(path, LARGEST)
    except Unreadable as error:
        raise _missing(spec, name, path, error.why, error.fix, missing=error.missing) from None


def _missing(
    spec: ServeSpec, name: str, path: Path, why: str, fix: str = "", *, missing: bool = True
) -> UsageError:
    what = f"{name} {shown(str(spec.engine.options[name]))[1:-1]}"
    return UsageError(
        f"{what} is not there" if missing else f"{what} cannot be read",
        at=place_of(spec, f"engine.{name}"),
        why=f"{shown(str(path), 300)[1:-1]}: {why}",
        fix=fix or "name one that is there",
        rule="chat-template" if name == "chat-template" else "engine-file",
    )


def whole_paths(spec: ServeSpec) -> ServeSpec:
    """The spec for an engine of this machine: files that its options name are meant from the file's own
    folder. Raises: UsageError, for a text that is missing."""
    options = dict(spec.engine.options)
    for name in (*TEXTS[1:], *FOLDERS):  # a chat template is read, too, before
        value = str(options.get(name, ""))
        path = located(spec, name, value)
        if not value or value in FOLDERS.get(name, ()) or "{" in value:
            continue
        if path.exists():
            options[name] = str(path)
        elif name in TEXTS:
            raise _missing(spec, name, path, "there is no such file")
    draft = options.get(DRAFT)
    model = draft.get("model") if isinstance(draft, dict) else None
    if isinstance(draft, dict) and isinstance(model, str) and located(spec, DRAFT, model).exists():
        options[DRAFT] = {**draft, "model": str(located(spec, DRAFT, model))}
    return replace(spec, engine=replace(spec.engine, options=options))
