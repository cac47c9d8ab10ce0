"""Log probabilities as the two OpenAI routes write them. The numbers mean nothing; each token is the
likeliest.

Source: vLLM 0.32 `entrypoints/openai/chat_completion/serving.py`, `entrypoints/openai/completion/serving.py`.
"""

from typing import Any

_CHOSEN, _STEP = -0.125, -1.0


def of_chat(tokens: tuple[str, ...], beside: int) -> dict[str, Any]:
    """The `logprobs` of a chat's choice: each token with `beside` likely ones, itself the first."""
    return {"content": [{**_entry(token, 0), "top_logprobs": _top(token, beside)} for token in tokens]}


def _entry(token: str, rank: int) -> dict[str, Any]:
    number = _CHOSEN + rank * _STEP
    return {"token": token, "logprob": number, "bytes": list(token.encode("utf-8", "replace"))}


def _top(token: str, beside: int) -> list[dict[str, Any]]:
    return [_entry(_other(token, rank), rank) for rank in range(beside)]


def _other(token: str, rank: int) -> str:
    """The token, or one that is less likely in its place."""
    return token if rank == 0 else f" other{rank}"


def of_text(tokens: tuple[str, ...], beside: int, offset: int, prompt: int = 0) -> dict[str, Any]:
    """The `logprobs` of a completion's choice. `offset`: characters before; `prompt`: how many of the tokens
    are its.

    A prompt's first token has none.
    """
    found: dict[str, Any] = {"text_offset": [], "token_logprobs": [], "tokens": [], "top_logprobs": []}
    for number, token in enumerate(tokens):
        first = number == 0 and prompt > 0
        likely = {_other(token, rank): _CHOSEN + rank * _STEP for rank in range(max(1, beside))}
        found["text_offset"].append(offset)
        found["token_logprobs"].append(None if first else _CHOSEN)
        found["tokens"].append(token)
        found["top_logprobs"].append(None if first else likely)
        offset += len(token)
    return found


def of_prompt(ids: list[int], tokens: tuple[str, ...], beside: int) -> list[dict[str, Any] | None]:
    """The `prompt_logprobs` of an answer with echo: by token number, the first token without any."""
    entries: list[dict[str, Any] | None] = [None]
    for number, token in zip(ids[1:], tokens[1:], strict=True):
        entry = {"logprob": _CHOSEN, "rank": 1, "decoded_token": token}
        others = {str(number + rank): {**entry, "rank": rank + 1} for rank in range(1, beside)}
        entries.append({str(number): entry, **others})
    return entries
