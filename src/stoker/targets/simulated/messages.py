"""A conversation's messages: the words in them, and what vLLM finds wrong with them.

vLLM reads each message as any of eight kinds, and tells of a wrong one what each kind misses.
Source: vLLM 0.32 `renderers/chat_utils.py`, openai `types/chat/`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stoker.targets.simulated.fields import Fields
from stoker.targets.simulated.refusals import bad_request, invalid, missing, no_template, problem
from stoker.targets.simulated.words import content_text

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Prompt:
    """The words that are read, and those that the answer repeats (a chat's last user message)."""

    words: Words
    repeated: Words


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of message: its role (none: any) and what it needs.

    content_first: whether its content is looked at before its role; parts: whether that may be a list.
    """

    name: str
    role: str | None
    needs: tuple[str, ...] = ("role",)
    content_first: bool = True
    parts: bool = True


_KINDS = (
    _Kind("ChatCompletionDeveloperMessageParam", "developer"),
    _Kind("ChatCompletionSystemMessageParam", "system"),
    _Kind("ChatCompletionUserMessageParam", "user"),
    _Kind("ChatCompletionAssistantMessageParam", "assistant", content_first=False),
    _Kind("ChatCompletionToolMessageParam", "tool", ("role", "tool_call_id")),
    _Kind("ChatCompletionFunctionMessageParam", "function", ("name", "role"), parts=False),
    _Kind("CustomChatCompletionMessageParam", None),
)
_LAST = "Message"
_OBJECT = "Input should be a valid dictionary or object to extract fields from"


def check_list(fields: Fields) -> None:
    """Keeps in `fields` what is wrong with `messages`. Raises: Refused (400), where there are none."""
    messages = fields.body.get("messages")
    if "messages" not in fields.body:
        raise missing("messages", fields.body)
    if not isinstance(messages, list):
        fields.wrong("list_type", "messages", "Input should be a valid list", messages)
        return
    for number, message in enumerate(messages):
        place = f"body.messages.{number}"
        if not isinstance(message, dict):
            _no_object(fields, place, message)
        elif not isinstance(message.get("role"), str):
            _no_role(fields, place, message)
        elif not isinstance(message.get("content"), str | list | None):
            _no_content(fields, place, message)


def _no_object(fields: Fields, place: str, message: Any) -> None:
    for kind in _KINDS:
        text = "Input should be a valid dictionary"
        fields.problems.append(problem("dict_type", f"{place}.{kind.name}", text, message))
    fields.problems.append(problem("model_attributes_type", f"{place}.{_LAST}", _OBJECT, message))


def _no_role(fields: Fields, place: str, message: Mapping[str, Any]) -> None:
    for kind in _KINDS:
        for need in kind.needs:
            if need not in message:
                where = f"{place}.{kind.name}.{need}"
                fields.problems.append(problem("missing", where, "Field required", message))
    for need in ("author", "content"):
        where = f"{place}.{_LAST}.{need}"
        fields.problems.append(problem("missing", where, "Field required", message))


def _no_content(fields: Fields, place: str, message: Mapping[str, Any]) -> None:
    for kind in _KINDS:
        where, role = f"{place}.{kind.name}", kind.role
        content = [
            problem("string_type", f"{where}.content", "Input should be a valid string", message["content"]),
            problem("iterable_type", f"{where}.content", "Input should be iterable", message["content"]),
        ][: 2 if kind.parts else 1]
        odd = [] if role in (None, message["role"]) else [_other_role(where, str(role), message["role"])]
        fields.problems += [*content, *odd] if kind.content_first else [*odd, *content]
        fields.problems += [
            problem("missing", f"{where}.{need}", "Field required", message)
            for need in kind.needs
            if need not in message
        ]
    fields.problems += [
        problem("missing", f"{place}.{_LAST}.author", "Field required", message),
        problem("list_type", f"{place}.{_LAST}.content", "Input should be a valid list", message["content"]),
    ]


def _other_role(where: str, role: str, given: str) -> dict[str, Any]:
    text = f"Input should be '{role}'"
    return problem("literal_error", f"{where}.role", text, given, expected=f"'{role}'")


def prompt_of(messages: list[Any], before: str = "", name: str = "", *, template: bool = True) -> Prompt:
    """The words of a conversation. `before` is a system text outside it, `name` the model's.

    Raises: Refused (400), for images and sounds, where nothing is said, or where the model has no template.
    """
    words = list(before.split())
    last: Words = ()
    for item in messages:
        if any(isinstance(part, dict) and "_url" in str(part.get("type")) for part in _parts(item)):
            raise bad_request(f"{name} is not a multimodal model")
        spoken = tuple(content_text(item.get("content")).split())
        words += spoken
        last = spoken if item.get("role", "user") == "user" else last
    if not template:
        raise no_template()
    if not messages:
        raise bad_request(
            "Cannot apply chat template to an empty conversation. Provide at least one message."
        )
    return Prompt(tuple(words), last)


def _parts(message: Any) -> list[Any]:
    if not isinstance(message, dict):
        raise invalid([problem("dict_type", "body.messages", "Input should be a valid dictionary", message)])
    content = message.get("content")
    return content if isinstance(content, list) else []
