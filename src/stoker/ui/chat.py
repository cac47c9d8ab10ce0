"""Chat with any OpenAI-compatible endpoint: a conversation, streamed; a REPL around it."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2

from stoker.engine.openai import SseReader, delta_text, error_message, usage
from stoker.errors import EnvironmentFailed, UsageError
from stoker.fleet.target import Endpoint

CONNECT_SECONDS = 5.0
NUMBERS: dict[str, type[int] | type[float]] = {
    "temperature": float,
    "top_p": float,
    "top_k": int,
    "min_p": float,
    "max_tokens": int,
    "seed": int,
    "presence_penalty": float,
    "frequency_penalty": float,
    "repetition_penalty": float,
}


@dataclass(slots=True)
class Stats:
    """One answer's figures: seconds to the first token, seconds in all, tokens."""

    ttft: float = 0.0
    seconds: float = 0.0
    tokens: int = 0

    def __str__(self) -> str:
        rate = (
            (self.tokens - 1) / (self.seconds - self.ttft)
            if self.tokens > 1 and self.seconds > self.ttft
            else 0.0
        )
        return (
            f"{self.tokens} tokens, first after {self.ttft * 1000:.0f} ms, then {rate:.1f} tokens/s "
            f"(measured here)"
        )


@dataclass(slots=True)
class Conversation:
    """What was said so far, and how to ask. Falls back to completions where the model has no chat
    template."""

    endpoint: Endpoint
    system: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, str]] = field(default_factory=list)
    stats: Stats = field(default_factory=Stats)
    completions: bool = False

    def ask(self, prompt: str) -> Iterator[str]:
        """Pieces of the answer as they come. It is remembered as far as it came. Raises: UsageError,
        EnvironmentFailed."""
        self.history.append({"role": "user", "content": prompt})
        answer: list[str] = []
        try:
            for piece in self._pieces():
                answer.append(piece)
                yield piece
        finally:
            if answer:
                self.history.append({"role": "assistant", "content": "".join(answer)})
            else:
                self.history.pop()

    def _pieces(self) -> Iterator[str]:
        try:
            yield from self._stream()
        except _NoTemplate:
            self.completions = True
            yield from self._stream()

    def _stream(self) -> Iterator[str]:
        begun = time.monotonic()
        self.stats = Stats()
        path, body = self._request()
        body |= {
            "model": self.endpoint.model,
            "stream": True,
            "stream_options": {"include_usage": True},
            **self.params,
        }
        headers = {"Authorization": f"Bearer {self.endpoint.key}"} if self.endpoint.key else {}
        timeout = httpx2.Timeout(None, connect=CONNECT_SECONDS)
        try:
            with httpx2.stream(
                "POST", f"{self.endpoint.url}{path}", json=body, headers=headers, timeout=timeout
            ) as answer:
                if answer.status_code != 200:
                    self._refused(answer.status_code, answer.read())
                yield from self._read(answer, begun)
        except httpx2.TransportError as error:
            why = str(error) or type(error).__name__
            raise EnvironmentFailed(
                f"{self.endpoint.url} does not answer", why=why, fix="`stoker status` says what runs"
            ) from None

    def _request(self) -> tuple[str, dict[str, Any]]:
        system = [{"role": "system", "content": self.system}] if self.system else []
        if not self.completions:
            return "/v1/chat/completions", {"messages": [*system, *self.history]}
        return "/v1/completions", {"prompt": "\n".join(m["content"] for m in [*system, *self.history])}

    def _read(self, answer: httpx2.Response, begun: float) -> Iterator[str]:
        reader = SseReader()
        for chunk in answer.iter_bytes():
            for event in reader.feed(chunk):
                if event.done:
                    return
                data = event.json()
                if "error" in data:
                    raise EnvironmentFailed(error_message(data) or "the stream ended with an error")
                if (used := usage(data)) is not None:
                    self.stats.tokens = used.completion
                if piece := delta_text(data):
                    self.stats.ttft = self.stats.ttft or time.monotonic() - begun
                    self.stats.seconds = time.monotonic() - begun
                    yield piece

    def _refused(self, status: int, body: bytes) -> None:
        text = _message(body)
        if status == 400 and "chat template" in text and not self.completions:
            raise _NoTemplate
        kind = UsageError if status in (400, 401, 404, 422) else EnvironmentFailed
        fix = (
            "give the key: --key env:NAME"
            if status == 401
            else "`stoker status` says what runs"
            if status >= 500
            else ""
        )
        raise kind(f"the endpoint answered {status}", why=text, fix=fix, at=self.endpoint.url)


