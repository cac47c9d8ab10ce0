"""A run's directory as lines of a log, the one thing that comes out of a pod without rights of its own.

Lines are numbered and short, as a container's runtime cuts long ones; what is said beside them is no harm.
"""

import base64
import hashlib
import io
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from stoker.bench.folder import RECORDS, TIMELINE
from stoker.errors import EnvironmentFailed
from stoker.units import Bytes

MARK = "stoker-run"
LINE = 3000  # characters: runtimes cut a line at 16 KiB
MOST = Bytes(8 * 1024**2)  # of all lines: a kubelet rotates a container's log at 10 MiB
UNPACKED = Bytes(2 * 1024**3)
_LINE = re.compile(rf"{MARK} (begin|end|[0-9]+)(?: (.*))?")


def packed(folder: Path, code: int, most: int = MOST) -> Iterator[str]:
    """The lines. code: how the test ended. Where they would be too many, the largest files stay behind:
    first single requests, then the timeline; the run's figures always come."""
    left: tuple[str, ...] = ()
    text = _text(folder, left)
    for name in (RECORDS, TIMELINE):
        if len(text) > most:
            left = (*left, name)
            text = _text(folder, left)
    lines = [text[at : at + LINE] for at in range(0, len(text), LINE)]
    yield f"{MARK} begin {len(lines)} {hashlib.sha256(text.encode()).hexdigest()}"
    for number, line in enumerate(lines):
        yield f"{MARK} {number} {line}"
    yield f"{MARK} end {code} {','.join(left)}"


def _text(folder: Path, left: tuple[str, ...]) -> str:
    files = [one for one in sorted(folder.rglob("*")) if one.is_file() and one.name not in left]
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for one in files:
            tar.add(one, str(one.relative_to(folder)))
    return base64.b64encode(data.getvalue()).decode() if files else ""


class Parcel:
    """The lines as they come. code: how the test ended; None before its end. left: files that stayed."""

    def __init__(self) -> None:
        self.code: int | None = None
        self.left: tuple[str, ...] = ()
        self._count, self._digest = 0, ""
        self._lines: dict[int, str] = {}

    def feed(self, line: str) -> bool:
        """Takes a line of the log. Returns whether it was one of these."""
        found = _LINE.fullmatch(line.strip())
        if found is None:
            return False
        kind, rest = found[1], found[2] or ""
        if kind == "begin":
            count, _, self._digest = rest.partition(" ")
            self._count = int(count) if count.isdecimal() else 0
        elif kind == "end":
            code, _, left = rest.partition(" ")
            self.code = int(code) if code.isdecimal() else 1
            self.left = tuple(filter(None, left.split(",")))
        else:
            self._lines[int(kind)] = rest
        return True

    def unpack(self, folder: Path) -> None:
        """Writes the files. Raises: EnvironmentFailed, where lines are missing, or are not what was sent."""
        text = "".join(self._lines.get(number, "") for number in range(self._count))
        if hashlib.sha256(text.encode()).hexdigest() != self._digest:
            raise _broken(f"{len(self._lines)} of {self._count} lines of it came")
        if not text:
            return
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with tarfile.open(fileobj=io.BytesIO(base64.b64decode(text)), mode="r:gz") as tar:
                _unpack(tar, folder)
        except (tarfile.TarError, ValueError, EOFError) as error:
            raise _broken(str(error)) from None


def _unpack(tar: tarfile.TarFile, folder: Path) -> None:
    """Plain files alone, and none outside the folder."""
    room = int(UNPACKED)
    for member in tar:
        path = PurePosixPath(member.name)
        room -= member.size
        if not member.isfile() or path.is_absolute() or ".." in path.parts or room < 0:
            raise _broken(f"{member.name} is no file of a run")
        source = tar.extractfile(member)
        assert source is not None
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(source.read())


def _broken(why: str) -> EnvironmentFailed:
    return EnvironmentFailed(
        "the run did not come whole out of the pod's log",
        why=why,
        fix="measure again; what the test said stands above",
        rule="bench-parcel",
    )
