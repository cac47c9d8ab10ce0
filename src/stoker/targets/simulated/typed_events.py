"""How answers are written on the routes whose stream events have types: /v1/responses and /v1/messages.

Source: vLLM 0.32 `entrypoints/openai/responses/`, `entrypoints/anthropic/serving.py`.
"""

import time
from typing import Any

from stoker.engine.openai import dump, sse
from stoker.targets.simulated.answers import Answer
from stoker.targets.simulated.requests import Request
from stoker.targets.simulated.shapes import Envelope

_STOPS = {"stop": "end_turn", "length": "max_tokens"}
_NULL = (
    "instructions",
    "metadata",
    "max_tool_calls",
    "previous_response_id",
    "prompt",
    "reasoning",
    "text",
    "top_logprobs",
    "user",
    "kv_transfer_params",
    "ec_transfer_params",
    "input_messages",
    "output_messages",
)
_FIXED = {
    "parallel_tool_calls": True,
    "tool_choice": "none",
    "tools": [],
    "background": False,
    "service_tier": "auto",
    "truncation": "disabled",
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}


class Response:
    """/v1/responses: one output item with one text part. `sequence_number` counts the events."""

    def __init__(self, envelope: Envelope, ask: Request, answers: list[Answer]) -> None:
        self._ask = ask
        self._answer = answers[0]
        self._item_id = f"msg_{envelope.request_id}"
        self._number = -1
        warm, top_p = ask.sampling.temperature, ask.sampling.top_p
        self._base = {
            **dict.fromkeys(_NULL),
            **_FIXED,
            "id": f"resp_{envelope.request_id}",
            "object": "response",
            "created_at": int(time.time()),
            "model": envelope.model,
            "temperature": 1.0 if warm is None else warm,
            "top_p": 1.0 if top_p is None else top_p,
            "max_output_tokens": len(answers[0].tokens) if ask.limit is None else ask.limit,
        }

    def greeting(self) -> bytes:
        kinds = ("response.created", "response.in_progress")
        return b"".join(self._event(kind, response=self._body("in_progress")) for kind in kinds)

    def opening(self) -> bytes:
        item = self._item("in_progress", [])
        part = {**_text_part(""), "logprobs": []}
        return self._event("response.output_item.added", output_index=0, item=item) + self._event(
            "response.content_part.added", **self._place(), part=part
        )

    def ends(self, index: int) -> tuple[bytes, bytes] | None:
        return None

    def frame(self, index: int, step: int) -> bytes:
        if self._answer.finish == "stop" and self._answer.ends_at(step) and not self._answer.deltas[step]:
            return b""
        delta = self._answer.deltas[step]
        return self._event("response.output_text.delta", **self._place(), delta=delta, logprobs=[])

    def closing(self) -> bytes:
        text = self._answer.text
        item = self._item("completed", [_text_part(text)])
        return (
            self._event("response.output_text.done", **self._place(), text=text, logprobs=[])
            + self._event("response.content_part.done", **self._place(), part=_text_part(text))
            + self._event("response.output_item.done", output_index=0, item=item)
            + self._event("response.completed", response=self._body(self._status()))
        )

    def broken(self, error: dict[str, Any]) -> bytes | None:
        return None

    def refusal(self, error: dict[str, Any]) -> dict[str, Any]:
        return error

    def whole(self) -> bytes:
        return dump(self._body(self._status()))

    def _status(self) -> str:
        return "incomplete" if self._answer.finish == "length" else "completed"

    def _place(self) -> dict[str, Any]:
        return {"item_id": self._item_id, "output_index": 0, "content_index": 0}

    def _item(self, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
        head = {"id": self._item_id, "content": content, "role": "assistant", "status": status}
        return {**head, "type": "message", "phase": None}

    def _body(self, status: str) -> dict[str, Any]:
        if status == "in_progress":
            return {**self._base, "status": status, "incomplete_details": None, "output": [], "usage": None}
        read, written = self._ask.prompt_tokens, len(self._answer.tokens)
        turns: dict[str, Any] = {"input_tokens_per_turn": [], "cached_tokens_per_turn": []}
        made: dict[str, Any] = {"output_tokens_per_turn": [], "tool_output_tokens_per_turn": []}
        usage = {
            "input_tokens": read,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0, **turns},
            "output_tokens": written,
            "output_tokens_details": {"reasoning_tokens": 0, "tool_output_tokens": 0, **made},
            "total_tokens": read + written,
        }
        output = [self._item("completed", [_text_part(self._answer.text)])]
        why = {"reason": "max_output_tokens"} if status == "incomplete" else None
        return {**self._base, "status": status, "incomplete_details": why, "output": output, "usage": usage}

    def _event(self, kind: str, **values: Any) -> bytes:
        self._number += 1
        return sse({"type": kind, "sequence_number": self._number, **values}, kind)


