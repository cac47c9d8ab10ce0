"""What vLLM looks at before it reads a body's fields; each is refused alone.

Source: vLLM 0.32 `entrypoints/openai/*/protocol.py`, the validators with `mode="before"`, which run from the
last up.
"""

from collections.abc import Mapping
from typing import Any

from stoker.targets.simulated.fields import Fields
from stoker.targets.simulated.refusals import OBJECT, bad_request

_MOST_PROMPTS = 1024  # vLLM's VLLM_MAX_COMPLETION_PROMPTS
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_OTHERS = frozenset({"user", "priority", "truncate_prompt_tokens", "reasoning_effort"})
_CONSTRAINTS = ("json", "regex", "choice", "grammar", "json_object")
_SWITCHES = ("disable_any_whitespace", "disable_additional_properties")
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
    _constraint(body)


def completion(body: Mapping[str, Any]) -> None:
    """Raises: Refused (400)."""
    given = body.get("prompt")
    if isinstance(given, list) and len(given) > _MOST_PROMPTS and not all(type(one) is int for one in given):
        way = "To increase this limit, set the VLLM_MAX_COMPLETION_PROMPTS environment variable."
        message = (
            f"prompt list length {len(given)} exceeds the maximum allowed count of {_MOST_PROMPTS}. {way}"
        )
        raise bad_request(message, "prompt")
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
    if given is None or (isinstance(given, dict) and given.get("type") in _FORMATS):
        return
    plain = "'text', 'json_object' or 'json_schema'"
    tag = "'structural_tag'"
    for expected, needs in ((plain, ()), (tag, ("format",)), (tag, ("structures", "triggers"))):
        if not isinstance(given, dict):
            fields.wrong("model_attributes_type", "response_format", OBJECT, given)
            continue
        if "type" not in given:
            fields.wrong("missing", "response_format.type", "Field required", given)
        else:
            text = f"Input should be {expected}"
            fields.wrong("literal_error", "response_format.type", text, given["type"], expected=expected)
        for need in needs:
            if need not in given:
                fields.wrong("missing", f"response_format.{need}", "Field required", given)


def tools(fields: Fields) -> None:
    """Keeps what is wrong with the tools that may be called."""
    given = fields.body.get("tools")
    if given is not None and not isinstance(given, list):
        fields.wrong("list_type", "tools", "Input should be a valid list", given)
    for number, tool in enumerate(given if isinstance(given, list) else ()):
        place = f"tools.{number}"
        if not isinstance(tool, dict):
            fields.wrong("model_attributes_type", place, OBJECT, tool)
        elif "function" not in tool:
            fields.wrong("missing", f"{place}.function", "Field required", tool)
        elif not isinstance(tool["function"], dict):
            fields.wrong("model_attributes_type", f"{place}.function", OBJECT, tool["function"])
        elif "name" not in tool["function"]:
            fields.wrong("missing", f"{place}.function.name", "Field required", tool["function"])


def others(fields: Fields) -> None:
    """Keeps what is wrong with fields that change nothing here."""
    if _OTHERS.isdisjoint(fields.body):
        return
    fields.text("user")
    fields.bounded("priority", -(2**63), 2**63 - 1)
    fields.bounded("truncate_prompt_tokens", -1, 2**63 - 1)
    effort = fields.body.get("reasoning_effort")
    if effort is not None and effort not in _EFFORTS:
        expected = f"{', '.join(map(repr, _EFFORTS[:-1]))} or {_EFFORTS[-1]!r}"
        text = f"Input should be {expected}"
        fields.wrong("literal_error", "reasoning_effort", text, effort, expected=expected)


def _tools(body: Mapping[str, Any]) -> None:
    tools = body.get("tools")
    if tools == []:
        way = "Either provide at least one tool or omit the field entirely."
        raise bad_request(f"`tools` must not be an empty array. {way}", "tools")
    choice = body.get("tool_choice")
    if choice in (None, "none") or not isinstance(tools, list | None):
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


def _constraint(body: Mapping[str, Any]) -> None:
    given = body.get("structured_outputs")
    if isinstance(given, dict):
        if sum(given.get(kind) is not None for kind in _CONSTRAINTS[:3]) > 1:
            kinds = "('json', 'regex' or 'choice')"
            raise bad_request(f"You can only use one kind of constraints for structured outputs {kinds}.")
        if all(given.get(kind) is None for kind in (*_CONSTRAINTS, "structural_tag")):
            unset = dict.fromkeys(_CONSTRAINTS) | dict.fromkeys(_SWITCHES, False)
            unset |= {"whitespace_pattern": None, "structural_tag": None, "_backend": None}
            why = f"but none are specified: {unset | {'_backend_was_auto': False}}"
            raise bad_request(f"You must use one kind of structured outputs constraint {why}")
    salt = body.get("cache_salt", "unsaid")
    if salt is not None and (not isinstance(salt, str) or not salt):
        raise bad_request("Parameter 'cache_salt' must be a non-empty string if provided.", "cache_salt")


def _schema(body: Mapping[str, Any]) -> None:
    given = body.get("response_format")
    if isinstance(given, dict) and given.get("type") == "json_schema" and given.get("json_schema") is None:
        message = "When response_format type is 'json_schema', the 'json_schema' field must be provided."
        raise bad_request(message, "response_format")
