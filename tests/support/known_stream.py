"""What the known server says, and when: a stream as a pure value of its settings, its number and its length;
and what it told of one."""

import json
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from typing import Any, Literal

Kind = Literal["role", "content", "finish", "usage", "done", "error", "malformed", "end", "lost", "stall"]
BREAKS = ("error", "early", "lost")
SPREAD_STEP = 0.618033988749895  # of the golden ratio: any run of numbers is spread evenly over the whole
DIED = {
    "message": "EngineCore encountered an issue. See stack trace (above) for the root cause.",
    "type": "InternalServerError",
    "param": None,
    "code": 500,
}


@dataclass(frozen=True, slots=True)
class Timing:
    """How every stream goes. Times are seconds.

    first: from the last byte of the request to the first content; `spread` lets it come later by up to so
    much, evenly over the streams by their numbers. role: an event with the role alone, so long before the
    first content (chat only); None: there is none. gap: between the events with content; each
    `long_every`-th of a stream is `long_gap`. Each `several_every`-th event with content has `several`
    tokens. tokens: of an answer, where the request sets no limit. separate_end: the finish reason comes in
    an empty event of its own, a gap after the last token, as of an answer that ends by EOS. Each
    `broken_every`-th stream breaks after half of its tokens, in the ways of `broken_how` by turns: `error`
    (an error event and [DONE], as vLLM does when its engine dies), `early` (a clean end of the body without
    finish reason or [DONE]), `lost` (the connection is reset); or, where they are named, `malformed` (an
    event that is no JSON, then [DONE]), `stall` (nothing more, and no end), or a status such as `429` in
    place of a stream.
    """

    role: float | None = 0.0
    first: float = 0.1
    spread: float = 0.0
    gap: float = 0.02
    long_every: int = 0
    long_gap: float = 0.0
    several_every: int = 0
    several: int = 2
    tokens: int = 16
    separate_end: bool = False
    broken_every: int = 0
    broken_how: tuple[str, ...] = BREAKS

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> "Timing":
        found = cls(**json.loads(text))
        return replace(found, broken_how=tuple(found.broken_how))

    def breaks(self, number: int, tokens: int = 2) -> str | None:
        """How the stream of that number breaks, counted from 0; None: it does not, as none of a single
        token: a generator's probes stay whole."""
        if tokens < 2 or not self.broken_every or (number + 1) % self.broken_every:
            return None
        return self.broken_how[(number + 1) // self.broken_every % len(self.broken_how)]


@dataclass(frozen=True, slots=True)
class Step:
    """One event, `at` seconds after the request, with so many tokens. `end`, `lost` and `stall` are no
    events: the body's own end, the connection's, none."""

    at: float
    kind: Kind
    tokens: int = 0


def plan(timing: Timing, number: int, tokens: int, chat: bool = True, usage: bool = True) -> list[Step]:
    """All that is sent for one request, in order."""
    first = timing.first + timing.spread * (number * SPREAD_STEP % 1)
    steps = [Step(first - timing.role, "role")] if chat and timing.role is not None else []
    broken = timing.breaks(number, tokens)
    if broken and broken.isdigit():
        return []
    contents = _contents(timing, first, max(tokens // 2, 1) if broken else tokens)
    steps += contents
    at = contents[-1].at
    if broken:
        return steps + _break(broken, at + timing.gap)
    if timing.separate_end:
        at += timing.gap
        steps.append(Step(at, "finish"))
    return steps + [Step(at, "usage")] * usage + [Step(at, "done"), Step(at, "end")]


def _contents(timing: Timing, first: float, tokens: int) -> list[Step]:
    steps: list[Step] = []
    at, left = first, tokens
    while left > 0:
        count = len(steps) + 1
        many = timing.several if timing.several_every and count % timing.several_every == 0 else 1
        steps.append(Step(at, "content", min(many, left)))
        left -= many
        long = timing.long_every and count % timing.long_every == 0
        at += timing.long_gap if long else timing.gap
    return steps


def _break(how: str, at: float) -> list[Step]:
    ways: dict[str, tuple[Kind, ...]] = {
        "error": ("error", "done", "end"),
        "malformed": ("malformed", "done", "end"),
        "early": ("end",),
        "lost": ("lost",),
        "stall": ("stall",),
    }
    return [Step(at, kind) for kind in ways[how]]


@dataclass(frozen=True, slots=True)
class Words:
    """How one answer's events are written, as vLLM writes them."""

    number: int
    model: str
    chat: bool
    prompt_tokens: int
    tokens: int
    separate_end: bool

    def event(self, step: Step, last: bool) -> bytes:
        """An event's bytes. `last`: it is the last with content, and carries the finish reason where no event
        of its own does."""
        if step.kind == "done":
            return b"data: [DONE]\n\n"
        if step.kind == "malformed":
            return b'data: {"id": "chatcmpl-\n\n'
        return b"data: " + json.dumps(self._body(step, last), separators=(",", ":")).encode() + b"\n\n"

    def counted(self, event: bytes, so_far: int) -> bytes:
        """The same event of a choice with the tokens of the answer up to here; written by hand, since it is
        another one each time."""
        counts = self.prompt_tokens, so_far, self.prompt_tokens + so_far
        usage = b',"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}}\n\n' % counts
        return event[:-3] + usage

    def _body(self, step: Step, last: bool) -> dict[str, Any]:
        if step.kind == "error":
            return {"error": DIED}
        if step.kind == "usage":
            return self._chunk([]) | {"usage": self.usage(self.tokens)}
        text = " one" * step.tokens
        ends = step.kind == "finish" or (last and not self.separate_end)
        reason = ("stop" if self.separate_end else "length") if ends else None
        choice: dict[str, Any] = {"index": 0, "logprobs": None, "finish_reason": reason}
        if not self.chat:
            return self._chunk([choice | {"text": text}])
        delta = {"role": "assistant", "content": ""} if step.kind == "role" else {"content": text}
        return self._chunk([choice | {"delta": delta}])

    def usage(self, tokens: int) -> dict[str, int]:
        """The tokens as the server counts them: a word of the prompt is one."""
        counted = {"prompt_tokens": self.prompt_tokens, "completion_tokens": tokens}
        return counted | {"total_tokens": self.prompt_tokens + tokens}

    def _chunk(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        kind, prefix = ("chat.completion.chunk", "chatcmpl") if self.chat else ("text_completion", "cmpl")
        return {
            "id": f"{prefix}-{self.number}",
            "object": kind,
            "created": 0,
            "model": self.model,
            "choices": choices,
        }


@dataclass(slots=True)
class Told:
    """One stream as it was: `asked` is the request's body without its text; `events` are (when, kind,
    tokens); `left`: the client went away before its end; `held`: events that the socket did not take at
    once, since the client reads too slowly: when it had them is not known."""

    number: int
    path: str
    arrived: float
    asked: dict[str, Any]
    prompt_tokens: int
    tokens: int
    broken: str | None
    events: list[tuple[float, str, int]] = field(default_factory=list)
    ended: bool = False
    left: bool = False
    held: int = 0

    @property
    def contents(self) -> list[tuple[float, int]]:
        """When the events with content were sent, and the tokens of each."""
        return [(at, tokens) for at, kind, tokens in self.events if kind == "content"]

    @property
    def first_token(self) -> float | None:
        """Seconds from the request to the first content."""
        return self.contents[0][0] - self.arrived if self.contents else None

    @property
    def gaps(self) -> list[float]:
        """Seconds between its events with content."""
        times = [at for at, _ in self.contents]
        return [after - before for before, after in pairwise(times)]

    def late(self, timing: Timing) -> list[float]:
        """Seconds by which each event came after its plan: what the server itself adds."""
        usage = bool((self.asked.get("stream_options") or {}).get("include_usage"))
        steps = plan(timing, self.number, self.tokens, "chat" in self.path, usage)
        said = zip(self.events, steps, strict=False)
        return [at - self.arrived - step.at for (at, _, _), step in said]
