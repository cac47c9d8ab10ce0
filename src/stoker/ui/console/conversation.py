"""A conversation as a value: its turns, how they are shown, and what is sent for the next answer."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from stoker.engine import openai
from stoker.errors import UsageError
from stoker.findings import Finding

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
NO_TEMPLATE = "This model has no chat template: it gets the conversation as plain text and may answer oddly."
STOPPED = "Stopped."


@dataclass(frozen=True, slots=True)
class Turn:
    """What was asked and what came back: thinking, text, a remark of ours, or why it failed."""

    asked: str
    thought: str = ""
    said: str = ""
    note: str = ""
    failed: Finding | None = None

    def grown(self, event: Mapping[str, Any], max_tokens: int | None) -> "Turn":
        """This turn with one more stream event of the model."""
        turn = replace(
            self, thought=self.thought + _thought(event), said=self.said + openai.delta_text(event)
        )
        if openai.finish_reason(event) == "length":
            limit = f"max_tokens ({max_tokens})" if max_tokens else "the model's context"
            return turn.noted(f"Cut off at {limit}.")
        return turn

    def noted(self, note: str) -> "Turn":
        """This turn with one more remark."""
        return replace(self, note=f"{self.note}\n\n{note}".strip())


Talk = tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How to answer. None leaves a parameter to the model's own default."""

    system: str = ""
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = None

    @classmethod
    def parse(
        cls, system: str, temperature: str, top_p: str, top_k: str, max_tokens: str
    ) -> "SamplingParams":
        """Reads what was typed. Raises: UsageError, naming the parameter that is no number."""
        return cls(
            system,
            _number("temperature", temperature),
            _number("top_p", top_p),
            _whole("top_k", top_k),
            _whole("max_tokens", max_tokens),
        )

    def sampling(self) -> dict[str, Any]:
        """The parameters that are set, under the API's names."""
        return {name: value for name, value in asdict(self).items() if name != "system" and value is not None}


def _number(name: str, text: str) -> float | None:
    try:
        return float(text.replace(",", ".")) if text.strip() else None
    except ValueError:
        fix = "Type a number in Settings, or leave it empty for the model's default."
        raise UsageError(f"{name} is {text!r}, which is no number", fix=fix) from None


def _whole(name: str, text: str) -> int | None:
    number = _number(name, text)
    if number is not None and not number.is_integer():
        raise UsageError(f"{name} is {text!r}: it takes a whole number", fix="Correct it in Settings.")
    return None if number is None else int(number)


def messages(talk: Talk, system: str) -> list[dict[str, str]]:
    """The chat so far. Turns that got no answer are left out: many templates want the roles to alternate."""
    sent = [{"role": "system", "content": system}] if system.strip() else []
    for turn in talk:
        if turn.said or turn is talk[-1]:
            sent.append({"role": "user", "content": turn.asked})
        if turn.said:
            sent.append({"role": "assistant", "content": turn.said})
    return sent


def chat_body(model: str, talk: Talk, sampling: SamplingParams) -> dict[str, Any]:
    """The body for `/v1/chat/completions`."""
    return {
        "model": model,
        "messages": messages(talk, sampling.system),
        "stream": True,
        **sampling.sampling(),
    }


def completions_body(model: str, talk: Talk, sampling: SamplingParams) -> dict[str, Any]:
    """The body for `/v1/completions`: the same conversation as one text that the model goes on writing."""
    names = {"system": "", "user": "User: ", "assistant": "Assistant: "}
    lines = [names[message["role"]] + message["content"] for message in messages(talk, sampling.system)]
    prompt = "\n".join([*lines, "Assistant:"])
    return {"model": model, "prompt": prompt, "stop": ["\nUser:"], "stream": True, **sampling.sampling()}


def lacks_template(status: int, message: str) -> bool:
    """Whether the endpoint refused a chat because the model's tokenizer has no chat template."""
    return status == 400 and "chat template" in message.lower().replace("_", " ")


def shown(talk: Talk) -> list[dict[str, Any]]:
    """The conversation as the chat window takes it."""
    return [message for turn in talk for message in _shown(turn)]


def _shown(turn: Turn) -> list[dict[str, Any]]:
    thinking = {"title": "Thinking", "status": "done" if turn.said else "pending"}
    parts = [
        _message("user", turn.asked),
        _message("assistant", turn.thought) | {"metadata": thinking},
        _message("assistant", turn.said),
        _message("assistant", f"*{turn.note}*" if turn.note else ""),
        _message("assistant", _plain(turn.failed)),
    ]
    return [part for part in parts if part["content"]]


def _message(role: str, content: str) -> dict[str, Any]:
    return {"role": role, "content": content}


def _plain(failed: Finding | None) -> str:
    if failed is None:
        return ""
    head = f"⚠️ **{failed.what}**"
    rest = [part.replace("&", "&amp;").replace("<", "&lt;") for part in (failed.why, failed.fix) if part]
    return "\n\n".join([head, *rest])


def _thought(event: Mapping[str, Any]) -> str:
    """The new text of a reasoning model's thinking. vLLM says `reasoning`, others `reasoning_content`."""
    delta = (event.get("choices") or [{}])[0].get("delta") or {}
    text = delta.get("reasoning") or delta.get("reasoning_content")
    return text if isinstance(text, str) else ""
