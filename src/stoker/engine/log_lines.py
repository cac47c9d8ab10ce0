"""A log's lines as a process wrote them: without what runtimes, collectors and terminals put around them.

Known are the prefixes of vLLM, torch and NCCL, of `docker logs -t`, compose, kubectl, stern, containerd,
journald, Ray and torchrun, colours, quoting, and lines of JSON as collectors export them.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

LONGEST = 4000  # characters of a line that are looked at
LONGEST_JSON = 1_000_000
LONG = 150
MOST_PREFIXES = 8

_COLOUR = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b?\[\d+(?:;\d+)*m|\x1b")
# Where lines were joined as somebody pasted them: before vLLM's own level and time.
_JOINED = re.compile(r"(?<=[^\s)|\]:]) (?=(?:ERROR|WARNING|INFO) \d\d-\d\d \d\d:\d\d:\d\d \[)")
_JSON_TEXT = re.compile(r'^\s*"(?:textPayload|log|message|msg)":\s*(".*"),?\s*$')
_TEXTS = ("log", "message", "msg", "textPayload", "text", "body", "MESSAGE")
_TRACES = ("exc_info", "exception", "stack_trace", "traceback", "exc_text")
_LEVELS = ("level", "levelname", "log_level")  # what a collector calls severity is only which stream it was
# What others put in front; each leaves the line's own indentation as it is.
_WRAPPER = re.compile(
    "|".join(
        (
            r"(?:>+ )+",  # quoted in an issue
            r"\s{2,}\| |[│┃] ?",  # of a group of exceptions, of a frame around a terminal
            r"\[[A-Z][A-Z ]{2,30}\] |\[pod/[^\]\s]{1,200}\] ",  # kubectl logs --prefix
            r"[\w.-]{1,100}\s{1,60}\| ",  # docker compose
            r"[a-z0-9.-]{1,200} [a-z0-9-]{1,100} (?=\(|INFO|ERROR|WARNING|Traceback| {2}File)",  # stern
            # containerd's own files, docker logs -t, kubectl logs --timestamps
            r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"
            r"(?: (?:stdout|stderr) [FP])?(?: |$)",
            r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S{1,100} [\w./@-]{1,60}(?:\[\d+\])?: ",  # journald
            r"\[?\d{4}[-/]\d\d[-/]\d\d \d\d:\d\d:\d\d(?:[.,]\d+)?\]?(?: ?[|-] ?|[ \t]|$)",
        )
    )
)
_PROCESS = re.compile(r"\s*\(([^()]{0,60}\bpid=\d+[^()]{0,80})\)(?: |$)")
_RANK = re.compile(r"\s*\[((?:rank|default)?\d{1,4})\]:(?: |(?=\[)|$)")
_VLLM = re.compile(
    r"\s*\[?(?P<level>ERROR|WARNING|INFO|CRITICAL|DEBUG)\]?"
    r"(?: \d\d-\d\d \d\d:\d\d:\d\d(?:[.,]\d+)? (?:\[?(?P<source>[^\]\s]{1,120}:\d+)\[?\](?: |$))?"
    r"| \d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:[.,]\d+)? (?:[\w. :-]{1,200} -- )?"
    r"|:[ ]{4,5}| - |:\S{1,80}?:|: |\s{1,4}\S{1,100}:\d+ -- )"
)
_NAMED = re.compile(r"[\w.]{1,100} - (?P<level>ERROR|WARNING|INFO|CRITICAL|DEBUG) - ")
_TORCH = re.compile(
    r"\s*\[?(?P<level>[EWIF])\d{3,4} \d\d:\d\d:\d\d\.\d+ (?:\d+ )?(?P<source>[^\]\s]{1,200})\] ?"
)
_NCCL = re.compile(r"\s*\S{1,100}:\d+:\d+ \[\d+\] (?:\S{1,100}:\d+ )?NCCL (?P<level>WARN|INFO) ?")
_NAMES = {
    "E": "ERROR",
    "F": "CRITICAL",
    "W": "WARNING",
    "I": "INFO",
    "WARN": "",
}  # what NCCL warns of it fails by


@dataclass(frozen=True, slots=True)
class Line:
    """What a process said: its text with its own indentation, and what its prefix told.

    number counts the log's lines from one; level is empty where the line has none; process is as the prefix
    names it, `Worker_TP0 pid=100`, innermost first; source is the place in the code, `core.py:1510`.
    """

    text: str
    number: int = 0
    level: str = ""
    process: str = ""
    source: str = ""

    @property
    def quiet(self) -> bool:
        """Whether it was said on the way, as no error."""
        return self.level in ("INFO", "WARNING", "DEBUG")


def lines(log: Iterable[str]) -> Iterator[Line]:
    """The log's lines, undressed; a line of JSON may hold several."""
    for number, raw in enumerate(log, 1):
        for whole, level in _texts(raw):
            for text in _JOINED.split(whole) if len(whole) > LONG else (whole,):
                yield _bare(_COLOUR.sub("", text[: 2 * LONGEST])[:LONGEST].rstrip(), number, level)


def _texts(raw: str) -> Iterator[tuple[str, str]]:
    """What stands in a line of a collector's JSON, with its level; any other line as it is."""
    text = raw.rstrip("\r\n").rpartition("\r")[2]  # of a progress bar that redraws itself, the last drawing
    found = _parsed(text) if text.lstrip().startswith(("{", '"')) and len(text) < LONGEST_JSON else None
    if found is None:
        yield text, ""
        return
    level = next((str(found[key]).upper() for key in _LEVELS if isinstance(found.get(key), str)), "")
    level = {"WARN": "WARNING", "ERR": "ERROR", "FATAL": "CRITICAL"}.get(level, level)
    inner = found.get("jsonPayload")
    for one in (found, inner if isinstance(inner, dict) else {}):
        for key in (*_TEXTS, *_TRACES):
            if isinstance(one.get(key), str):
                yield from ((part, level) for part in one[key].splitlines())


def _parsed(text: str) -> dict[str, Any] | None:
    """An object that carries a log's text; None for any other line."""
    try:
        if (one := _JSON_TEXT.match(text)) is not None:
            return {"log": json.loads(one[1])}
        start = text.strip().rstrip(",")
        found = json.loads(start) if start.startswith("{") and start.endswith("}") else None
    except (ValueError, RecursionError):
        return None
    carries = isinstance(found, dict) and bool({*_TEXTS, "jsonPayload"} & found.keys())
    return found if carries else None


def _bare(text: str, number: int, level: str) -> Line:
    process, source, own = "", "", False
    for _ in range(MOST_PREFIXES):
        if (found := _PROCESS.match(text) or _RANK.match(text)) is not None:
            process = found[1]
        elif not own and (found := _levelled(text)) is not None:
            level, own = _NAMES.get(found["level"], found["level"]), True
            source = found.groupdict().get("source") or source
        elif (found := _WRAPPER.match(text)) is None:
            break
        text = text[found.end() :]
    return Line(text, number, level, process, source)


def _levelled(text: str) -> re.Match[str] | None:
    return _VLLM.match(text) or _TORCH.match(text) or _NCCL.match(text) or _NAMED.match(text)
