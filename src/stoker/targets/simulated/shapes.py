"""How answers are written: the bodies and stream events of /v1/chat/completions and /v1/completions.

What repeats in every event of a stream is written once: most events cost two concatenations.
Source: vLLM 0.32 `entrypoints/openai/chat_completion/serving.py`, `entrypoints/openai/completion/serving.py`.
"""

import json
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from stoker.engine.openai import DONE_EVENT, dump, sse
from stoker.targets.simulated import logprobs
from stoker.targets.simulated.answers import Answer
from stoker.targets.simulated.asks import Ask
from stoker.targets.simulated.words import Vocabulary

_MARK = "\0"
_UNUSED = {"kv_transfer_params": None, "ec_transfer_params": None, "metrics": None}
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


class _Choices:
    """What chat and completions share: choices side by side."""

    _kind = _chunk_kind = ""

    def __init__(self, prefix: str, envelope: Envelope, ask: Ask, answers: list[Answer]) -> None:
        self._envelope = envelope
        self._base = {
            "id": f"{prefix}-{envelope.request_id}",
            "object": self._kind,
            "created": int(time.time()),
            "model": envelope.model,
        }
        self._ask = ask
        self._answers = answers
        self._plain = ask.logprobs is None and ask.usage != "always" and not ask.token_ids
        self._ends = [self._cut(index) for index in range(len(answers))] if ask.stream and self._plain else []

    def greeting(self) -> bytes:
        return b""

    def frame(self, index: int, step: int) -> bytes:
        answer = self._answers[index]
        if self._plain and not answer.ends_at(step) and (step or not self._ask.echo):
            head, tail = self._ends[index]
            return head + quoted(answer.deltas[step]) + tail
        return sse(self._chunk(index, step))

    def closing(self) -> bytes:
        if not self._ask.usage:
            return DONE_EVENT
        read, written = self._ask.prompt_tokens, sum(len(answer.tokens) for answer in self._answers)
        last = {**self._stream_base([]), "usage": _counted(read, written)}
        return sse({**last, "system_fingerprint": self._envelope.fingerprint}) + DONE_EVENT

    def broken(self, error: dict[str, Any]) -> bytes | None:
        return b"data: " + _spaced(error) + b"\n\n" + DONE_EVENT

    def refusal(self, error: dict[str, Any]) -> dict[str, Any]:
        return error

    def whole(self) -> bytes:
        choices = [self._choice(index, answer) for index, answer in enumerate(self._answers)]
        written = sum(len(answer.tokens) for answer in self._answers)
        details = {"prompt_tokens_details": None, "completion_tokens_details": None}
        body = {
            **self._base,
            "choices": choices,
            "service_tier": None,
            "system_fingerprint": self._envelope.fingerprint,
            "usage": {**_counted(self._read(), written), **details},
        }
        return dump({**body, **self._more(), **_UNUSED})

    def _stream_base(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {**self._base, "object": self._chunk_kind, "choices": choices}

    def _chunk(self, index: int, step: int) -> dict[str, Any]:
        """One event, with all that was asked for; the last of an answer names the engine, too."""
        answer = self._answers[index]
        body = self._stream_base([self._event(index, step, answer.deltas[step], ends=answer.ends_at(step))])
        if self._ask.usage == "always":
            body["usage"] = {**_counted(len(answer.prompt.words), step + 1), **self._details()}
        if answer.ends_at(step) and not self._ask.usage:
            body["system_fingerprint"] = self._envelope.fingerprint
        return body

    def _cut(self, index: int) -> tuple[bytes, bytes]:
        body = self._stream_base([self._event(index, 1, _MARK, ends=False)])
        head, tail = sse(body).split(dump(_MARK))
        return head, tail

    def _ids(self, answer: Answer, *steps: int) -> list[int] | None:
        if not self._ask.token_ids:
            return None
        ids = self._envelope.vocabulary.id
        chosen = [answer.tokens[step] for step in steps] if steps else answer.tokens
        return [ids(token.strip()) for token in chosen]

    def _prompt_ids(self, answer: Answer) -> list[int]:
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


class Chat(_Choices):
    """/v1/chat/completions."""

    _kind, _chunk_kind = "chat.completion", "chat.completion.chunk"

    def __init__(self, envelope: Envelope, ask: Ask, answers: list[Answer]) -> None:
        super().__init__("chatcmpl", envelope, ask, answers)

    def opening(self) -> bytes:
        return b"".join(sse(self._role(index)) for index in range(len(self._answers)))

    def _role(self, index: int) -> dict[str, Any]:
        delta = {"role": "assistant", "content": ""}
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}
        body = self._stream_base([choice])
        if self._ask.usage == "always":
            body["usage"] = {**_counted(self._ask.prompt_tokens, 0), **self._details()}
        ids = self._prompt_ids(self._answers[index]) if self._ask.token_ids else None
        return {**body, "prompt_token_ids": ids, "prompt_text": None}

    def _event(self, index: int, step: int, text: str, *, ends: bool) -> dict[str, Any]:
        answer = self._answers[index]
        told = self._logprobs(answer.tokens[step : step + 1])
        choice: dict[str, Any] = {"index": index, "delta": {"content": text}, "logprobs": told}
        choice["finish_reason"] = answer.finish if ends else None
        if ends:
            choice["stop_reason"] = answer.stopped_by
        return {**choice, "token_ids": self._ids(answer, step)}

    def _choice(self, index: int, answer: Answer) -> dict[str, Any]:
        empty = ("refusal", "annotations", "audio", "function_call", "reasoning")
        said = {"role": "assistant", "content": answer.text, **dict.fromkeys(empty)}
        ended = {"finish_reason": answer.finish, "stop_reason": answer.stopped_by}
        told = {"token_ids": self._ids(answer), "routed_experts": None}
        return {"index": index, "message": said, "logprobs": self._logprobs(answer.tokens), **ended, **told}

    def _logprobs(self, tokens: tuple[str, ...]) -> dict[str, Any] | None:
        return None if self._ask.logprobs is None else logprobs.of_chat(tokens, self._ask.logprobs)

    def _details(self) -> dict[str, Any]:
        return {"completion_tokens_details": None}

    def _more(self) -> dict[str, Any]:
        ids = self._prompt_ids(self._answers[0]) if self._ask.token_ids else None
        return {"prompt_logprobs": None, "prompt_token_ids": ids, "prompt_text": None}


