"""How answers are written on /v1/chat/completions.

Source: vLLM 0.32 `entrypoints/openai/chat_completion/serving.py`.
"""

from typing import Any

from stoker.engine.openai import sse
from stoker.targets.simulated import logprobs
from stoker.targets.simulated.answers import Answer
from stoker.targets.simulated.requests import Request
from stoker.targets.simulated.shapes import Choices, Envelope, counted


class Chat(Choices):
    """/v1/chat/completions."""

    _kind, _chunk_kind = "chat.completion", "chat.completion.chunk"

    def __init__(self, envelope: Envelope, ask: Request, answers: list[Answer]) -> None:
        super().__init__("chatcmpl", envelope, ask, answers)

    def opening(self) -> bytes:
        return b"".join(sse(self._role(index)) for index in range(len(self._answers)))

    def _role(self, index: int) -> dict[str, Any]:
        delta = {"role": "assistant", "content": ""}
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}
        body = self.stream_base([choice])
        if self._ask.usage == "always":
            body["usage"] = {**counted(self._ask.prompt_tokens, 0), **self._details()}
        ids = self.prompt_ids(self._answers[index]) if self._ask.token_ids else None
        return {**body, "prompt_token_ids": ids, "prompt_text": None}

    def _event(self, index: int, step: int, text: str, *, ends: bool) -> dict[str, Any]:
        answer = self._answers[index]
        told = self._logprobs(answer.tokens[step : step + 1])
        choice: dict[str, Any] = {"index": index, "delta": {"content": text}, "logprobs": told}
        choice["finish_reason"] = answer.finish if ends else None
        if ends:
            choice["stop_reason"] = answer.stopped_by
        return {**choice, "token_ids": self.token_ids(answer, step)}

    def _choice(self, index: int, answer: Answer) -> dict[str, Any]:
        empty = ("refusal", "annotations", "audio", "function_call", "reasoning")
        said = {"role": "assistant", "content": answer.text, **dict.fromkeys(empty)}
        ended = {"finish_reason": answer.finish, "stop_reason": answer.stopped_by}
        told = {"token_ids": self.token_ids(answer), "routed_experts": None}
        return {"index": index, "message": said, "logprobs": self._logprobs(answer.tokens), **ended, **told}

    def _logprobs(self, tokens: tuple[str, ...]) -> dict[str, Any] | None:
        return None if self._ask.logprobs is None else logprobs.of_chat(tokens, self._ask.logprobs)

    def _details(self) -> dict[str, Any]:
        return {"completion_tokens_details": None}

    def _more(self) -> dict[str, Any]:
        ids = self.prompt_ids(self._answers[0]) if self._ask.token_ids else None
        return {"prompt_logprobs": None, "prompt_token_ids": ids, "prompt_text": None}
