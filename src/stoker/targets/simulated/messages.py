"""A conversation's messages: the words in them, and what vLLM finds wrong with them.

vLLM reads each message as any of eight kinds, and tells of a wrong one what each kind misses.
Source: vLLM 0.32 `renderers/chat_utils.py`, openai `types/chat/`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stoker.targets.simulated import parts
from stoker.targets.simulated.fields import Fields
from stoker.targets.simulated.refusals import OBJECT, Problem, bad_request, missing, no_template, problem
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

    content_first: whether its content is looked at before its role; parts: whether that may be a list;
    may_say_nothing: whether it may be null.
    """

    name: str
    role: str | None
    needs: tuple[str, ...] = ("role",)
    content_first: bool = True
    parts: bool = True
    may_say_nothing: bool = False


_KINDS = (
    _Kind("ChatCompletionDeveloperMessageParam", "developer"),
    _Kind("ChatCompletionSystemMessageParam", "system"),
    _Kind("ChatCompletionUserMessageParam", "user"),
    _Kind("ChatCompletionAssistantMessageParam", "assistant", content_first=False, may_say_nothing=True),
    _Kind("ChatCompletionToolMessageParam", "tool", ("role", "tool_call_id")),
    _Kind(
        "ChatCompletionFunctionMessageParam", "function", ("name", "role"), parts=False, may_say_nothing=True
    ),
    _Kind("CustomChatCompletionMessageParam", None),
)
_LAST = "Message"


def check_list(fields: Fields) -> None:
    """Keeps in `fields` what is wrong with `messages`. Raises: Refused (400), where there are none."""
    messages = fields.body.get("messages")
    if "messages" not in fields.body:
        raise missing("messages", fields.body)
    if messages is None:
        raise bad_request("'NoneType' object is not iterable")
    if not isinstance(messages, list):
        fields.wrong("list_type", "messages", "Input should be a valid list", messages)
        return
    for number, message in enumerate(messages):
        place = f"body.messages.{number}"
        if not isinstance(message, dict):
            _no_object(fields, place, message)
        elif not isinstance(message.get("role"), str) or not _speakable(message):
            _no_kind(fields, place, message)


def _speakable(message: Mapping[str, Any]) -> bool:
    """Whether some kind takes the message's content; only an assistant or a function may say null."""
    content, role = message.get("content"), message["role"]
    if content is None and "content" in message:
        return role == "assistant" or (role == "function" and "name" in message)
    return isinstance(content, str | list | dict | None)


def _no_object(fields: Fields, place: str, message: Any) -> None:
    for kind in _KINDS:
        text = "Input should be a valid dictionary"
        fields.problems.append(problem("dict_type", f"{place}.{kind.name}", text, message))
    fields.problems.append(problem("model_attributes_type", f"{place}.{_LAST}", OBJECT, message))


def _no_kind(fields: Fields, place: str, message: Mapping[str, Any]) -> None:
    for kind in _KINDS:
        where = f"{place}.{kind.name}"
        content, needs = _content(kind, where, message), _needs(kind, where, message)
        fields.problems += [*content, *needs] if kind.content_first else [*needs, *content]
    where = f"{place}.{_LAST}"
    fields.problems.append(problem("missing", f"{where}.author", "Field required", message))
    if "content" not in message:
        fields.problems.append(problem("missing", f"{where}.content", "Field required", message))
    elif not isinstance(message["content"], list):
        text = "Input should be a valid list"
        fields.problems.append(problem("list_type", f"{where}.content", text, message["content"]))


def _content(kind: _Kind, where: str, message: Mapping[str, Any]) -> list[Problem]:
    content = message.get("content", "")
    if isinstance(content, str | list | dict) or (content is None and kind.may_say_nothing):
        return []
    found = [
        problem("string_type", f"{where}.content", "Input should be a valid string", content),
        problem("iterable_type", f"{where}.content", "Input should be iterable", content),
    ]
    return found if kind.parts else found[:1]


def _needs(kind: _Kind, where: str, message: Mapping[str, Any]) -> list[Problem]:
    found = []
    for need in kind.needs:
        given = message.get(need)
        if need not in message:
            found.append(problem("missing", f"{where}.{need}", "Field required", message))
        elif need == "role" and kind.role is None and not isinstance(given, str):
            found.append(problem("string_type", f"{where}.role", "Input should be a valid string", given))
        elif need == "role" and kind.role not in (None, given):
            expected = f"'{kind.role}'"
            text = f"Input should be {expected}"
            found.append(problem("literal_error", f"{where}.role", text, given, expected=expected))
    return found


def prompt_of(messages: list[Any], before: str = "", name: str = "", *, template: bool = True) -> Prompt:
    """The words of a conversation. `before` is a system text outside it, `name` the model's.

    Raises: Refused (400), for images and sounds, where nothing is said, or where the model has no template.
    """
    words = list(before.split())
    last: Words = ()
    for item in messages:
        parts.check(item.get("content"), name)
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
