"""Reading a streamed answer: bytes with the times at which they came in, tokens with theirs out.

Reading waits until the answer is whole, so that taking bytes costs next to nothing while others stream. How
many tokens an event brings shows in its own `usage` (vLLM: `continuous_usage_stats`); without one, an event
with text is one token. Source: vLLM 0.32 `entrypoints/openai/{chat_completion,completion}/serving.py`.
"""

import json
import re
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from stoker.engine import openai
from stoker.traffic.records import Failure

MOST_TEXT = 300  # characters of a server's words that are kept
COUNT = b'"completion_tokens":'
_DIGITS = re.compile(rb"\s?([0-9]+)").match
_COUNT = re.compile(rb'"completion_tokens":\s?([0-9]+)').search
_TEXT = re.compile(rb'"(?:content|text|reasoning|reasoning_content)":\s?"[^"]').search
_FINISH = re.compile(rb'"finish_reason":\s?"([a-z_]+)"').search
_PROMPT = re.compile(rb'"prompt_tokens":\s?([0-9]+)').search
_CACHED = re.compile(rb'"cached_tokens":\s?([0-9]+)').search
_BROKEN_REASONS = frozenset({b"abort", b"error"})


@dataclass(frozen=True, slots=True)
class Answered:
    """What an answer was; times as they came in. text: what it said, where that was asked for."""

    first_event: float | None = None
    times: Sequence[float] = ()
    counts: Sequence[int] | None = None
    input: int | None = None
    output: int | None = None
    cached: int | None = None
    failure: Failure | None = None
    text: str = ""


def read_stream(pieces: Iterable[tuple[float, bytes]], whole: bool, keep_text: bool = False) -> Answered:
    """Reads the body of a stream. whole: whether it came to its end, as HTTP has it.

    Errors in the stream, and a stream without its end, are failures whatever the status was.
    """
    reader = _Stream()
    for at, data in pieces:
        reader.feed(at, data)
    return reader.answer(whole, keep_text)


class _Stream:
    """The events so far."""

    def __init__(self) -> None:
        self._rest = b""
        self._first: float | None = None
        self._times = array("d")
        self._counts = array("l")
        self._total = 0
        self._events: list[bytes] = []
        self._counted = False  # by the server's own usage

    def feed(self, at: float, data: bytes) -> None:
        """Bytes of the body that came at that time."""
        if not self._rest and data[-2:] == b"\n\n" and data.find(b"\n\n") == len(data) - 2:
            self._event(at, data[:-2])  # one event, as engines send them
            return
        data = self._rest + data if self._rest else data
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n")
        events = data.split(b"\n\n")
        self._rest = events.pop()
        for event in events:
            if event:
                self._event(at, event)

    def _event(self, at: float, event: bytes) -> None:
        if self._first is None:
            self._first = at
        self._events.append(event)
        if self._counted or not self._times:
            place = event.rfind(COUNT)  # behind all text of the answer, and quicker than a pattern
            if place >= 0 and (found := _DIGITS(event, place + len(COUNT))) is not None:
                total = int(found[1])
                if total > self._total:
                    self._times.append(at)
                    self._counts.append(total - self._total)
                    self._total = total
                self._counted = True
                return
        if not self._counted and _TEXT(event):
            self._times.append(at)
            self._counts.append(1)

    def answer(self, whole: bool, keep_text: bool) -> Answered:
        """What it all was."""
        events = self._events
        last = b"\n\n".join(events[-3:])
        prompt, cached, count = _PROMPT(last), _CACHED(last), _COUNT(last)
        output = int(count[1]) if count else None
        uneven = any(number != 1 for number in self._counts)
        return Answered(
            first_event=self._first,
            times=self._times,
            counts=self._counts if uneven else None,
            input=int(prompt[1]) if prompt else None,
            output=output if output is not None else sum(self._counts),
            cached=int(cached[1]) if cached else None,
            failure=_failure(events, whole),
            text=_said(events) if keep_text else "",
        )


def _failure(events: list[bytes], whole: bool) -> Failure | None:
    body = b"\n".join(events)
    if b'"error"' in body:
        for event in events:
            if b'"error"' in event and (message := _error(event)) is not None:
                return Failure("stream-error", message, 200)
    if not events:
        return Failure("cut", "the stream ended before its first event", 200)
    if not whole or b"[DONE]" not in events[-1]:
        return Failure("cut", "the stream ended without [DONE]", 200)
    reason = _FINISH(body)
    if reason is None:
        return Failure("cut", "the stream ended without a finish reason", 200)
    if reason[1] in _BROKEN_REASONS:
        return Failure("stream-error", f"the answer's finish reason is {reason[1].decode()}", 200)
    return None


def _error(event: bytes) -> str | None:
    body = _json(event)
    message = openai.error_message(body) if body is not None else None
    return None if message is None else message[:MOST_TEXT]


def _json(event: bytes) -> dict[str, Any] | None:
    for line in event.split(b"\n"):
        if line.startswith(b"data:"):
            try:
                value = json.loads(line[5:])
            except (ValueError, RecursionError):
                return None
            return value if isinstance(value, dict) else None
    return None


def _said(events: list[bytes]) -> str:
    bodies = (_json(event) for event in events)
    return "".join(openai.delta_text(body) for body in bodies if body)


def refused(status: int, body: bytes) -> Failure:
    """The failure that an answer with another status than 200 is, in the server's own words."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    message = openai.error_message(value) if isinstance(value, dict) else None
    text = message or (str(value.get("detail", "")) if isinstance(value, dict) else "")
    return Failure("status", (text or body.decode("utf-8", "replace").strip())[:MOST_TEXT], status)
