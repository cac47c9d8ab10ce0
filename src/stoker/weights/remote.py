"""What a remote source offers: its files with size and checksum, and a way to read a range of one."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from stoker.errors import WeightsFailed
from stoker.units import Bytes

KEPT = (".safetensors", ".json", ".jinja", ".txt", ".model", ".tiktoken")
SKIPPED_FOLDERS = ("original/", "onnx/", "openvino/", "coreml/", ".git/", ".cache/")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file: its path within the source, its bytes, and what the source says of its content.

    sha256, md5 and git_sha1 are hex digests, None where the source gives none; `version` changes with the
    content.
    """

    path: str
    size: Bytes
    sha256: str | None = None
    md5: str | None = None
    git_sha1: str | None = None
    version: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """All files that serving needs, at one revision."""

    label: str
    revision: str
    files: tuple[RemoteFile, ...]
    skipped: tuple[str, ...] = ()

    @property
    def size(self) -> Bytes:
        """Bytes of all files."""
        return Bytes(sum(file.size for file in self.files))


class Remote(Protocol):
    """A source that can be listed and read in ranges. Both raise StokerErrors of their own."""

    def listing(self) -> Listing: ...
    def read(self, file: RemoteFile, start: int, end: int) -> Iterator[bytes]: ...
    def close(self) -> None: ...


class Interrupted(Exception):
    """A read broke off and may be tried again."""


def offline(*also: str) -> str | None:
    """The variable that forbids to ask anybody for weights, where one does: STOKER_OFFLINE, and the source's
    own."""
    return next((name for name in ("STOKER_OFFLINE", *also) if os.environ.get(name) == "1"), None)


def ask_nobody(source: str, *also: str) -> None:
    """Raises: WeightsFailed, where the environment forbids to ask the source."""
    if name := offline(*also):
        raise WeightsFailed(
            f"{source} is not in the cache",
            why=f"{name}=1 forbids to ask for it",
            fix="unset it, or name a folder",
            rule="weights-offline",
        )


def needed(path: str) -> bool:
    """Whether serving needs the file: weights as safetensors, configuration, tokenizer; never code or
    pickles."""
    if path.startswith(SKIPPED_FOLDERS) or path.rpartition("/")[2].startswith("."):
        return False
    return path.endswith(KEPT) and "/" not in path
