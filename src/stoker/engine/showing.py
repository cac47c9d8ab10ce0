"""What the events of a stream show its client: where a request may still be sent to another replica.

Source: vLLM 0.32 `entrypoints/openai/{chat_completion,completion,responses}/serving.py` and
`entrypoints/anthropic/serving.py`. /v1/responses sends its first two events before anything is computed.
"""

import json
import re
from enum import Enum
from typing import Any

OPENINGS = frozenset(
    {
        "response.created",
        "response.in_progress",
        "response.queued",
        "response.output_item.added",
        "response.content_part.added",
        "response.reasoning_part.added",
        "response.reasoning_summary_part.added",
        "message_start",
        "content_block_start",
        "ping",
    }
)
_SERVER_ERRORS = frozenset(
    {"internal_error", "api_error", "overloaded_error", "server_error", "InternalServerError"}
)
_TEXT = re.compile(rb'"delta":\s?\{"(?:content|reasoning)":\s?"[^"]')  # sure, and cheaper than to read it all


class Shows(Enum):
    """Nothing of the answer yet; some of it, or its end; or that the engine failed."""

    NOTHING = 1
    CONTENT = 2
    FAILURE = 3


def shows(events: bytes) -> Shows:
    """What whole events show: the first that shows anything decides. Comments show nothing, unknown forms
    do."""
    if b'"error"' not in events and _TEXT.search(events):
        return Shows.CONTENT
    for event in events.replace(b"\r\n", b"\n").split(b"\n\n"):
        data = event[5:] if event.startswith(b"data:") and b"\n" not in event else _data(event)
        if data and (verdict := _of(data)) is not Shows.NOTHING:
            return verdict
    return Shows.NOTHING


def _data(event: bytes) -> bytes:
    return b"\n".join([line[5:] for line in event.split(b"\n") if line.startswith(b"data:")])


def _of(data: bytes) -> Shows:
    try:
        body = json.loads(data.decode())
    except (ValueError, RecursionError):
        return Shows.CONTENT
    if not isinstance(body, dict):
        return Shows.CONTENT
    choices = body.get("choices")
    if isinstance(choices, list) and "error" not in body:
        return Shows.CONTENT if any(map(_choice_shows, choices)) else Shows.NOTHING
    if body.get("type") in OPENINGS:
        return Shows.NOTHING
    error = _error(body)
    return Shows.FAILURE if error is not None and _servers_fault(error) else Shows.CONTENT


def _error(body: dict[str, Any]) -> Any:
    """The error that an event tells of: under `error`, under a failed response, or the event itself."""
    kind = body.get("type")
    if kind == "response.failed":
        response = body.get("response")
        return (response.get("error") if isinstance(response, dict) else None) or {}
    return body.get("error") or (body if kind == "error" else None)


def _servers_fault(error: Any) -> bool:
    if not isinstance(error, dict):
        return False
    code = error.get("code")
    if isinstance(code, int):
        return code >= 500
    return code in _SERVER_ERRORS or error.get("type") in _SERVER_ERRORS


def _choice_shows(choice: Any) -> bool:
    """Whether a choice holds more than a role and empty text."""
    if (
        not isinstance(choice, dict)
        or choice.get("finish_reason")
        or choice.get("text")
        or choice.get("token_ids")
    ):
        return True
    delta = choice.get("delta")
    return isinstance(delta, dict) and any(value for key, value in delta.items() if key != "role")
