"""What all kinds of cases share: files for a moment, the command line in this process, a machine to plan
for."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]


class Bad(Exception):
    """Stoker ended in its own words, and they lack something."""


def command(*words: str) -> None:
    """The command line in this process. Raises: Bad, for an error that nobody foresaw."""
    from stoker.cli.main import run

    said, errors = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(errors),
        contextlib.suppress(SystemExit),
    ):
        run(words)
    if "unexpected: " in errors.getvalue() or "Traceback" in errors.getvalue():
        raise Bad(errors.getvalue()[-800:])


@contextlib.contextmanager
def written(name: str, text: bytes) -> Any:
    """A file of that name in a folder of its own, which is the working one."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    before = os.getcwd()
    try:
        (folder / name).write_bytes(text)
        os.chdir(folder)
        yield folder / name
    finally:
        os.chdir(before)
        shutil.rmtree(folder, ignore_errors=True)


def as_yaml(tree: Any) -> str:
    """A tree as a file has it."""
    try:
        return yaml.dump(tree, Dumper=yaml.CSafeDumper, allow_unicode=True, sort_keys=False, width=1000)
    except RecursionError:  # of the dumper; JSON is YAML too
        return json.dumps(tree)


@cache
def machine() -> Any:
    """A machine without GPUs."""
    from stoker.planner.plan import Hardware
    from stoker.units import Bytes

    return Hardware(tuple(range(8)), Bytes(64 * 1024**3), Bytes(60 * 1024**3), features=frozenset({"avx2"}))
