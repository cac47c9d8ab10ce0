"""Traces of real traffic, row by row: Azure's CSV, Mooncake's JSONL, BurstGPT's CSV, or columns of one's own.

Azure: TIMESTAMP, ContextTokens, GeneratedTokens; the timestamp is a date with seven digits of a second.
Mooncake: timestamp (milliseconds), input_length, output_length, hash_ids (blocks of 512 tokens).
BurstGPT: Timestamp (seconds), Request tokens, Response tokens; its failed requests have no response.
Source: github.com/Azure/AzurePublicDataset, github.com/kvcache-ai/Mooncake, github.com/HPMLL/BurstGPT.
"""

import csv
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from stoker.bounds import shown
from stoker.errors import UsageError
from stoker.traffic.lengths import MOST

_UNITS = {"s": 1.0, "ms": 0.001, "us": 1e-6, "ns": 1e-9}


@dataclass(frozen=True, slots=True)
class TraceRow:
    """One recorded request. at: seconds after the first; hashes: the names of its prompt's blocks."""

    at: float
    input: int
    output: int
    hashes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns say what. unit: of the times, `s`, `ms`, `us` or `ns`; dates say it themselves."""

    at: str
    input: str
    output: str
    hashes: str = ""
    unit: str = "s"


AZURE = Columns("TIMESTAMP", "ContextTokens", "GeneratedTokens")
MOONCAKE = Columns("timestamp", "input_length", "output_length", "hash_ids", "ms")
BURSTGPT = Columns("Timestamp", "Request tokens", "Response tokens")
KNOWN = {"azure": AZURE, "mooncake": MOONCAKE, "burstgpt": BURSTGPT}
_FRACTION = re.compile(r"([^.]*)(?:\.([0-9]+))?(.*)", re.S)
_NO_OUTPUT = 0  # BurstGPT's failed requests


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace that was read: rows in order of time, and how many were left out as they have no answer."""

    rows: tuple[TraceRow, ...]
    block: int
    skipped: int = 0
    sorted: bool = True

    @property
    def seconds(self) -> float:
        """From the first request to the last."""
        return self.rows[-1].at - self.rows[0].at if self.rows else 0.0


def read_columns(text: str) -> Columns:
    """Reads `at=TIME,input=PROMPT,output=ANSWER,hashes=…,unit=ms`. Raises: ValueError."""
    pairs = dict(part.partition("=")[::2] for part in text.split(","))
    unknown = sorted(set(pairs) - {"at", "input", "output", "hashes", "unit"})
    if unknown or not {"at", "input", "output"} <= set(pairs):
        raise ValueError(f"{shown(text)} names no columns: expected at=NAME,input=NAME,output=NAME")
    if pairs.get("unit", "s") not in _UNITS:
        raise ValueError(f"{shown(pairs['unit'])} is no unit of time: expected {', '.join(_UNITS)}")
    return Columns(**pairs)


def read(lines: Iterable[str], file: str, columns: Columns | None = None) -> Trace:
    """Reads a trace; its format shows in its first line. Rows out of order are put in order.

    Raises: UsageError, naming file and line of the first bad row.
    """
    numbered = enumerate(lines, 1)
    first = next(((number, line) for number, line in numbered if line.strip()), None)
    if first is None:
        raise _bad(file, 1, "the trace is empty", "a trace has a line for each request")
    is_json = first[1].lstrip().startswith("{")
    rows = _json_rows(first, numbered, file) if is_json else _csv_rows(first, numbered, file)
    found = _Reading(file, columns)
    for number, row in rows:
        found.take(number, row)
    return found.trace()


