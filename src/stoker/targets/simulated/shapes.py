"""How answers are written: the bodies and stream events of /v1/chat/completions and /v1/completions.

What repeats in every event of a stream is written once: an event costs two concatenations.
Source: vLLM 0.32 `entrypoints/openai/chat_completion/serving.py`, `entrypoints/openai/completion/serving.py`.
"""

import time
from functools import lru_cache
from typing import Any, Protocol

from stoker.engine.openai import DONE_EVENT, Usage, dump, sse, usage_body
from stoker.targets.simulated.answers import Answer
from stoker.targets.simulated.asks import Ask

_MARK = "\0"
quoted = lru_cache(maxsize=1 << 16)(dump)


class Shape(Protocol):
    """The written form of one request's answers."""

    def opening(self) -> bytes:
        """The events before the first token; may be empty."""

    def frame(self, step: int) -> bytes:
        """The events of one engine step: the next token of every answer that has one."""

    def closing(self) -> bytes:
        """The events after the last token."""

    def whole(self) -> bytes:
        """The body of an answer that is not streamed."""


class _Choices:
    """What chat and completions share: choices side by side."""

    def __init__(self, prefix: str, request_id: str, model: str, ask: Ask, answers: list[Answer]) -> None:
        self._id = f"{prefix}-{request_id}"
        self._made = {"created": int(time.time()), "model": model}
        self._ask = ask
        self._answers = answers
        ends = [self._ends(index) for index in range(len(answers))] if ask.stream else []
        self._parts = [
            (head, tail, answer.pieces) for (head, tail), answer in zip(ends, answers, strict=False)
        ]
        self._one = self._parts[0] if len(self._parts) == 1 else None

    def frame(self, step: int) -> bytes:
        if self._one is not None:
            head, tail, pieces = self._one
            return head + quoted(pieces[step]) + tail if step < len(pieces) else b""
        parts = (
            head + quoted(pieces[step]) + tail for head, tail, pieces in self._parts if step < len(pieces)
        )
        return b"".join(parts)

    def closing(self) -> bytes:
        ends = [sse(self._chunk(index, "", answer)) for index, answer in enumerate(self._answers)]
        if self._ask.include_usage:
            ends.append(sse({**self._chunk(0, ""), "choices": [], "usage": self._usage()}))
        return b"".join(ends) + DONE_EVENT

    def _body(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {"id": self._id, "object": kind, **self._made, "choices": choices}

    def _chunk(self, index: int, text: str, ended: Answer | None = None) -> dict[str, Any]:
        raise NotImplementedError

    def _ends(self, index: int) -> tuple[bytes, bytes]:
        head, tail = sse(self._chunk(index, _MARK)).split(dump(_MARK))
        return head, tail

    def _usage(self) -> dict[str, Any]:
        written = sum(len(answer.pieces) for answer in self._answers)
        return usage_body(Usage(self._ask.prompt_tokens, written))


class Chat(_Choices):
    """/v1/chat/completions."""

    def __init__(self, request_id: str, model: str, ask: Ask, answers: list[Answer]) -> None:
        super().__init__("chatcmpl", request_id, model, ask, answers)

    def opening(self) -> bytes:
        role = {"role": "assistant", "content": ""}
        return b"".join(sse(self._event(index, role)) for index in range(len(self._answers)))

    def whole(self) -> bytes:
        choices = [self._choice(index, answer) for index, answer in enumerate(self._answers)]
        body = {**self._body("chat.completion", choices), "usage": self._usage()}
        return dump({**body, "service_tier": None, "system_fingerprint": None, "prompt_logprobs": None})

    def _choice(self, index: int, answer: Answer) -> dict[str, Any]:
        said: dict[str, Any] = {
            "role": "assistant",
            "content": answer.text,
            "refusal": None,
            "tool_calls": [],
        }
        ended = {"finish_reason": answer.finish, "stop_reason": answer.stopped_by}
        return {"index": index, "message": {**said, "reasoning": None}, "logprobs": None, **ended}

    def _chunk(self, index: int, text: str, ended: Answer | None = None) -> dict[str, Any]:
        return self._event(index, {"content": text}, ended)

    def _event(self, index: int, delta: dict[str, str], ended: Answer | None = None) -> dict[str, Any]:
        choice: dict[str, Any] = {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}
        if ended is not None:
            choice |= {"finish_reason": ended.finish, "stop_reason": ended.stopped_by}
        return self._body("chat.completion.chunk", [choice])


class Completion(_Choices):
    """/v1/completions; with `echo` the prompt comes before the answer."""

    def __init__(self, request_id: str, model: str, ask: Ask, answers: list[Answer]) -> None:
        super().__init__("cmpl", request_id, model, ask, answers)

    def opening(self) -> bytes:
        if not self._ask.echo:
            return b""
        return b"".join(sse(self._chunk(index, self._echo(index))) for index in range(len(self._answers)))

    def whole(self) -> bytes:
        choices = [
            self._chunk(index, self._echo(index) + answer.text, answer)["choices"][0]
            | {"prompt_logprobs": None}
            for index, answer in enumerate(self._answers)
        ]
        body = {**self._body("text_completion", choices), "usage": self._usage()}
        return dump({**body, "service_tier": None, "system_fingerprint": None})

    def _echo(self, index: int) -> str:
        return " ".join(self._ask.prompts[index // self._ask.n].words) + " " if self._ask.echo else ""

    def _chunk(self, index: int, text: str, ended: Answer | None = None) -> dict[str, Any]:
        finish, stop = (ended.finish, ended.stopped_by) if ended else (None, None)
        choice = {
            "index": index,
            "text": text,
            "logprobs": None,
            "finish_reason": finish,
            "stop_reason": stop,
        }
        return self._body("text_completion", [choice])