class _NoTemplate(Exception):
    """The model has no chat template."""


def _message(body: bytes) -> str:
    import json

    try:
        return error_message(json.loads(body)) or body.decode("utf-8", "replace")[:500]
    except ValueError:
        return body.decode("utf-8", "replace")[:500]


def parse_params(text: str) -> dict[str, Any]:
    """`temperature=0.2 top_k=5` as values. Raises: UsageError."""
    out: dict[str, Any] = {}
    for part in text.split():
        name, equals, value = part.partition("=")
        if not equals or name not in NUMBERS:
            raise UsageError(
                f"{part!r} sets nothing", why=f"known: {', '.join(NUMBERS)}", fix="/params temperature=0.2"
            )
        try:
            out[name] = NUMBERS[name](value)
        except ValueError:
            raise UsageError(
                f"{name} is {value!r}", why=f"expected {NUMBERS[name].__name__}", fix=f"{name}=1"
            ) from None
    return out


HELP = """/system TEXT     say what the model is to be; without TEXT, show it
/params K=V …    temperature, top_p, top_k, max_tokens, seed …; without any, show them
/reset           forget the conversation
/stats           figures of the last answer
/bye             leave (or Ctrl-D); Ctrl-C stops an answer"""


def command(talk: Conversation, line: str) -> str | None:
    """Runs one `/command` and returns what to print; None ends the REPL. Raises: UsageError."""
    name, _, rest = line.strip().partition(" ")
    if name in ("/bye", "/exit", "/quit"):
        return None
    if name == "/system":
        if rest:
            talk.system = rest.strip()
        return f"system: {talk.system or '(none)'}"
    if name == "/params":
        talk.params |= parse_params(rest)
        return "  ".join(f"{k}={v}" for k, v in talk.params.items()) or "(the model's own)"
    if name == "/reset":
        talk.history.clear()
        return "forgotten"
    if name == "/stats":
        return str(talk.stats)
    return HELP if name in ("/help", "/?") else f"unknown command {name}\n{HELP}"


def repl(
    talk: Conversation, read: Callable[[str], str], write: Callable[[str], None], stats: bool = False
) -> None:
    """Reads lines and prints answers until /bye or the end of input."""
    write(f"{talk.endpoint.model} at {talk.endpoint.url}   /help lists commands, /bye leaves\n")
    while True:
        try:
            line = read(">>> ")
        except EOFError:
            write("\n")
            return
        except KeyboardInterrupt:
            write("\n(/bye leaves)\n")
            continue
        if not line.strip():
            continue
        try:
            if line.startswith("/"):
                said = command(talk, line)
                if said is None:
                    return
                write(said + "\n")
            else:
                answer(talk, line, write, stats)
        except (UsageError, EnvironmentFailed) as error:
            write(f"{error}\n")


def answer(talk: Conversation, prompt: str, write: Callable[[str], None], stats: bool = False) -> None:
    """Prints one answer as it comes; Ctrl-C stops it and keeps what came."""
    pieces = talk.ask(prompt)
    try:
        for piece in pieces:
            write(piece)
    except KeyboardInterrupt:
        pieces.close()  # type: ignore[attr-defined]
        write(" (stopped)")
    write("\n")
    if stats:
        write(f"[{talk.stats}]\n")
