"""Which release of vLLM an image runs: its tag says so where the image is vLLM's own, and nowhere else."""

import re
from dataclasses import dataclass
from functools import lru_cache

from stoker.catalog import images, vllm

_MOVES = re.compile(
    r"latest|nightly|main|master|dev|develop|edge|stable|head|canary|rolling|snapshot|trunk", re.I
)
_STANDS = re.compile(
    r"replace|placeholder|kustomiz|image[-_]?name|your[-_]|my-?image|^image$|^auto$|^x$|_image_"
)
_PINNED = re.compile(r"[0-9a-f]{7,40}$|\d{6,8}")  # a commit or a day at its end


@dataclass(frozen=True, slots=True)
class Release:
    """vLLM's release, and whether the image's own tag says so; else it is the catalog's newest."""

    version: str
    sure: bool


@lru_cache(512)
def release_of(image: str) -> Release:
    """The release of vLLM in an image."""
    name, tag = _apart(image)
    if tag in ("latest", "nightly") and images.is_vllms(name):
        return Release(vllm.DEFAULT, True)  # or a newer one
    named = images.release_of(image)
    return Release(named or vllm.DEFAULT, named is not None)


def is_image(image: str) -> bool:
    """Whether a text names an image, rather than stands for one that something fills in."""
    return bool(image) and not any(mark in image for mark in "${<") and not _STANDS.search(image.lower())


def moves(image: str) -> bool:
    """Whether another image may hide behind the same name tomorrow; not where a template fills it in."""
    name, tag = _apart(image)
    if not is_image(image) or "@" in image:
        return False
    if not tag:
        return bool(name)
    words = re.split(r"[-_.]", tag)
    return bool(_MOVES.fullmatch(words[0]) or _MOVES.fullmatch(words[-1])) and not _PINNED.search(tag)


def _apart(image: str) -> tuple[str, str]:
    """Name and tag; the tag is empty where there is none."""
    plain = image.partition("@")[0]
    head, _, tail = plain.rpartition("/")
    name, _, tag = tail.partition(":")
    return (f"{head}/{name}" if head else name), tag
