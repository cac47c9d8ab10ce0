"""A file of a model's folder, read with care: its kind and length first, then as text or as a JSON object."""

from pathlib import Path
from typing import Any

from stoker.bounds import read_json
from stoker.errors import StokerError, UsageError, WeightsFailed
from stoker.system import reading
from stoker.system.reading import Unreadable

MOST = 16 * 1024**2  # bytes of config.json, an index, a tokenizer's configuration
VALUES = 500_000
TEMPLATE = 2 * 1024**2
POINTER = b"version https://git-lfs.github.com/spec/"
AGAIN = "copy the file again"


def expanded(path: str) -> Path:
    """A path as the shell means it. Raises: UsageError, for the home of somebody who is not here."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UsageError(
            f"{path} is no folder", why="nobody of that name is here", fix="write the whole path"
        ) from None


def there(path: Path) -> bool:
    """Whether a path leads to something. Raises: WeightsFailed, where it may not be looked at."""
    try:
        return reading.looked_at(path) is not None
    except Unreadable as error:
        raise refused(path, error) from None


def read_object(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object. Raises: WeightsFailed, UsageError."""
    text = read_text(path, MOST)
    try:
        value = read_json(text, most=MOST, nodes=VALUES)
    except (ValueError, RecursionError) as error:
        raise broken(path, f"{path.name} cannot be read", str(error)) from None
    if not isinstance(value, dict):
        raise broken(path, f"{path.name} holds no object", f"it is a {type(value).__name__}")
    return value


def read_text(path: Path, most: int) -> str:
    """A text file of a model. Raises: WeightsFailed, UsageError."""
    try:
        found = reading.read(path, most)
    except Unreadable as error:
        raise refused(path, error) from None
    check_pointer(path, found)
    try:
        return found.decode("utf-8")
    except UnicodeDecodeError as error:
        line = found.count(b"\n", 0, error.start) + 1
        raise broken(path, f"{path.name} cannot be read", f"line {line} is no UTF-8 text") from None


def check_pointer(path: Path, start: bytes) -> None:
    """Raises: UsageError, for a file that only says where Git LFS keeps the real one."""
    if start.startswith(POINTER):
        raise UsageError(
            f"{path.name} is a Git LFS pointer, not the file itself",
            at=str(path),
            why="the repository was cloned without Git LFS",
            fix=f"git -C {path.parent} lfs pull",
            rule="weights-lfs",
        )


def refused(path: Path, error: Unreadable) -> StokerError:
    """Why a file is not opened: a mistake where something else stands in its place."""
    other = error.why.startswith("it is ")
    fix = (
        "a model's folder holds its files as files: move it away, or copy the file again"
        if other
        else error.fix
    )
    made = UsageError if other else WeightsFailed
    return made(
        f"{path.name} cannot be read", at=str(path), why=error.why, fix=fix, rule="weights-unreadable"
    )


def broken(path: Path, what: str, why: str) -> WeightsFailed:
    """A file that is there and does not hold what it should."""
    return WeightsFailed(what, at=str(path), why=why, fix=AGAIN, rule="weights-broken")