def _json_rows(
    first: tuple[int, str], lines: Iterator[tuple[int, str]], file: str
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in (first, *lines):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            raise _bad(file, number, "the line is no JSON", "a trace in JSONL has an object a line") from None
        if not isinstance(row, dict):
            raise _bad(file, number, "the line is no JSON object", "a trace in JSONL has an object a line")
        yield number, row


def _csv_rows(
    first: tuple[int, str], lines: Iterator[tuple[int, str]], file: str
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    header = [name.strip().removeprefix("\ufeff") for name in next(csv.reader([first[1]]))]
    for number, line in lines:
        if line.strip():
            cells = next(csv.reader([line]))
            if len(cells) != len(header):
                why = f"it has {len(cells)} columns, the header has {len(header)}"
                raise _bad(file, number, "the line does not fit its header", why)
            yield number, dict(zip(header, cells, strict=True))


class _Reading:
    """The rows so far; the first one shows which columns there are."""

    def __init__(self, file: str, columns: Columns | None) -> None:
        self._file, self._columns = file, columns
        self._rows: list[TraceRow] = []
        self._skipped = 0

    def take(self, number: int, row: Mapping[str, Any]) -> None:
        if self._columns is None:
            self._columns = self._recognised(number, row)
        columns = self._columns
        for name in (columns.at, columns.input, columns.output):
            if name not in row:
                known = ", ".join(map(str, row))
                raise _bad(self._file, number, f"the column {name!r} is missing", f"there are: {known}")
        output = self._tokens(number, columns.output, row[columns.output], least=0)
        if output == _NO_OUTPUT:
            self._skipped += 1
            return
        at = self._time(number, row[columns.at], _UNITS[columns.unit])
        tokens = self._tokens(number, columns.input, row[columns.input], least=1)
        self._rows.append(TraceRow(at, tokens, output, self._hashes(number, columns, row)))

    def trace(self) -> Trace:
        if not self._rows:
            raise _bad(
                self._file, 1, "the trace holds no request", "every row has an empty answer, or none is"
            )
        in_order = all(a.at <= b.at for a, b in zip(self._rows, self._rows[1:], strict=False))
        rows = self._rows if in_order else sorted(self._rows, key=lambda row: row.at)
        start = rows[0].at
        moved = tuple(TraceRow(row.at - start, row.input, row.output, row.hashes) for row in rows)
        return Trace(moved, 512, self._skipped, in_order)

    def _recognised(self, number: int, row: Mapping[str, Any]) -> Columns:
        for known in KNOWN.values():
            if {known.at, known.input, known.output} <= set(row):
                return known
        raise _bad(
            self._file,
            number,
            "the trace's columns are not known",
            f"it has {', '.join(map(str, row))}",
            "--trace-columns at=NAME,input=NAME,output=NAME[,unit=ms]",
        )

    def _time(self, number: int, value: Any, unit: float) -> float:
        try:
            seconds = float(value) * unit
        except (TypeError, ValueError):
            seconds = _date(value)
        if not math.isfinite(seconds):
            raise _bad(self._file, number, f"{shown(value)} is no time", "expected a number or a date")
        return seconds

    def _tokens(self, number: int, name: str, value: Any, least: int) -> int:
        try:
            found = float(value)
            if found == int(found) and least <= found <= MOST and not isinstance(value, bool):
                return int(found)
        except (TypeError, ValueError, OverflowError):
            pass
        why = f"expected a whole number from {least} to {MOST:,}"
        raise _bad(self._file, number, f"{name} is {shown(value)}", why)

    def _hashes(self, number: int, columns: Columns, row: Mapping[str, Any]) -> tuple[int, ...]:
        found = row.get(columns.hashes) if columns.hashes else None
        if found is None:
            return ()
        if isinstance(found, list) and all(isinstance(one, int) for one in found):
            return tuple(found)
        raise _bad(self._file, number, f"{columns.hashes} is {shown(found)}", "expected a list of numbers")


def _date(value: Any) -> float:
    """A date as seconds, with any number of digits after the second; NaN for what is none."""
    whole, fraction, zone = _FRACTION.fullmatch(str(value).strip()).groups()  # type: ignore[union-attr]
    try:
        moment = datetime.fromisoformat(whole + (zone or ""))
    except ValueError:
        return math.nan
    moment = moment.replace(tzinfo=moment.tzinfo or UTC)
    return moment.timestamp() + float(f"0.{fraction or 0}")


def _bad(
    file: str, line: int, what: str, why: str, fix: str = "mend the line, or leave it out"
) -> UsageError:
    return UsageError(what, at=f"{file}:{line}", why=why, fix=fix, rule="trace")
