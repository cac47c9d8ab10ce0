"""A run's directory: `run.json`, `records.jsonl`, `timeline.jsonl`, `report.html`.

Records are written as they come, so that a test which is cut short keeps what it measured. A disk that fills
ends the writing, not the test.
"""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stoker.bounds import TEXT
from stoker.errors import UsageError
from stoker.findings import Finding
from stoker.fleet.typed import typed
from stoker.system.files import write_json
from stoker.traffic import records, run
from stoker.traffic.run import Moment, Run

RUN, RECORDS, TIMELINE, REPORT, SWEEP = (
    "run.json",
    "records.jsonl",
    "timeline.jsonl",
    "report.html",
    "sweep.json",
)


class RunFolder:
    """Where a run is written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        if (path / RUN).exists() or (path / SWEEP).exists():
            raise UsageError(
                f"{path} holds a run already", why=f"{RUN} is there", fix="another --results", at=str(path)
            )
        self._file = (path / RECORDS).open("wb")
        self._full: OSError | None = None

    def keep(self, line: bytes) -> None:
        """Adds a record: a line of JSON, without its end."""
        if self._full is None:
            try:
                self._file.write(line + b"\n")
            except OSError as error:
                self._full = error

    def close(self, found: Run) -> Finding | None:
        """Writes the rest. What could not be written is a finding; the run itself is whole."""
        try:
            self._file.close()
            if self._full is not None:
                raise self._full
            moments = (json.dumps(asdict(one), separators=(",", ":")) for one in found.timeline)
            (self.path / TIMELINE).write_text("".join(f"{one}\n" for one in moments), "utf-8")
            write_json(self.path / RUN, run.to_json(found), mode=0o644)
        except OSError as error:
            return Finding(
                f"the run could not be written to {self.path}",
                why=f"{os.strerror(error.errno or 0)}: its records there are not complete",
                fix="free space, or another --results; what is shown here is of the whole run",
                at=str(self.path),
                rule="bench-disk",
            )
        return None


def load(path: Path) -> Run:
    """The run in a directory. Raises: UsageError, with the place of what is wrong."""
    raw = _json(path / RUN)
    lines = (path / RECORDS).read_text("utf-8").splitlines() if (path / RECORDS).is_file() else []
    found = tuple(_record(path / RECORDS, number, line) for number, line in enumerate(lines, 1))
    timeline = (path / TIMELINE).read_text("utf-8").splitlines() if (path / TIMELINE).is_file() else []
    try:
        moments = tuple(typed(Moment, json.loads(line)) for line in timeline)
        return run.from_json(raw, found, moments)
    except (ValueError, RecursionError) as error:
        raise _bad(path / RUN, str(error)) from None


def _record(path: Path, number: int, line: str) -> records.RequestRecord:
    try:
        return records.from_json(json.loads(line))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _bad(f"{path}:{number}", f"{type(error).__name__}: {error}") from None


def _json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > TEXT:
            raise _bad(path, "it is too long")
        value = json.loads(path.read_text("utf-8"))
    except OSError as error:
        why = os.strerror(error.errno or 0)
        fix = "the directory that `stoker bench --results` names"
        raise UsageError(f"{path.parent} holds no run", at=str(path), why=why, fix=fix, rule="run") from None
    except (ValueError, RecursionError) as error:
        raise _bad(path, str(error)) from None
    if not isinstance(value, dict):
        raise _bad(path, "expected a JSON object")
    return value


def _bad(path: Path | str, why: str) -> UsageError:
    return UsageError("this is no run of Stoker's", at=str(path), why=why, fix="measure again", rule="run")
