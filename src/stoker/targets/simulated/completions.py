"""How answers are written on /v1/completions.

Source: vLLM 0.32 `entrypoints/openai/completion/serving.py`.
"""

from typing import Any

from stoker.targets.simulated import logprobs
from stoker.targets.simulated.answers import Answer
from stoker.targets.simulated.requests import Request
from stoker.targets.simulated.shapes import Choices, Envelope


class Completion(Choices):
    """/v1/completions; with `echo` the prompt comes before the answer."""

    _kind = _chunk_kind = "text_completion"

    def __init__(self, envelope: Envelope, ask: Request, answers: list[Answer]) -> None:
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
            "prompt_token_ids": self.prompt_ids(answer) if shown else None,
            "token_ids": self.token_ids(answer, step),
        }

    def _choice(self, index: int, answer: Answer) -> dict[str, Any]:
        echo, beside = self._ask.echo, self._ask.logprobs
        tokens = () if echo and self._ask.limit == 0 else answer.tokens
        scored = echo and beside is not None
        ids = self.prompt_ids(answer) if scored or self._ask.token_ids else []
        return {
            "index": index,
            "text": self._echo(answer) + answer.text if echo else answer.text,
            "logprobs": self._logprobs(answer, tokens, 0, echo),
            "finish_reason": answer.finish,
            "stop_reason": answer.stopped_by,
            "token_ids": self.token_ids(answer),
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
