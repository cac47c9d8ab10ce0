"""Secrets by reference: read at the last moment, kept in private files, never shown."""

import os
import secrets
from pathlib import Path

from stoker.errors import UsageError
from stoker.spec.nouns import KeyRef
from stoker.system.files import read_secret, write_secret


def read(ref: KeyRef, what: str) -> str:
    """The secret that a reference names. `what` is the field, for the error. Raises: UsageError."""
    if ref.kind == "env":
        value = os.environ.get(ref.where, "").strip()
        if not value:
            raise UsageError(
                f"{what} is {ref}, and {ref.where} is not set",
                why="the environment lacks it",
                fix=f"export {ref.where}=…",
                rule="key-missing",
            )
        return value
    if ref.kind == "file":
        return _from_file(Path(ref.where).expanduser(), ref, what)
    raise UsageError(
        f"{what} is {ref}, a cluster's secret",
        why="this machine has no such secret",
        fix="env:NAME or file:PATH here",
    )


def known(ref: KeyRef) -> bool:
    """Whether the reference leads to a secret here and now."""
    try:
        read(ref, "")
    except UsageError:
        return False
    return True


def _from_file(path: Path, ref: KeyRef, what: str) -> str:
    try:
        value = path.read_text().strip()
    except OSError as error:
        raise UsageError(
            f"{what} is {ref}, which cannot be read", why=error.strerror or str(error), fix="check the path"
        ) from None
    if not value:
        raise UsageError(
            f"{what} is {ref}, an empty file",
            why="a key has at least one character",
            fix="write the key into it",
        )
    return value


def new_key(path: Path) -> None:
    """Makes a random key in a private file, unless there is one. Raises: OSError."""
    if read_secret(path) is None:
        write_secret(path, secrets.token_urlsafe(32))
