"""OpenAI's bodies and stream events as vLLM writes them: made and read here, sent elsewhere.

Source: vLLM 0.32 `entrypoints/openai/*/protocol.py` and `entrypoints/serve/engine/protocol.py`;
the event format is the HTML standard's, "server-sent events".
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DONE = "[DONE]"
DONE_EVENT = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class SseEvent:
    """One event of a stream. `event` is `message` unless the server names it; `data` is its text."""

    event: str
    data: str

    @property
    def done(self) -> bool:
        """Whether it is the `[DONE]` that ends OpenAI's streams."""
        return self.data == DONE

    def json(self) -> dict[str, Any]:
        """The data as an object; empty for `[DONE]`. Raises: ValueError, if it is no JSON object."""
        if self.done:
            return {}
        value = json.loads(self.data)
        if not isinstance(value, dict):
            raise ValueError(f"a stream event is a JSON object, not {self.data[:80]!r}")
        return value


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request: read, of these found in the prefix cache, and written."""

    prompt: int
    completion: int
    cached: int = 0


class SseReader:
    """Bytes in any portions in, whole events out. Lines end in LF or CRLF; an unfinished event is dropped."""

    def __init__(self) -> None:
        self._rest = b""
        self._event = ""
        self._data: list[str] = []

    def feed(self, data: bytes) -> list[SseEvent]:
        """The events that these bytes complete."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        events = (self._line(line.removesuffix(b"\r")) for line in lines)
        return [event for event in events if event is not None]

    def _line(self, line: bytes) -> SseEvent | None:
        if not line:
            return self._flush()
        name, _, value = line.partition(b":")
        text = value.removeprefix(b" ").decode("utf-8", "replace")
        if name == b"data":
            self._data.append(text)
        elif name == b"event":
            self._event = text
        return None

    def _flush(self) -> SseEvent | None:
        event = SseEvent(self._event or "message", "\n".join(self._data)) if self._data else None
        self._event, self._data = "", []
        return event


def dump(data: Any) -> bytes:
    """Compact JSON in UTF-8, as vLLM writes it."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def sse(data: Mapping[str, Any], event: str = "") -> bytes:
    """One stream event, with its `event:` line where a name is given."""
    name = f"event: {event}\n".encode() if event else b""
    return name + b"data: " + dump(data) + b"\n\n"


def delta_text(event_json: Mapping[str, Any]) -> str:
    """The new text of a chunk's first choice, chat or completions; empty where a chunk carries none."""
    choices = event_json.get("choices")
    if not choices:
        return ""
    delta = choices[0].get("delta")
    text = choices[0].get("text") if delta is None else delta.get("content")
    return text if isinstance(text, str) else ""


def finish_reason(event_json: Mapping[str, Any]) -> str | None:
    """Why the first choice ended (`stop`, `length`, `abort`); None while it goes on."""
    choices = event_json.get("choices")
    return choices[0].get("finish_reason") if choices else None


def usage(body: Mapping[str, Any]) -> Usage | None:
    """The usage that a body or a last chunk carries; None where it carries none."""
    found = body.get("usage")
    if not found:
        return None
    details = found.get("prompt_tokens_details") or {}
    cached = details.get("cached_tokens") or 0
    return Usage(found.get("prompt_tokens") or 0, found.get("completion_tokens") or 0, cached)


def usage_body(used: Usage) -> dict[str, Any]:
    """The `usage` object of an answer. vLLM leaves `prompt_tokens_details` null unless asked for them."""
    return {
        "prompt_tokens": used.prompt,
        "total_tokens": used.prompt + used.completion,
        "completion_tokens": used.completion,
        "prompt_tokens_details": None,
    }


def error_body(message: str, type: str, code: int, param: str | None = None) -> dict[str, Any]:
    """OpenAI's error object: what clients of every language know how to read."""
    return {"error": {"message": message, "type": type, "param": param, "code": code}}


def error_message(body: Mapping[str, Any]) -> str | None:
    """The message of an error object, or of vLLM's bare `{"error": "text"}`; None where there is none."""
    error = body.get("error")
    if not error:
        return None
    return str(error.get("message", error)) if isinstance(error, dict) else str(error)
