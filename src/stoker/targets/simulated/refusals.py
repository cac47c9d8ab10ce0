"""The ways in which vLLM refuses a request, with its status codes and error bodies.

Source: vLLM 0.32 `entrypoints/serve/exception_handling/`, `entrypoints/openai/models/`, `renderers/`.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from stoker.engine.openai import error_body


class Refused(Exception):
    """A request that gets an error answer instead of a result."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


def plain(status: HTTPStatus) -> Refused:
    """What the web framework says by itself: 404 for an unknown path, 405 for a wrong method."""
    return Refused(status, error_body(status.phrase, status.phrase, status))


def bad_request(message: str, param: str | None = None) -> Refused:
    """A value that vLLM itself finds wrong."""
    return Refused(400, error_body(message, "BadRequestError", 400, param))


def no_template() -> Refused:
    """A conversation for a model that has no chat template."""
    return bad_request(
        "As of transformers v4.44, default chat template is no longer allowed, so you must provide a chat template if "
        "the tokenizer does not define one."
    )


def invalid(kind: str, field: str, text: str, value: Any) -> Refused:
    """A body that does not fit the route's schema, in the words of pydantic as vLLM hands them on."""
    shown = f"<{type(value).__name__} of {len(value)} items>" if isinstance(value, list | dict) else value
    error = {"type": kind, "loc": f"body.{field}", "msg": text, "input": shown}
    return Refused(400, error_body(f"1 validation error:\n  {error}", "Bad Request", 400, f"body.{field}"))


def missing(field: str, body: Mapping[str, Any]) -> Refused:
    """A field that the route needs."""
    return invalid("missing", field, "Field required", dict(body))


def no_json(position: int, why: str) -> Refused:
    """A body that is no JSON."""
    error = {
        "type": "json_invalid",
        "loc": f"body.{position}",
        "msg": "JSON decode error",
        "ctx": {"error": why},
    }
    return Refused(400, error_body(f"1 validation error:\n  {error}", "Bad Request", 400, f"body.{position}"))


def wrong_type() -> Refused:
    """A body that does not say that it is JSON."""
    message = "1 validation error:\n  Unsupported Media Type: Only 'application/json' is allowed"
    return Refused(400, error_body(message, "Bad Request", 400))


def no_model(name: str) -> Refused:
    """A model that is not served here."""
    return Refused(404, error_body(f"The model `{name}` does not exist.", "NotFoundError", 404, "model"))


def prompt_too_long(length: int, limit: int) -> Refused:
    """A prompt that leaves no room in the context."""
    message = (
        f"This model's maximum context length is {limit} tokens. However, your prompt contains {length} "
        "input tokens, which exceeds this limit even without any output tokens. "
        "Please reduce the length of the input prompt."
    )
    return bad_request(message, "input_tokens")


def answer_too_long(asked: int, limit: int) -> Refused:
    """More output than the context holds, even for an empty prompt."""
    message = f"max_tokens={asked} cannot be greater than max_model_len={limit}."
    return bad_request(f"{message} Please request fewer output tokens.", "max_tokens")


def unauthorized() -> Refused:
    """The one error that is no OpenAI error object."""
    return Refused(401, {"error": "Unauthorized"})


def failing(status: int) -> Refused:
    """The simulated failure."""
    return Refused(status, error_body("simulated failure", "InternalServerError", status))
