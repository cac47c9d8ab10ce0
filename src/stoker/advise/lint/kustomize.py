"""Kustomizations: a base with its overlays is one object, so what is checked is what `kustomize build` makes.

Of the files of a run alone: what a kustomization takes from elsewhere stays unknown, and generators,
replacements and charts are not run. Source: https://kubectl.docs.kubernetes.io/references/kustomize/
"""

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from stoker.advise.lint.merging import items, merged, operated
from stoker.advise.lint.reading import Manifest, read
from stoker.advise.lint.values import listed, table, text

NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_DEEP = 12
# What changes objects in ways that are not followed here.
_LOOSE = (
    "replacements",
    "vars",
    "transformers",
    "labels",
    "commonLabels",
    "generators",
    "helmCharts",
    "openapi",
)


def is_kustomization(file: str) -> bool:
    """Whether a file is one by its name."""
    return posixpath.basename(file) in NAMES


@dataclass
class Built:
    """What was built. objects: with their patches over them. parts: files that are parts of a build, and no
    objects by themselves. lost: patches whose object is not in these files."""

    objects: list[Manifest] = field(default_factory=list)
    parts: set[str] = field(default_factory=set)
    lost: list[Manifest] = field(default_factory=list)


@dataclass
class _Files:
    """All files of a run. by_folder: each kustomization by its folder."""

    manifests: Mapping[str, list[Manifest]]
    by_folder: Mapping[str, Manifest]
    built: Built
    used: set[str]
    done: dict[str, list[Manifest]] = field(default_factory=dict)


def build(manifests: Mapping[str, list[Manifest]]) -> Built:
    """What the kustomizations among the files make of the others. manifests: of each file."""
    by_folder = {
        posixpath.dirname(name): found[0]
        for name, found in manifests.items()
        if is_kustomization(name) and found
    }
    files = _Files(manifests, by_folder, Built(), set())
    if not by_folder:
        return files.built
    for folder, one in by_folder.items():
        files.built.parts.add(one.file)
        for path in _resources(folder, one):
            files.used.add(path)
    for folder in by_folder:
        if folder not in files.used and by_folder[folder].kind != "Component":
            files.built.objects += [replace(item, build=folder or ".") for item in _made(folder, files, 0)]
    return files.built


def _resources(folder: str, one: Manifest) -> Iterator[str]:
    for key in ("resources", "bases", "components"):
        for name in items(one.get(key)):
            yield _path(folder, name)


def _path(folder: str, name: str) -> str:
    return (
        name if "://" in name or name.startswith("git@") else posixpath.normpath(posixpath.join(folder, name))
    )


def _made(folder: str, files: _Files, depth: int) -> list[Manifest]:
    """The objects of a kustomization."""
    one = files.by_folder[folder]
    if folder in files.done or depth > _DEEP:
        return files.done.get(folder, [])
    files.done[folder] = []  # one that leads back to itself has nothing there
    out: list[Manifest] = []
    for key in ("resources", "bases"):
        for name in items(one.get(key)):
            path = _path(folder, name)
            if path in files.by_folder:
                out += _made(path, files, depth + 1)
            elif path in files.manifests:
                files.built.parts.add(path)
                out += files.manifests[path]
    for name in items(one.get("components")):
        path = _path(folder, name)
        if path in files.by_folder:
            out = _patched(path, files, [*out, *_made(path, files, depth + 1)])
    if one.kind != "Component":
        out = _patched(folder, files, out)
    files.done[folder] = out
    return out


def _patched(folder: str, files: _Files, objects: list[Manifest]) -> list[Manifest]:
    """Objects with a kustomization's patches, images and names."""
    one = files.by_folder[folder]
    for patch, target in _patches(folder, one, files):
        objects = _patch(objects, patch, target, files)
    images = [table(item) for item in listed(one.get("images"))]
    objects = [_named(item, one, images) for item in objects]
    loose = any(one.get(key) for key in _LOOSE)
    return [replace(item, loose=True) for item in objects] if loose else objects


