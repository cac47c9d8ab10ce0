"""A dead engine's last error: the one line that matters, why it happened, and the fix.

vLLM is several processes, and each one that a failure passes through writes a traceback of its own; the last
one says only "See root cause above". The cause is the first, in the process where it happened.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from stoker.catalog import rules
from stoker.catalog.rules import Rule
from stoker.findings import Finding

MOST = 300  # characters of a line that a person reads
LONGEST = 4000  # characters of a line that are looked at

_PREFIX = re.compile(
    r"^\s*(?:\([^()]*\bpid=\d+[^()]*\)\s+)?"
    r"(?:(?P<level>ERROR|WARNING|INFO|CRITICAL|DEBUG)\s+\d\d-\d\d \d\d:\d\d:\d\d\s+(?:\[[^\]]*\] ?)?)?"
)
# Reported on the way; it means nothing for the end.
_CHATTER = re.compile(r"^(?:INFO|WARNING|DEBUG):\s|^\[?[IW]\d{4} |Warning: |resource_tracker")
# A traceback's lines of code quote messages that nobody raised.
_CODE = re.compile(r"^ {4}")
# Said of a failure that happened elsewhere.
_ECHO = re.compile(
    r"Engine core initialization failed|WorkerProc initialization failed|EngineCore (?:failed|encountered)"
    r"|WorkerProc (?:failed|hit)|EngineDeadError|Engine process failed|Worker failed with error"
    r"|died unexpectedly(?! \(exit code: -)|CancelledError|BrokenPipeError|^RuntimeError: cancelled"
)
_EXCEPTION = re.compile(r"^(?:\w+\.)*[A-Z]\w*(?:Error|Exception|Exit|Failure|Timeout|NotFound)(?::.*)?$")
_CHAINED = re.compile(r"^(?:During handling of|The above exception was the direct cause)")
_PYDANTIC = re.compile(r"(?:\S*ValidationError: )?\d+ validation errors? for \w+: (?:Value error, )?")
_VALIDATION = re.compile(r"\d+ validation errors? for \w+$")


def last_error(lines: Sequence[str]) -> Finding:
    """The cause of an engine's death, out of the last lines of its log: 500 are enough for a few ranks.

    Where no known cause matches, it is the innermost traceback's last line. `what` is empty without one.
    """
    said = list(_joined(_spoken(lines)))
    telling = [line for line in said if not _ECHO.search(line) and not _CODE.match(line)]
    found = first(telling, echo=False)
    if found is None and (line := _innermost(said)):
        return rules.rule("engine-error").finding(line=short(line))
    return found or first(said, echo=True) or rules.rule("engine-unknown").finding(line="")


def first(lines: Sequence[str], *, echo: bool = False) -> Finding | None:
    """The first rule that matches a line; echo: of those about what other processes say of its end."""
    for one in rules.of("engine"):
        if one.echo == echo and (found := _found(one, lines)) is not None:
            return found
    return None


def died_of(code: int) -> Finding | None:
    """What is known of an engine that a signal has ended, by its exit code, which is negative."""
    return first([f"(exit code: {code})"])


def _spoken(lines: Sequence[str]) -> Iterator[str]:
    """The lines of the last run that may tell of a failure, without prefixes."""
    starts = [n for n, line in enumerate(lines) if "non-default args:" in line]
    for line in lines[starts[-1] if starts else 0 :]:
        line = line[:LONGEST]
        match = _PREFIX.match(line)
        level = match["level"] if match else None
        text = line[match.end() if match and (level or "pid=" in match[0]) else 0 :].rstrip()
        if level not in ("INFO", "WARNING", "DEBUG") and not _CHATTER.search(text):
            yield text


def _joined(lines: Iterable[str]) -> Iterator[str]:
    """The lines, with pydantic's reason on the line of its error, where it is a line or two below."""
    whole = ""
    for line in lines:
        if whole:
            whole += f" {line.strip()}"
            if "[type=" in line or len(whole) > LONGEST:
                yield whole.partition(" [type=")[0]
                whole = ""
        elif _VALIDATION.search(line):
            whole = f"{line.rstrip()}:"
        else:
            yield line
    if whole:
        yield whole


def _found(one: Rule, lines: Iterable[str]) -> Finding | None:
    match = next((match for line in lines if (match := one.match(line)) is not None), None)
    if match is None:
        return None
    found = one.found(match)
    return replace(found, what=short(found.what))


def _innermost(lines: Sequence[str]) -> str:
    """The exception of the first traceback; of a chain, the last one raised."""
    chain = [
        line for line in lines if _CHAINED.match(line) or (_EXCEPTION.match(line) and not _ECHO.search(line))
    ]
    found = ""
    for line, following in pairwise([*chain, ""]):
        if not _CHAINED.match(line):
            found = line
            if not _CHAINED.match(following):
                break
    return found


def short(line: str) -> str:
    """The line without what only a programmer reads, cut to a length that a person does."""
    plain = _PYDANTIC.sub("", line.strip())
    return plain if len(plain) <= MOST else f"{plain[: MOST - 1]}…"
