"""Which release of vLLM a spec is for: as `engine.version` says, else as its image's tag does."""

from collections.abc import Mapping
from typing import Any

from stoker.bounds import shown
from stoker.catalog import images, releases, vllm
from stoker.errors import SpecError
from stoker.findings import Finding
from stoker.spec.nodes import Tree

_FIRST = "0.5.0"  # older ones have no `vllm serve`


def read_version(raw: Mapping[str, Any], tree: Tree) -> str:
    """The release that is asked for. Raises: SpecError, for what is no release."""
    given, image = raw.get("version"), raw.get("image")
    if given is None:
        named = images.release_of(image) if isinstance(image, str) else None
        return named or vllm.DEFAULT
    version = str(given).removeprefix("v")
    if releases.is_release(version) and releases.order(version) >= releases.order(_FIRST):
        return version
    padded = f"{version}.0"
    near = padded if padded in vllm.KNOWN else vllm.DEFAULT
    raise SpecError(
        f"vLLM {shown(version)[1:-1]} is not known to this Stoker",
        at=str(tree.place(("engine", "version"))),
        why=f"it is no release, or one without `vllm serve`; known: {vllm.KNOWN[0]} to {vllm.KNOWN[-1]}",
        fix=f"write `version: {near}`, or leave it out",
        rule="spec-engine",
    )


def release_notes(version: str, raw: Mapping[str, Any], tree: Tree) -> tuple[Finding, ...]:
    """What to say of a release that is only assumed, or not the image's, or not in the catalog."""
    image = raw.get("image")
    named = images.release_of(image) if isinstance(image, str) else None
    out = []
    if isinstance(image, str) and raw.get("version") is None and named is None:
        out.append(_assumed(image, version, str(tree.place(("engine", "image")))))
    if named is not None and named != version:
        out.append(_other(str(image), named, version, str(tree.place(("engine", "version")))))
    if version not in vllm.KNOWN:
        key = "version" if raw.get("version") is not None else "image"
        out.append(_unknown(version, str(tree.place(("engine", key)))))
    return tuple(out)


def _assumed(image: str, version: str, at: str) -> Finding:
    return Finding(
        f"vLLM's release in {image} is not known; {version} is assumed",
        at=at,
        why="a tag is vLLM's release in vLLM's own images alone",
        fix="engine.version: the release that is in it",
        rule="release-assumed",
        severity="warning",
    )


def _other(image: str, named: str, version: str, at: str) -> Finding:
    return Finding(
        f"engine.version is {version}, and {image} holds vLLM {named}",
        at=at,
        why="options and memory are those of engine.version",
        fix=f"version: {named}, or an image of {version}",
        rule="release-image",
        severity="warning",
    )


def _unknown(version: str, at: str) -> Finding:
    near = releases.nearest(version)
    return Finding(
        f"vLLM {version} is not known to this Stoker; it is taken for {near}",
        at=at,
        why=f"known: {vllm.KNOWN[0]} to {vllm.KNOWN[-1]}",
        fix=f"version: {near}; or a newer Stoker",
        rule="release-unknown",
        severity="warning",
    )
