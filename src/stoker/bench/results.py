"""What is there to be reported: a run's directory, several runs', a sweep's, or a file of another tool."""

import json
import os
from pathlib import Path
from typing import Any

from stoker.bench import folder
from stoker.bench.folder import RUN, SWEEP
from stoker.bounds import TEXT
from stoker.errors import UsageError
from stoker.system import reading
from stoker.system.reading import Unreadable
from stoker.traffic import peers
from stoker.traffic.curve import Curve, curve
from stoker.traffic.result import Result
from stoker.traffic.run import Run, from_json
from stoker.traffic.sound import unsound
from stoker.units import Bytes

LARGEST = Bytes(1024**3)  # a file of another tool: with its records it may be long
MOST_RUNS = 1000
PEER_FILES = ("benchmarks.json", "profile_export_aiperf.json")  # as their tools name them, in a directory
WHERE = "a directory of `stoker bench`, or a result of vllm bench serve, guidellm or aiperf"


def read(name: str) -> Run | Curve | tuple[Result, ...]:
    """What stands there. `FILE#2` is the second of several results in a file.

    Raises: UsageError, with the place of what is wrong.
    """
    path = Path(name)
    if path.is_dir():
        return _directory(path)
    path, which = _which(name)
    found = _file(path)
    if which is None:
        return found
    if not 1 <= which <= len(found):
        raise UsageError(
            f"{path} has no result {which}", at=name, why=f"it holds {len(found)}", fix=f"{path}#1"
        )
    return (found[which - 1],)


def _which(name: str) -> tuple[Path, int | None]:
    before, mark, number = name.rpartition("#")
    if mark and number.isdigit() and len(number) < 6 and not os.path.lexists(name):
        return Path(before), int(number)
    return Path(name), None


def _directory(path: Path) -> Run | Curve | tuple[Result, ...]:
    if (path / RUN).is_file():
        return _run(path)
    inside = sorted(one.parent for one in path.glob(f"*/{RUN}"))[:MOST_RUNS]
    if inside:
        return curve([(one.name, _light(one)) for one in inside], _sweep(path / SWEEP))
    for name in PEER_FILES:
        if (path / name).is_file():
            return _file(path / name)
    raise UsageError(
        f"{path} holds no run", at=str(path), why=f"neither {RUN} nor */{RUN} is in it", fix=WHERE, rule="run"
    )


def _run(path: Path) -> Run:
    """A run with all that was kept of it. Raises: UsageError."""
    try:
        return _sound(path, folder.load(path))
    except (TypeError, AttributeError, OverflowError) as error:
        raise _unusable(path / RUN, "this is no run of Stoker's", str(error)) from None


def _light(path: Path) -> Run:
    """A run without its records and timeline. Raises: UsageError."""
    try:
        return _sound(path, from_json(_json(path / RUN, TEXT)))
    except (ValueError, RecursionError, TypeError, AttributeError, OverflowError) as error:
        raise _unusable(path / RUN, "this is no run of Stoker's", str(error)) from None


def _sound(path: Path, run: Run) -> Run:
    """Raises: UsageError, for figures that cannot be."""
    place = unsound(run)
    if place:
        raise _unusable(path / RUN, "this is no run of Stoker's", f"a figure cannot be: {place}")
    return run


def _sweep(path: Path) -> dict[str, Any]:
    """What a sweep says of itself; nothing where it has not ended."""
    if not path.is_file():
        return {}
    found = _json(path, TEXT)
    return found if isinstance(found, dict) else {}


def _json(path: Path, most: Bytes) -> Any:
    try:
        return json.loads(_text(path, most))
    except (ValueError, RecursionError) as error:
        raise _unusable(path, f"{path} is no JSON", _why(error)) from None


def _text(path: Path, most: Bytes) -> str:
    try:
        return reading.read_text(path, most, handed=True)
    except Unreadable as error:
        fix = WHERE if error.missing else error.fix
        raise UsageError(f"{path} cannot be read", at=str(path), why=error.why, fix=fix, rule="run") from None


def _file(path: Path) -> tuple[Result, ...]:
    values = _values(path)
    beside = path.with_name("profile_export.jsonl")
    try:
        found = peers.read(values)
        if path.name == "profile_export_aiperf.json" and beside.is_file():
            return tuple(peers.with_records(one, _values(beside)) for one in found)
        return found
    except peers.Unknown as error:
        raise _unusable(path, f"{path} is no result that is known here", str(error)) from None
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError, OverflowError) as error:
        why = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raise _unusable(path, f"{path} is no whole result", why) from None


def _values(path: Path) -> list[Any]:
    """A file's JSON; of a file with a value a line, each. Raises: UsageError, with the line."""
    text = _text(path, LARGEST)
    try:
        return [json.loads(text)]
    except (ValueError, RecursionError) as error:
        whole = _why(error)
    lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    out = []
    for number, line in lines:
        try:
            out.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            if number == lines[0][0]:
                raise _unusable(path, f"{path} is no JSON", whole) from None
            raise _unusable(f"{path}:{number}", f"{path} is broken", _why(error)) from None
    if not out:
        raise _unusable(path, f"{path} is empty", "there is no result in it")
    return out


def _why(error: ValueError | RecursionError) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def _unusable(at: Path | str, what: str, why: str) -> UsageError:
    return UsageError(what, at=str(at), why=why, fix=WHERE, rule="run")