class Completion(_Choices):
    """/v1/completions; with `echo` the prompt comes before the answer."""

    _kind = _chunk_kind = "text_completion"

    def __init__(self, envelope: Envelope, ask: Ask, answers: list[Answer]) -> None:
        super().__init__("cmpl", envelope, ask, answers)

    def opening(self) -> bytes:
        return b""

    def _event(self, index: int, step: int, text: str, *, ends: bool) -> dict[str, Any]:
        answer = self._answers[index]
        first = step == 0 and self._ask.echo
        ended = (answer.finish, answer.stopped_by) if ends else (None, None)
        before = sum(map(len, answer.tokens[:step])) if self._ask.logprobs is not None else 0
        shown = step == 0 and (self._ask.echo or self._ask.token_ids)
        return {
            "index": index,
            "text": self._echo(answer) + text if first else text,
            "logprobs": self._logprobs(answer, answer.tokens[step : step + 1], before, first),
            "finish_reason": ended[0],
            "stop_reason": ended[1],
            "prompt_token_ids": self._prompt_ids(answer) if shown else None,
            "token_ids": self._ids(answer, step),
        }

    def _choice(self, index: int, answer: Answer) -> dict[str, Any]:
        echo, beside = self._ask.echo, self._ask.logprobs
        tokens = () if echo and self._ask.limit == 0 else answer.tokens
        scored = echo and beside is not None
        ids = self._prompt_ids(answer) if scored or self._ask.token_ids else []
        return {
            "index": index,
            "text": self._echo(answer) + answer.text if echo else answer.text,
            "logprobs": self._logprobs(answer, tokens, 0, echo),
            "finish_reason": answer.finish,
            "stop_reason": answer.stopped_by,
            "token_ids": self._ids(answer),
            "prompt_logprobs": logprobs.of_prompt(ids, answer.prompt.words, beside or 0) if scored else None,
            "prompt_token_ids": ids if self._ask.token_ids else None,
            "routed_experts": None,
        }

    def _echo(self, answer: Answer) -> str:
        return " ".join(answer.prompt.words) + ("" if self._ask.limit == 0 else " ")

    def _logprobs(
        self, answer: Answer, tokens: tuple[str, ...], offset: int, echo: bool
    ) -> dict[str, Any] | None:
        if self._ask.logprobs is None:
            return None
        if not echo:
            return logprobs.of_text(tokens, self._ask.logprobs, offset)
        read = tuple((" " if number else "") + word for number, word in enumerate(answer.prompt.words))
        return logprobs.of_text((*read, *tokens), self._ask.logprobs, 0, len(read))


def _counted(read: int, written: int) -> dict[str, Any]:
    return {"prompt_tokens": read, "total_tokens": read + written, "completion_tokens": written}


def _spaced(error: dict[str, Any]) -> bytes:
    """An error in a stream is the one thing that vLLM writes with spaces."""
    return json.dumps(error, ensure_ascii=False).encode("utf-8", "replace")
