"""How answers are written: what the bodies and stream events of /v1/chat/completions and /v1/completions
share.

What repeats in every event of a stream is written once: most events cost two concatenations.
Source: vLLM 0.32 `entrypoints/openai/chat_completion/serving.py`, `entrypoints/openai/completion/serving.py`.
"""

import json
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from stoker.engine.openai import DONE_EVENT, dump, sse
from stoker.targets.simulated.answers import Answer
from stoker.targets.simulated.requests import Request
from stoker.targets.simulated.words import Vocabulary

_MARK = "\0"
_UNUSED = {"kv_transfer_params": None, "ec_transfer_params": None, "metrics": None}
_FORMS: dict[tuple[str, ...], bytes] = {}
quoted = lru_cache(maxsize=1 << 16)(dump)


@dataclass(frozen=True, slots=True)
class Envelope:
    """What an answer says of its request and its engine."""

    request_id: str
    model: str
    fingerprint: str
    vocabulary: Vocabulary


class Shape(Protocol):
    """The written form of one request's answers."""

    def greeting(self) -> bytes:
        """The events before anything is computed; may be empty."""

    def opening(self) -> bytes:
        """The events before the first token; may be empty."""

    def ends(self, index: int) -> tuple[bytes, bytes] | None:
        """What stands before and after the text in an answer's events but its last; None where that
        varies."""

    def frame(self, index: int, step: int) -> bytes:
        """The event of an answer's token."""

    def closing(self) -> bytes:
        """The events after the last token."""

    def broken(self, error: dict[str, Any]) -> bytes | None:
        """The events with which a stream ends when the engine dies; None: it is cut."""

    def whole(self) -> bytes:
        """The body of an answer that is not streamed."""

    def refusal(self, error: dict[str, Any]) -> dict[str, Any]:
        """An error in the route's own form."""


class Choices:
    """What chat and completions share: choices side by side."""

    _kind = _chunk_kind = ""

    def __init__(self, prefix: str, envelope: Envelope, ask: Request, answers: list[Answer]) -> None:
        self._envelope = envelope
        self._base = {
            "id": f"{prefix}-{envelope.request_id}",
            "object": self._kind,
            "created": int(time.time()),
            "model": envelope.model,
        }
        self._ask = ask
        self._answers = answers
        self._simple = ask.logprobs is None and not ask.token_ids
        self._plain = self._simple and ask.usage != "always"

    def greeting(self) -> bytes:
        return b""

    def ends(self, index: int) -> tuple[bytes, bytes] | None:
        return self._cut(index) if self._simple and self._ask.stream and not self._ask.echo else None

    def frame(self, index: int, step: int) -> bytes:
        return sse(self._chunk(index, step))

    def closing(self) -> bytes:
        if not self._ask.usage:
            return DONE_EVENT
        read, written = self._ask.prompt_tokens, sum(len(answer.tokens) for answer in self._answers)
        last = {**self.stream_base([]), "usage": counted(read, written)}
        return sse({**last, "system_fingerprint": self._envelope.fingerprint}) + DONE_EVENT

    def broken(self, error: dict[str, Any]) -> bytes | None:
        return b"data: " + _spaced(error) + b"\n\n" + DONE_EVENT

    def refusal(self, error: dict[str, Any]) -> dict[str, Any]:
        return error

    def whole(self) -> bytes:
        answer, written = self._answers[0], sum(len(answer.tokens) for answer in self._answers)
        if self._plain and len(self._answers) == 1 and not self._ask.echo and answer.stopped_by is None:
            return self._filled(answer, self._read(), written)
        choices = [self._choice(index, answer) for index, answer in enumerate(self._answers)]
        return dump(self._body(choices, counted(self._read(), written)))

    def _filled(self, answer: Answer, read: int, written: int) -> bytes:
        """One plain answer, put into the form that was made for an earlier one of its kind."""
        key = (self._kind, self._envelope.model, self._envelope.fingerprint, answer.finish)
        form = _FORMS.get(key)
        if form is None:
            told = self._choice(0, Answer(answer.prompt, (_MARK,), (_MARK,), answer.finish))
            body = self._body([told], dict.fromkeys(counted(0, 0), _MARK))
            whole = dump({**body, "id": _MARK, "created": _MARK})
            form = _FORMS[key] = whole.replace(b"%", b"%%").replace(dump(_MARK), b"%b")
        name, made = dump(self._base["id"]), str(self._base["created"]).encode()
        counts = (b"%d" % read, b"%d" % (read + written), b"%d" % written)
        return form % (name, made, dump(answer.text), *counts)

    def _body(self, choices: list[dict[str, Any]], counted: dict[str, Any]) -> dict[str, Any]:
        details = {"prompt_tokens_details": None, "completion_tokens_details": None}
        body = {
            **self._base,
            "choices": choices,
            "service_tier": None,
            "system_fingerprint": self._envelope.fingerprint,
            "usage": {**counted, **details},
        }
        return {**body, **self._more(), **_UNUSED}

    def stream_base(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {**self._base, "object": self._chunk_kind, "choices": choices}

    def _chunk(self, index: int, step: int) -> dict[str, Any]:
        """One event, with all that was asked for; the last of an answer names the engine, too."""
        answer = self._answers[index]
        body = self.stream_base([self._event(index, step, answer.deltas[step], ends=answer.ends_at(step))])
        if self._ask.usage == "always":
            body["usage"] = {**counted(len(answer.prompt.words), step + 1), **self._details()}
        if answer.ends_at(step) and not self._ask.usage:
            body["system_fingerprint"] = self._envelope.fingerprint
        return body

    def _cut(self, index: int) -> tuple[bytes, bytes]:
        """Where each event counts, its end is a form for two numbers: tokens in all, and of the answer."""
        body = self.stream_base([self._event(index, 1, _MARK, ends=False)])
        if self._ask.usage == "always":
            body["usage"] = {**counted(0, 0), **self._details()}
            words = len(self._answers[index].prompt.words)
            body["usage"] |= {"prompt_tokens": words, "total_tokens": _MARK, "completion_tokens": _MARK}
        head, tail, *more = sse(body).split(dump(_MARK))
        return head, b"%d".join(part.replace(b"%", b"%%") for part in (tail, *more)) if more else tail

    def token_ids(self, answer: Answer, *steps: int) -> list[int] | None:
        if not self._ask.token_ids:
            return None
        ids = self._envelope.vocabulary.id
        chosen = [answer.tokens[step] for step in steps] if steps else answer.tokens
        return [ids(token.strip()) for token in chosen]

    def prompt_ids(self, answer: Answer) -> list[int]:
        return [self._envelope.vocabulary.id(word) for word in answer.prompt.words]

    def _read(self) -> int:
        return self._ask.prompt_tokens

    def _event(self, index: int, step: int, text: str, *, ends: bool) -> dict[str, Any]:
        raise NotImplementedError

    def _choice(self, index: int, answer: Answer) -> dict[str, Any]:
        raise NotImplementedError

    def _details(self) -> dict[str, Any]:
        return {}

    def _more(self) -> dict[str, Any]:
        return {}


def counted(read: int, written: int) -> dict[str, Any]:
    """The three numbers of a `usage`."""
    return {"prompt_tokens": read, "total_tokens": read + written, "completion_tokens": written}


def _spaced(error: dict[str, Any]) -> bytes:
    """An error in a stream is the one thing that vLLM writes with spaces."""
    return json.dumps(error, ensure_ascii=False).encode("utf-8", "replace")
