"""What a log says of failures: exceptions with their chains, errors, lines beside them, process by process.

A log of any length is read once; what is kept of it is bounded.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from stoker.engine.log_lines import LONGEST, Line, lines

MOST = 3000  # statements that are kept from the begin, and
LAST = 500  # from the end
NEAR = 40  # lines behind an exception that still belong to its message
MOST_FRAMES = 400
NEAR_BEGIN = 400  # characters in which a line shows what it is

Kind = Literal["exception", "error", "plain", "quiet"]

_TRACEBACK = "Traceback (most recent call last)"
_CHAINED = ("During handling of the above exception", "The above exception was the direct cause")
_FILE = re.compile(r'^\s*File "([^"]*)", line \d+(?:, in (\S+))?')
# Frames of others, by which it is not told whose error it is.
_BETWEEN = re.compile(r"/pydantic/|^<frozen|/contextlib\.py|/functools\.py|/json/|/importlib/|/tracing/")
_MARKS = re.compile(r"^\s*[\^~]+\s*$|^\s*\[Previous line repeated|^\s*\.\.\.<\d+ lines>\.\.\.")
# The name of an exception, of any name, alone or before its message.
_HEAD = re.compile(r"^(?:[A-Za-z_]\w*\.)*(?:[A-Z]\w*|\w*[eE]rror)(?::(?:\s.*)?)?$")
_SURE = re.compile(
    r"^(?:[A-Za-z_]\w*\.)*(?:[A-Z]\w*(?:Error|Exception|Exit|Failure|Failed|Timeout|NotFound|Interrupt|Expired)"
    r"|OutOfResources|Exception|(?:socket\.)?gaierror)(?::(?:\s.*)?)?$"
)
# Reported on the way; it means nothing for the end.
_WARNED = re.compile(r"^\S+:\d+: \w*Warning: |^(?:\w*Warning|warning|WARN): ")
_CHATTER = re.compile(
    r"resource_tracker|^\s*warnings?\.warn|^usage: |it/s\]|s/it\]|\d+%\|"
    r"|^Exception ignored in|^Loading \S* ?checkpoint"
)
# How `kubectl describe` tells of a container.
_STATE = re.compile(r"\s+(?:Reason|Message|Exit Code): ")
_SKIPPED = re.compile(r"Avg prompt throughput|^127\.0\.0\.1:|HTTP/1\.[01]\" 200")
# Where one request is answered: what fails there is no end of the engine.
_REQUEST = re.compile(
    r"(?:^|/)(?:(?<!models/)serving(?!_models)\w*|preprocess|h11_impl|httptools_impl|protocol|error_response)\.py"
)
_ASGI = re.compile(r"Exception in ASGI application|Error in preprocessing prompt inputs")
# pydantic tells the reason a line or two below its error
_VALIDATION = re.compile(r"\d+ validation errors? for \S+$")
_START = re.compile(r"non-default args:|vLLM API server version |^args: Namespace\(")
_UP = re.compile(r"Application startup complete")


@dataclass(frozen=True, slots=True)
class Statement:
    """One line that may tell of a failure.

    group: statements of one number are of one traceback with its chain, and of its message's further lines.
    weak: of a request, after which the engine goes on. frames: the functions of its tracebacks, outermost
    first, behind `serving` where the engine was up already. file: where it was raised.
    """

    text: str
    line: int
    group: int
    kind: Kind
    weak: bool = False
    frames: tuple[str, ...] = ()
    file: str = ""


@dataclass(slots=True)
class _Place:
    """Where a process is in what it tells."""

    group: int = 0
    inside: bool = False  # a traceback
    flat: bool = False  # its indentation is lost
    code: str = ""  # its last line of code
    after_file: bool = False
    chained: bool = False
    near: int = 0  # lines that may still belong to the exception's message
    open: bool = False  # its last line ends as one before which more is told
    told: tuple[str, str] = ("", "")  # level and source of the traceback
    weak: bool = False
    frames: list[str] = field(default_factory=list)
    file: str = ""
    held: Line | None = None  # a validation error that waits for its reason


@dataclass(slots=True)
class _Run:
    """What one life of an engine said of failures."""

    first: list[Statement] = field(default_factory=list)
    last: deque[Statement] = field(default_factory=lambda: deque(maxlen=LAST))
    seen: set[str] = field(default_factory=set)

    def add(self, one: Statement) -> None:
        """Keeps it, unless the same was said before."""
        if one.text in self.seen:
            return
        if len(self.first) < MOST:
            self.seen.add(one.text)
            self.first.append(one)
        else:
            self.last.append(one)

    @property
    def told(self) -> bool:
        """Whether anything in it failed."""
        return any(one.kind in ("exception", "error") for one in self.first)


def runs(log: Iterable[str], telling: Callable[[str], object]) -> list[tuple[Statement, ...]]:
    """The statements of the last life that the log tells of, and before them those of the one before it.

    telling: of what was said on the way, lines are kept too of which this is true.
    """
    reader = _Reader(telling)
    for one in lines(log):
        reader.feed(one)
    reader.end()
    return [(*run.first, *run.last) for run in (reader.before, reader.run)]


class _Reader:
    def __init__(self, telling: Callable[[str], object]) -> None:
        self._telling = telling
        self._places: dict[str, _Place] = {}
        self._groups = 0
        self._up = False
        self.before, self.run = _Run(), _Run()

    def feed(self, line: Line) -> None:
        """One more line."""
        if line.quiet or _WARNED.match(line.text):
            return self._on_the_way(line)
        place = self._place(line.process)
        text = line.text
        if _TRACEBACK in text:
            self._begin(place, line)
        elif text.startswith(_CHAINED):
            place.chained = True
        elif place.inside and self._same(place, line):
            self._within(place, line)
        elif text.strip():
            self._loose(place, line)
        return None

    def _on_the_way(self, line: Line) -> None:
        if _START.search(line.text):
            if self.run.told:
                self.before = self.run
            self.run, self._places, self._up = _Run(), {}, False
        elif _UP.search(line.text):
            self._up = True
        if not _SKIPPED.search(line.text, 0, NEAR_BEGIN) and self._telling(line.text):
            self._groups += 1
            self.run.add(Statement(line.text.strip(), line.number, self._groups, "quiet"))

    def end(self) -> None:
        """The log ends: what is held counts as it is."""
        for place in self._places.values():
            self._let_go(place)

    def _let_go(self, place: _Place) -> None:
        if place.held is not None:
            self._add(place, place.held, f"{place.held.text} no reason is told", "exception")
            place.held = None

    def _place(self, process: str) -> _Place:
        if process not in self._places and len(self._places) > 1000:
            self._places.clear()
        return self._places.setdefault(process, _Place())

    def _begin(self, place: _Place, line: Line) -> None:
        self._let_go(place)
        if not (place.chained and place.group):
            self._groups += 1
            place.group, place.frames, place.weak = self._groups, ["serving"] if self._up else [], False
        before = line.text.partition(_TRACEBACK)[0]
        place.weak |= bool(_REQUEST.search(line.source) or _ASGI.search(before))
        place.inside, place.flat, place.chained, place.code = True, False, False, ""
        place.file = ""
        place.told = (line.level, line.source)

    def _same(self, place: _Place, line: Line) -> bool:
        """Whether a line is of the traceback that its process writes, and of no logger between its lines."""
        return (line.level, line.source) == place.told or not line.level

    def _within(self, place: _Place, line: Line) -> None:
        text = line.text
        if (frame := _FILE.match(text)) is not None:
            place.flat |= not text.startswith(" ")
            place.after_file = True
            place.file = place.file if _BETWEEN.search(frame[1]) else frame[1]
            if frame[2] and len(place.frames) < MOST_FRAMES:
                place.frames.append(frame[2])
            place.weak |= bool(_REQUEST.search(text))
            return
        bare = text.strip()
        code = place.after_file and (place.flat or text.startswith("    "))
        place.after_file = False
        if code or (text.startswith("  ") and not place.flat) or _MARKS.match(text) or not bare:
            place.code = bare if code else place.code
            return
        if _HEAD.match(bare) and (not place.flat or _SURE.match(bare)):
            place.inside, place.near = False, NEAR
            alone = ":" not in bare and place.code
            self._add(place, line, f"{bare}: {place.code}" if alone else bare, "exception")
        elif not place.flat:
            place.inside, place.near = False, 0
            self._loose(place, line)

    def _loose(self, place: _Place, line: Line) -> None:
        text, bare = line.text, line.text.strip()
        if place.held is not None:
            return self._reason(place, place.held, bare)
        code = text.startswith("    ") and place.near <= 0 and not _STATE.match(text)
        if code or _FILE.match(text) or _MARKS.match(text):
            return None  # of a traceback whose begin is not in the log
        if _CHATTER.search(text, 0, NEAR_BEGIN):
            return None
        place.near -= 1
        sure = bool(_SURE.match(bare))
        follows = place.near > 0 and (line.level, line.source) == place.told and (place.open or not sure)
        if not follows:
            self._groups += 1
            place.group, place.frames, place.near = self._groups, ["serving"] if self._up else [], 0
            place.file = ""
            place.weak = bool(_REQUEST.search(line.source) or _ASGI.search(text))
        if not sure:
            return self._add(place, line, bare, "plain" if not line.level or follows else "error")
        place.near, place.told = NEAR, (line.level, line.source)
        return self._add(place, line, bare, "exception")

    def _reason(self, place: _Place, held: Line, text: str) -> None:
        """One more line of a validation error; its reason ends with its type."""
        whole = f"{held.text} {text}"
        place.held = replace(held, text=whole)
        if "[type=" in text or len(whole) > LONGEST:
            place.held = None
            self._add(place, held, whole.partition(" [type=")[0], "exception")

    def _add(self, place: _Place, line: Line, text: str, kind: Kind) -> None:
        place.open = text.endswith(":")
        if "validation error" in text and _VALIDATION.search(text):
            place.held = replace(line, text=f"{text}:")
            return
        one = Statement(text, line.number, place.group, kind, place.weak)
        if kind == "exception":
            one = replace(one, frames=tuple(place.frames), file=place.file)
        self.run.add(one)
