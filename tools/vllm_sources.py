"""The Python sources of a release of vLLM, from the package index, without installing anything.

Of a source distribution the whole is downloaded (10 to 50 MB) and its `vllm/**/*.py` are kept. Where a
release has only wheels (0.15.0, 0.15.1), of 500 MB, the ranges of the archive that hold Python files are
read, some 10 MB.
"""

import io
import json
import os
import re
import tarfile
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

INDEX = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/")
OLDEST = "0.8.5"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Upload:
    """A file of a release on the index: where it is, and the day it came there."""

    release: str
    url: str
    date: str
    size: int

    @property
    def wheel(self) -> bool:
        """Whether it is a built archive, of which only parts are read."""
        return self.url.endswith(".whl")


def order(release: str) -> tuple[tuple[int, ...], int]:
    """What releases are sorted by: 0.8.5 < 0.8.5.post1 < 0.9.0 < 0.9.0.1."""
    plain, _, post = release.partition(".post")
    return tuple(map(int, plain.split("."))), int(post or 0)


@cache
def uploads() -> dict[str, Upload]:
    """Every release since the oldest that the catalog has, oldest first; yanked ones and candidates are not.

    A source distribution is taken before a wheel, and the wheel for x86-64 before others.
    """
    request = urllib.request.Request(
        f"{INDEX}/vllm/", headers={"Accept": "application/vnd.pypi.simple.v1+json"}
    )
    with urllib.request.urlopen(request) as answer:
        listed = json.load(answer)["files"]
    found: dict[str, Upload] = {}
    for one in sorted(listed, key=_preference):
        match = re.match(r"vllm-(\d+(?:\.\d+)*(?:\.post\d+)?)(?:-.*\.whl|\.tar\.gz)$", one["filename"])
        if match and not one.get("yanked") and order(match[1]) >= order(OLDEST):
            date = str(one.get("upload-time") or "")[:10]
            found[match[1]] = Upload(match[1], one["url"], date, int(one.get("size") or 0))
    return dict(sorted(found.items(), key=lambda pair: order(pair[0])))


def _preference(one: dict[str, Any]) -> tuple[bool, bool]:
    name = one["filename"]
    return name.endswith(".tar.gz"), "x86_64" in name


def unpack(upload: Upload, folder: Path) -> Path:
    """Puts the Python files of a release under `folder/RELEASE`, where they are not there already."""
    root = folder / upload.release
    if (root / "vllm/__init__.py").exists():
        return root
    for name, data in _wheel(upload) if upload.wheel else _sdist(upload):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def _wanted(name: str) -> bool:
    return name.startswith("vllm/") and name.endswith(".py") and ".." not in name


def _sdist(upload: Upload) -> Iterator[tuple[str, bytes]]:
    with (
        urllib.request.urlopen(upload.url) as answer,
        tarfile.open(fileobj=io.BytesIO(answer.read())) as archive,
    ):
        for member in archive:
            name = member.name.partition("/")[2]
            if member.isfile() and _wanted(name):
                read = archive.extractfile(member)
                assert read is not None
                yield name, read.read()


def _wheel(upload: Upload) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(_Ranges(upload.url, upload.size)) as archive:
        for member in sorted(archive.infolist(), key=lambda one: one.header_offset):
            if _wanted(member.filename):
                yield member.filename, archive.read(member)


class _Ranges(io.RawIOBase):
    """A file on a server that is read in pieces of a MiB, as they are asked for; the last few are kept."""

    def __init__(self, url: str, size: int) -> None:
        self._url, self._size, self._at = url, size, 0
        self._pieces: dict[int, bytes] = {}

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        """As a file's."""
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def read(self, count: int | None = -1) -> bytes:
        """As a file's."""
        end = self._size if count is None or count < 0 else min(self._size, self._at + count)
        first, last = self._at // _CHUNK, max(self._at, end - 1) // _CHUNK
        whole = b"".join(self._piece(number) for number in range(first, last + 1))
        begin = self._at - first * _CHUNK
        part, self._at = whole[begin : begin + end - self._at], max(self._at, end)
        return part

    def _piece(self, number: int) -> bytes:
        if number not in self._pieces:
            while len(self._pieces) > 8:
                self._pieces.pop(next(iter(self._pieces)))
            last = min(self._size, (number + 1) * _CHUNK) - 1
            headers = {"Range": f"bytes={number * _CHUNK}-{last}"}
            with urllib.request.urlopen(urllib.request.Request(self._url, headers=headers)) as answer:
                self._pieces[number] = answer.read()
        return self._pieces[number]
