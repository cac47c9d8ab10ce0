"""How answers are written on the routes whose stream events have types: /v1/responses and /v1/messages.

Source: vLLM 0.32 `entrypoints/openai/responses/`, `entrypoints/anthropic/serving.py`.
"""

import time
from typing import Any

from stoker.engine.openai import dump, sse
from stoker.targets.simulated.answers import Answer
from stoker.targets.simulated.asks import Ask

_STOPS = {"stop": "end_turn", "length": "max_tokens"}


class Response:
    """/v1/responses: one output item with one text part. `sequence_number` counts the events."""

    def __init__(self, request_id: str, model: str, ask: Ask, answers: list[Answer]) -> None:
        self._ask = ask
        self._answer = answers[0]
        self._item_id = f"msg_{request_id}"
        self._number = -1
        self._base = {
            "id": f"resp_{request_id}",
            "object": "response",
            "created_at": int(time.time()),
            "model": model,
        }

    def opening(self) -> bytes:
        item = self._item("in_progress", [])
        return (
            self._event("response.created", response=self._body("in_progress"))
            + self._event("response.in_progress", response=self._body("in_progress"))
            + self._event("response.output_item.added", output_index=0, item=item)
            + self._event("response.content_part.added", **self._place(), part=_text_part(""))
        )

    def frame(self, step: int) -> bytes:
        piece = self._answer.pieces[step]
        return self._event("response.output_text.delta", **self._place(), delta=piece, logprobs=[])

    def closing(self) -> bytes:
        text = self._answer.text
        item = self._item("completed", [_text_part(text)])
        end = "response.completed" if self._status() == "completed" else "response.incomplete"
        return (
            self._event("response.output_text.done", **self._place(), text=text, logprobs=[])
            + self._event("response.content_part.done", **self._place(), part=_text_part(text))
            + self._event("response.output_item.done", output_index=0, item=item)
            + self._event(end, response=self._body(self._status()))
        )

    def whole(self) -> bytes:
        return dump(self._body(self._status()))

    def _status(self) -> str:
        return "incomplete" if self._answer.finish == "length" else "completed"

    def _place(self) -> dict[str, Any]:
        return {"item_id": self._item_id, "output_index": 0, "content_index": 0}

    def _item(self, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self._item_id,
            "type": "message",
            "role": "assistant",
            "status": status,
            "content": content,
        }

    def _body(self, status: str) -> dict[str, Any]:
        if status == "in_progress":
            return {**self._base, "status": status, "output": [], "usage": None}
        read, written = self._ask.prompt_tokens, len(self._answer.pieces)
        usage = {"input_tokens": read, "output_tokens": written, "total_tokens": read + written}
        output = [self._item("completed", [_text_part(self._answer.text)])]
        why = {"reason": "max_output_tokens"} if status == "incomplete" else None
        return {**self._base, "status": status, "incomplete_details": why, "output": output, "usage": usage}

    def _event(self, kind: str, **values: Any) -> bytes:
        self._number += 1
        return sse({"type": kind, "sequence_number": self._number, **values}, kind)


class Message:
    """/v1/messages: Anthropic's form, one text block."""

    def __init__(self, request_id: str, model: str, ask: Ask, answers: list[Answer]) -> None:
        self._ask = ask
        self._answer = answers[0]
        self._base = {"id": f"chatcmpl-{request_id}", "type": "message", "role": "assistant", "model": model}

    def opening(self) -> bytes:
        unended: dict[str, Any] = {"content": [], "stop_reason": None, "stop_sequence": None}
        start = {**self._base, **unended, "usage": self._usage(0)}
        block = {"type": "text", "text": ""}
        return sse({"type": "message_start", "message": start}, "message_start") + sse(
            {"type": "content_block_start", "index": 0, "content_block": block}, "content_block_start"
        )

    def frame(self, step: int) -> bytes:
        delta = {"type": "text_delta", "text": self._answer.pieces[step]}
        return sse({"type": "content_block_delta", "index": 0, "delta": delta}, "content_block_delta")

    def closing(self) -> bytes:
        written = len(self._answer.pieces)
        return (
            sse({"type": "content_block_stop", "index": 0}, "content_block_stop")
            + sse(
                {"type": "message_delta", "delta": self._stop(), "usage": self._usage(written)},
                "message_delta",
            )
            + sse({"type": "message_stop"}, "message_stop")
        )

    def whole(self) -> bytes:
        content = [{"type": "text", "text": self._answer.text}]
        usage = self._usage(len(self._answer.pieces))
        return dump({**self._base, "content": content, **self._stop(), "usage": usage})

    def _stop(self) -> dict[str, Any]:
        stopped = self._answer.stopped_by
        reason = "stop_sequence" if stopped is not None else _STOPS[self._answer.finish]
        return {"stop_reason": reason, "stop_sequence": stopped}

    def _usage(self, written: int) -> dict[str, int]:
        return {"input_tokens": self._ask.prompt_tokens, "output_tokens": written}


def _text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": None}