def _patches(folder: str, one: Manifest, files: _Files) -> Iterator[tuple[Manifest, Mapping[str, Any]]]:
    """Every patch, with what it is meant for."""
    given: list[Mapping[str, Any]] = [{"path": path} for path in items(one.get("patchesStrategicMerge"))]
    given += [table(item) for key in ("patches", "patchesJson6902") for item in listed(one.get(key))]
    for item in given:
        target, inline = table(item.get("target")), text(item.get("patch"))
        path = _path(folder, text(item.get("path")))
        if "\n" in text(item.get("path")):
            inline = text(item.get("path"))
        if inline:
            found, _ = read(inline, one.file, patch=True)
            found = [replace(each, lines={(): one.lines.get(("patches",), (1, 1))}) for each in found]
        else:
            files.built.parts.add(path)
            found = list(files.manifests.get(path, ()))
        for patch in found:
            yield patch, target


def _patch(
    objects: list[Manifest], patch: Manifest, target: Mapping[str, Any], files: _Files
) -> list[Manifest]:
    operations = patch.body.get("") if isinstance(patch.body.get(""), list) else None
    out, hit = [], False
    for item in objects:
        if not _meant(item, patch, target):
            out.append(item)
            continue
        hit = True
        if operations is not None:
            out.append(operated(item, operations, patch))
        elif patch.body.get("$patch") != "delete":
            out.append(merged(item, patch if not target else _bare(patch)))
    if not hit:
        files.built.lost.append(patch)
    return out


def _bare(patch: Manifest) -> Manifest:
    """A patch with a target: its own name and kind are not the object's."""
    body = {key: value for key, value in patch.body.items() if key not in ("apiVersion", "kind")}
    if isinstance(body.get("metadata"), dict):
        body["metadata"] = {k: v for k, v in body["metadata"].items() if k != "name"}
    return replace(patch, body=body)


def _meant(item: Manifest, patch: Manifest, target: Mapping[str, Any]) -> bool:
    if not target:
        same = patch.name in (item.name, item.get("metadata", "annotations", "stoker/base-name"))
        return item.kind == patch.kind and (same or patch.name == _first(item))
    for key, value in (("kind", item.kind), ("name", item.name)):
        wanted = text(target.get(key))
        if (
            wanted
            and wanted != value
            and not _matches(wanted, value)
            and not (key == "name" and wanted == _first(item))
        ):
            return False
    return not target.get("labelSelector") or bool(target.get("name"))


def _first(item: Manifest) -> str:
    """The name before prefixes and suffixes."""
    return item.first or item.name


def _matches(pattern: str, value: str) -> bool:
    try:
        return len(pattern) < 200 and re.fullmatch(pattern, value[:300]) is not None
    except re.error:
        return False


def _named(item: Manifest, one: Manifest, images: list[Mapping[str, Any]]) -> Manifest:
    """Prefix, suffix, namespace and images of a kustomization."""
    prefix, suffix, space = (text(one.get(key)) for key in ("namePrefix", "nameSuffix", "namespace"))
    body = item.body
    meta = table(body.get("metadata"))
    if (prefix or suffix or space) and meta:
        changed = {"name": f"{prefix}{meta.get('name', '')}{suffix}"} | (
            {"namespace": space} if space else {}
        )
        body = {**body, "metadata": {**meta, **changed}}
        if suffix or prefix:
            body = _referring(body, prefix, suffix)
    if images:
        body = _imaged(body, images)
    return replace(item, body=body, first=_first(item)) if body is not item.body else item


def _referring(body: dict[str, Any], prefix: str, suffix: str) -> dict[str, Any]:
    """A scaler's target takes the new name too."""
    target = table(table(body.get("spec")).get("scaleTargetRef"))
    if not target:
        return body
    named = {**target, "name": f"{prefix}{target.get('name', '')}{suffix}"}
    return {**body, "spec": {**body["spec"], "scaleTargetRef": named}}


def _imaged(value: Any, images: list[Mapping[str, Any]]) -> Any:
    """Every `image:` with its new name and tag."""
    if isinstance(value, dict):
        return {
            key: _image(inner, images)
            if key == "image" and isinstance(inner, str)
            else _imaged(inner, images)
            for key, inner in value.items()
        }
    return [_imaged(one, images) for one in value] if isinstance(value, list) else value


def _image(image: str, images: list[Mapping[str, Any]]) -> str:
    plain, _, digest = image.partition("@")
    head, slash, tail = plain.rpartition("/")
    name, _, tag = tail.partition(":")
    name = f"{head}{slash}{name}"
    for row in images:
        if text(row.get("name")) == name:
            tag, digest = text(row.get("newTag")) or tag, text(row.get("digest")) or digest
            name = text(row.get("newName")) or name
            return f"{name}{':' + tag if tag else ''}{'@' + digest if digest else ''}"
    return image
