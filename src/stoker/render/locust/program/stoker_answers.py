"""How a load test reads a streamed answer, by the rules of `stoker.traffic.answers`, in a form that stands
alone."""

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

count_of = re.compile(rb'"completion_tokens":\s?([0-9]+)').search
text_of = re.compile(rb'"(?:content|text|reasoning|reasoning_content)":\s?"[^"]').search
finish_of = re.compile(rb'"finish_reason":\s?"([a-z_]+)"').search


class Answer:
    """A stream as it came: when tokens came, and how many each time."""

    def __init__(self) -> None:
        self.events: list[bytes] = []
        self.times: list[float] = []
        self.counts: list[int] = []
        self.size = self.total = 0
        self.counted = False  # by the server's own usage

    def line(self, at: float, line: bytes) -> None:
        """A line of the stream. An event may bring several tokens; one with a role alone brings none."""
        self.size += len(line)
        if not line.startswith(b"data:"):
            return
        self.events.append(line)
        found = count_of(line)
        if found and (self.counted or not self.times):
            fresh, self.total, self.counted = int(found[1]) - self.total, int(found[1]), True
        else:
            fresh = 0 if self.counted or not text_of(line) else 1
        if fresh > 0:
            self.times.append(at)
            self.counts.append(fresh)

    def failure(self) -> str:
        """Why it is no whole answer; empty for one that is."""
        for event in self.events:
            if b'"error"' in event and (error := parsed(event).get("error")):
                return str(error.get("message", error) if isinstance(error, dict) else error)[:300]
        if not self.events or b"[DONE]" not in self.events[-1]:
            return "the stream ended without [DONE]"
        reason = finish_of(b"\n".join(self.events))
        if reason is None:
            return "the stream ended without a finish reason"
        return f"finish reason {reason[1].decode()}" if reason[1] in (b"abort", b"error") else ""

    def text(self) -> str:
        """What it said."""
        choices = [one for event in self.events for one in parsed(event).get("choices", ())]
        return "".join(one.get("delta", {}).get("content") or "" for one in choices)

    def gaps(self) -> Iterator[float]:
        """Times between tokens that follow each other: zero between those of one event."""
        for number, (at, count) in enumerate(zip(self.times, self.counts, strict=True)):
            if number:
                yield at - self.times[number - 1]
            yield from itertools.repeat(0.0, count - 1)


def parsed(event: bytes) -> dict[str, Any]:
    """An event's value; an empty one for what is none."""
    try:
        value = json.loads(event[5:])
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
