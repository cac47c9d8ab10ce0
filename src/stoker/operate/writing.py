"""Writes fields into a spec's file, and leaves the rest of it as it is: comments, order, quotes."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stoker.errors import UsageError
from stoker.spec import load
from stoker.system.files import write_text

NEEDED = "pip install ruamel.yaml"


def write_fields(path: Path, fields: Mapping[str, Any]) -> None:
    """Puts them into the file, each in place of what stands there. The file is replaced in one step, and only
    by one that can be read as a spec. Raises: UsageError, SpecError."""
    text = with_fields(path.read_text("utf-8"), fields)
    load(text, str(path))
    write_text(path, text, mode=path.stat().st_mode & 0o777)


def with_fields(text: str, fields: Mapping[str, Any]) -> str:
    """A spec's text with the fields in it. Raises: UsageError, where the library for it is missing."""
    try:
        from ruamel.yaml import YAML
    except ImportError:
        raise UsageError(
            "the file cannot be written",
            why="ruamel.yaml, which keeps its comments, is not installed",
            fix=f"{NEEDED}; or put the lines in by hand",
            rule="suggest-write",
        ) from None
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    there = yaml.load(text)
    if there is None:
        there = {}
    for name, value in fields.items():
        _put(there, name, value)
    out = io.StringIO()
    yaml.dump(there, out)
    return out.getvalue()


def _put(there: Any, name: str, value: Any) -> None:
    """A table's options are set one by one; what scales is replaced as a whole."""
    inside = there.get(name)
    if name == "engine" and isinstance(value, Mapping) and isinstance(inside, Mapping):
        for option, each in value.items():
            inside[option] = each  # type: ignore[index]
    else:
        there[name] = value