class Message:
    """/v1/messages: Anthropic's form, one text block."""

    def __init__(self, envelope: Envelope, ask: Request, answers: list[Answer]) -> None:
        self._ask = ask
        self._answer = answers[0]
        name = f"chatcmpl-{envelope.request_id}"
        self._base = {"id": name, "type": "message", "role": "assistant", "model": envelope.model}

    def greeting(self) -> bytes:
        return b""

    def opening(self) -> bytes:
        unended: dict[str, Any] = {"content": [], "stop_reason": None, "stop_sequence": None}
        start = {**self._base, **unended, "usage": self._usage(0)}
        block = {"type": "text", "text": ""}
        return sse({"type": "message_start", "message": start}, "message_start") + sse(
            {"type": "content_block_start", "index": 0, "content_block": block}, "content_block_start"
        )

    def ends(self, index: int) -> tuple[bytes, bytes] | None:
        return None

    def frame(self, index: int, step: int) -> bytes:
        if not self._answer.deltas[step]:
            return b""
        delta = {"type": "text_delta", "text": self._answer.deltas[step]}
        return sse({"type": "content_block_delta", "index": 0, "delta": delta}, "content_block_delta")

    def closing(self) -> bytes:
        reason, usage = self._reason(), self._usage(len(self._answer.tokens))
        stop = {"stop_reason": reason, "stop_sequence": self._answer.stopped_by}
        return (
            sse({"type": "content_block_stop", "index": 0}, "content_block_stop")
            + sse({"type": "message_delta", "delta": stop, "usage": usage}, "message_delta")
            + sse({"type": "message_stop"}, "message_stop")
        )

    def broken(self, error: dict[str, Any]) -> bytes | None:
        told = {"type": "internal_error", "message": error["error"]["message"]}
        return sse({"type": "error", "error": told}, "error")

    def refusal(self, error: dict[str, Any]) -> dict[str, Any]:
        return anthropic(error)

    def whole(self) -> bytes:
        content = [{"type": "text", "text": self._answer.text}]
        stopped = self._answer.stopped_by
        stop = {"stop_reason": self._reason()} | ({} if stopped is None else {"stop_sequence": stopped})
        return dump(
            {**self._base, "content": content, **stop, "usage": self._usage(len(self._answer.tokens))}
        )

    def _reason(self) -> str:
        return "stop_sequence" if self._answer.stopped_by is not None else _STOPS[self._answer.finish]

    def _usage(self, written: int) -> dict[str, int]:
        return {"input_tokens": self._ask.prompt_tokens, "output_tokens": written}


def anthropic(body: dict[str, Any]) -> dict[str, Any]:
    """/v1/messages has Anthropic's error form, except for what the web framework and its schema refuse."""
    error = body.get("error")
    if not isinstance(error, dict) or error["type"] == "Bad Request":
        return body
    return {"type": "error", "error": {"type": error["type"], "message": error["message"]}}


def _text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": None}
