"""Files of a load test: the workload's own, traces and prompts."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stoker.bounds import TEXT, shown
from stoker.errors import UsageError
from stoker.spec import nodes
from stoker.system import reading
from stoker.system.reading import Unreadable
from stoker.traffic import traces
from stoker.traffic.asked import WORDS, Asked, Files
from stoker.traffic.lengths import MOST
from stoker.traffic.traces import Columns, Trace
from stoker.traffic.workload import GUIDE_PROMPTS, Turn
from stoker.units import Bytes

LARGEST = Bytes(2 * 1024**3)  # a trace
GUIDE_OUTPUT = 128


def read_file(path: str) -> dict[str, Asked]:
    """The words of a workload file, each with its place. Raises: UsageError."""
    tree = nodes.parse(_text(path, TEXT), path)
    if not isinstance(tree.value, Mapping):
        why, fix = "expected `rate: 5` and the like", "docs/how-to/bench.md has an example"
        raise UsageError(f"{path} is no table of words", at=f"{path}:1:1", why=why, fix=fix, rule="workload")
    for name in tree.value:
        if name not in WORDS:
            import difflib

            near = difflib.get_close_matches(str(name), WORDS, n=1)
            at, why = str(tree.place((name,))), f"known: {', '.join(WORDS)}"
            fix = near[0] if near else "leave it out"
            raise UsageError(f"unknown word {shown(name)}", at=at, why=why, fix=fix, rule="workload")
    return {name: Asked(_plain(value), str(tree.place((name,)))) for name, value in tree.value.items()}


def _plain(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | dict) else value


def files(beside: Path | None = None) -> Files:
    """How a workload's files are read; relative ones beside the workload file that names them."""
    base = beside or Path()
    return Files(lambda path, columns: _trace(base / path, columns), lambda path: _prompts(base, path))


def _trace(path: Path, columns: Columns | None) -> Trace:
    return traces.read(_text(str(path), LARGEST).splitlines(), str(path), columns)


def _prompts(base: Path, name: str) -> tuple[Turn, ...]:
    if name == "guide":
        return tuple(Turn(text=text, output=GUIDE_OUTPUT) for text in GUIDE_PROMPTS)
    path = base / name
    found = [
        _prompt(f"{path}:{number}", line)
        for number, line in enumerate(_text(str(path), LARGEST).splitlines(), 1)
        if line.strip()
    ]
    if not found:
        raise _bad(str(path), "the file holds no prompt", "it is empty")
    return tuple(found)


def _prompt(at: str, line: str) -> Turn:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise _bad(
            at, "the line is no JSON", 'expected {"prompt": "…"} or {"messages": […]} a line'
        ) from None
    row = row if isinstance(row, dict) else {}
    output = row.get("max_tokens", row.get("output_tokens"))
    if output is not None and (
        isinstance(output, bool) or not isinstance(output, int) or not 0 < output <= MOST
    ):
        raise _bad(at, f"max_tokens is {shown(output)}", "expected a whole number above zero")
    if isinstance(row.get("prompt"), str) and row["prompt"]:
        return Turn(text=row["prompt"], output=output)
    messages = row.get("messages")
    if isinstance(messages, list) and messages and all(_is_message(one) for one in messages):
        return Turn(messages=tuple(messages), output=output)
    raise _bad(at, "the line holds no prompt", 'expected {"prompt": "…"} or {"messages": […]}')


def _is_message(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("role"), str) and "content" in value


def _text(path: str, most: Bytes) -> str:
    try:
        return reading.read_text(Path(path), most, handed=True)
    except Unreadable as error:
        fix = "check the path" if error.missing else error.fix
        raise UsageError(f"{path} cannot be read", at=path, why=error.why, fix=fix, rule="workload") from None


def _bad(at: str, what: str, why: str) -> UsageError:
    return UsageError(what, at=at, why=why, fix="mend the line, or leave it out", rule="workload")
