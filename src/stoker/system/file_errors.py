"""Errors of files that Stoker itself keeps: what is in the way, and what mends it."""

import contextlib
import os
from pathlib import Path

from stoker.errors import StateBroken


def broken(path: Path, why: str) -> StateBroken:
    """The error for a file that cannot be read."""
    return StateBroken(
        f"{path.name} cannot be read",
        why=why,
        at=str(path),
        rule="state-broken",
        fix="`stoker down` ends the fleet whatever its files hold; `stoker up` begins anew",
    )


def no_folder(path: Path, error: OSError) -> StateBroken:
    """The error for a folder of Stoker's that cannot be read, with the file that stands in its way."""
    file = in_the_way(path)
    where, why = (file, "a folder is expected there") if file else (path, reason(error))
    return StateBroken(
        f"{where.name} cannot be read",
        why=why,
        at=str(where),
        rule="state-broken",
        fix=_mend(where, file is not None),
    )


def unwritable(path: Path, error: OSError) -> StateBroken:
    """The error for a file or a folder that cannot be written, with the file that stands in a folder's
    way."""
    named = Path(error.filename) if isinstance(error.filename, str) else path
    file = in_the_way(named.parent)
    if file is None and isinstance(error, FileExistsError | NotADirectoryError | IsADirectoryError):
        file = named
    where = file or named
    return StateBroken(
        f"{where.name} cannot be written",
        why=reason(error),
        at=str(where),
        rule="state-unwritable",
        fix=_mend(where, file is not None),
    )


def in_the_way(folder: Path) -> Path | None:
    """The file that stands where a folder or one above it should; None where none does, or where nobody may
    look."""
    with contextlib.suppress(OSError):
        for one in (folder, *folder.parents):
            if os.path.lexists(one):
                return None if one.is_dir() else one
    return None


def _mend(where: Path, wrong_kind: bool) -> str:
    """What helps where no verb can: it does not lie in what Stoker keeps."""
    elsewhere = "set STOKER_HOME to a folder of yours"
    if wrong_kind:
        return f"move {where} away, or {elsewhere}"
    return f"free space or grant the right to read and write there, or {elsewhere}"


def reason(error: OSError | UnicodeDecodeError) -> str:
    """Why, in the system's words."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
