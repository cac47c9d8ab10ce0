"""What vLLM looks at before it reads a body's fields; each is refused alone.

Source: vLLM 0.32 `entrypoints/openai/*/protocol.py`, the validators with `mode="before"`, which run from the last up.
"""

from collections.abc import Mapping
from typing import Any

from stoker.targets.simulated.fields import Fields
from stoker.targets.simulated.refusals import bad_request

_FORMATS = ("text", "json_object", "json_schema", "structural_tag")


def chat(body: Mapping[str, Any]) -> None:
    """Raises: Refused (400)."""
    if body.get("continue_final_message") and body.get("add_generation_prompt"):
        raise bad_request("Cannot set both `continue_final_message` and `add_generation_prompt` to True.")
    _tools(body)
    _logprobs(body, "top_logprobs")
    beside = body.get("top_logprobs")
    if beside is not None and (beside == -1 or beside > 0) and not body.get("logprobs"):
        raise bad_request("when using `top_logprobs`, `logprobs` must be set to true.", "top_logprobs")
    _stream_options(body)
    _schema(body)


def completion(body: Mapping[str, Any]) -> None:
    """Raises: Refused (400)."""
    if body.get("prompt") in (None, ""):
        raise bad_request("Either prompt or prompt_embeds must be provided and non-empty.", "prompt")
    _stream_options(body)
    _logprobs(body, "logprobs")
    _schema(body)


def tool_choice(body: Mapping[str, Any]) -> str | None:
    """The tool choice that an engine must support, in vLLM's words; None where no tool may be called."""
    choice = body.get("tool_choice", "auto" if body.get("tools") else "none")
    if choice in (None, "none", "auto"):
        return "auto" if choice == "auto" else None
    return f'function "{choice["function"]["name"]}"' if isinstance(choice, dict) else f'"{choice}"'


def response_format(fields: Fields) -> None:
    """Keeps what is wrong with a format of a type that nobody knows."""
    given = fields.body.get("response_format")
    if not isinstance(given, dict) or (kind := given.get("type")) in _FORMATS:
        return
    plain = "'text', 'json_object' or 'json_schema'"
    tag = "'structural_tag'"
    for expected, needs in ((plain, ()), (tag, ("format",)), (tag, ("structures", "triggers"))):
        text = f"Input should be {expected}"
        fields.wrong("literal_error", "response_format.type", text, kind, expected=expected)
        for need in needs:
            if need not in given:
                fields.wrong("missing", f"response_format.{need}", "Field required", given)


def _tools(body: Mapping[str, Any]) -> None:
    tools = body.get("tools")
    if tools == []:
        way = "Either provide at least one tool or omit the field entirely."
        raise bad_request(f"`tools` must not be an empty array. {way}", "tools")
    choice = body.get("tool_choice")
    if choice in (None, "none"):
        return
    if tools is None:
        raise bad_request("When using `tool_choice`, `tools` must be set.", "tool_choice")
    if choice not in ("auto", "required") and not isinstance(choice, dict):
        way = 'Only named tools, "none", "auto" or "required" are supported.'
        raise bad_request(f"Invalid value for `tool_choice`: {choice}! {way}", "tool_choice")
    if isinstance(choice, dict):
        _named_tool(choice, tools)


def _named_tool(choice: Mapping[str, Any], tools: Any) -> None:
    usage = 'Correct usage: `{"type": "function", "function": {"name": "my_function"}}`'
    function = choice.get("function")
    if not isinstance(function, dict):
        message = f"Invalid value for `function`: `{function}` in `tool_choice`! {usage}"
        raise bad_request(message, "tool_choice.function")
    if "name" not in function:
        message = f"Expected field `name` in `function` in `tool_choice`! {usage}"
        raise bad_request(message, "tool_choice.function.name")
    names = [tool.get("function", {}).get("name") for tool in tools if isinstance(tool, dict)]
    if function["name"] not in names:
        message = "The tool specified in `tool_choice` does not match any of the specified `tools`"
        raise bad_request(message, "tool_choice")


def _logprobs(body: Mapping[str, Any], name: str) -> None:
    if name not in body and "prompt_logprobs" not in body:
        return
    for field in ("prompt_logprobs", name):
        value = body.get(field)
        if value is not None and not isinstance(value, int | float):
            raise bad_request(f"`{field}` must be an integer.", field, value)
    prompt = body.get("prompt_logprobs")
    if prompt is not None and body.get("stream") and (prompt > 0 or prompt == -1):
        raise bad_request("`prompt_logprobs` are not available when `stream=True`.", "prompt_logprobs")
    for field in ("prompt_logprobs", name):
        value = body.get(field)
        if value is not None and value < 0 and value != -1:
            raise bad_request(f"`{field}` must be a positive value or -1.", field, value)


def _stream_options(body: Mapping[str, Any]) -> None:
    if body.get("stream_options") and not body.get("stream"):
        raise bad_request("Stream options can only be defined when `stream=True`.", "stream_options")


def _schema(body: Mapping[str, Any]) -> None:
    given = body.get("response_format")
    if isinstance(given, dict) and given.get("type") == "json_schema" and given.get("json_schema") is None:
        message = "When response_format type is 'json_schema', the 'json_schema' field must be provided."
        raise bad_request(message, "response_format")
