"""What a request asks for on /v1/responses and /v1/messages: their bodies, read into the same noun.

Source: vLLM 0.32 `entrypoints/openai/responses/`, `entrypoints/anthropic/protocol.py`.
"""

from collections.abc import Mapping
from typing import Any

from stoker.engine.openai import error_body
from stoker.targets.simulated.fields import Fields
from stoker.targets.simulated.refusals import OBJECT, Refused, bad_request, missing, no_response, problem
from stoker.targets.simulated.requests import Request, ask
from stoker.targets.simulated.words import content_text

_ROLES = ("user", "assistant", "system")
_NO_STORE = (
    "This vLLM engine does not support `store=True` and therefore does not support the background mode. To "
    "enable these "
    "features, set the environment variable `VLLM_ENABLE_RESPONSES_API_STORE=1` when launching the vLLM "
    "server."
)


def response(body: Mapping[str, Any]) -> Request:
    """Reads the body of /v1/responses; no answer is kept. Raises: Refused (400, 404)."""
    if "input" not in body:
        raise missing("input", {**body, "tool_choice": "none"})
    if body.get("background") and body.get("store") is False:
        raise bad_request("background can only be used when `store` is true", "background")
    given = body["input"]
    fields = Fields({**body, "logprobs": None})
    if not isinstance(given, str | list):
        fields.wrong("string_type", "input", "Input should be a valid string", given)
        fields.wrong("list_type", "input", "Input should be a valid list", given)
    said = [{"role": "user", "content": given}] if isinstance(given, str) else given
    limit = fields.whole("max_output_tokens")
    found = ask(
        fields,
        source=[item for item in said if isinstance(item, dict)] if isinstance(said, list) else [],
        system=content_text(body.get("instructions")),
        limit=limit,
        limit_field="max_output_tokens",
    )
    if body.get("background"):
        raise Refused(400, error_body(_NO_STORE, "invalid_request_error", 400, "background"))
    if (earlier := body.get("previous_response_id")) is not None:
        raise no_response(str(earlier))
    return found


def message(body: Mapping[str, Any]) -> Request:
    """Reads the body of /v1/messages. Raises: Refused (400)."""
    fields = Fields({**body, "stop": body["stop_sequences"]} if "stop_sequences" in body else body)
    check_messages(fields)
    if "max_tokens" not in body:
        raise missing("max_tokens", body)
    limit = fields.whole("max_tokens", nullable=False)
    if limit is not None and limit <= 0:
        wrong = "max_tokens must be positive"
        fields.wrong("value_error", "max_tokens", f"Value error, {wrong}", limit, error=ValueError(wrong))
    return ask(
        fields,
        source=body["messages"],
        system=content_text(body.get("system")),
        limit=limit,
        limit_field="max_completion_tokens",
    )


def check_messages(fields: Fields) -> None:
    """Keeps what is wrong with a conversation in Anthropic's form. Raises: Refused (400), where there is
    none."""
    body = fields.body
    if body.get("model", "") is None:
        fields.wrong("string_type", "model", "Input should be a valid string", None)
    if "messages" not in body:
        raise missing("messages", body)
    if not isinstance(body["messages"], list):
        fields.wrong("list_type", "messages", "Input should be a valid list", body["messages"])
        return
    for number, item in enumerate(body["messages"]):
        place = f"body.messages.{number}"
        if not isinstance(item, dict):
            fields.problems.append(problem("model_attributes_type", place, OBJECT, item))
            continue
        if item.get("role") not in _ROLES:
            fields.problems.append(_role(place, item))
        if "content" not in item:
            fields.problems.append(problem("missing", f"{place}.content", "Field required", item))


def _role(place: str, item: Mapping[str, Any]) -> dict[str, Any]:
    if "role" not in item:
        return problem("missing", f"{place}.role", "Field required", item)
    expected = "'user', 'assistant' or 'system'"
    text = f"Input should be {expected}"
    return problem("literal_error", f"{place}.role", text, item["role"], expected=expected)
