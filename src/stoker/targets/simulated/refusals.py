"""The ways in which vLLM refuses a request, with its status codes and error bodies.

Source: vLLM 0.32 `entrypoints/serve/exception_handling/`, `exceptions.py`, `entrypoints/openai/models/`; the
texts are compared with recorded ones (`tests/data/answers`).
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from stoker.engine.openai import error_body

DEAD = "EngineCore encountered an issue. See stack trace (above) for the root cause."
OBJECT = "Input should be a valid dictionary or object to extract fields from"
_MOST_REPORTED = 10
_MOST_CHARACTERS = 200
_UNSAID = object()

Problem = dict[str, Any]
Headers = list[tuple[bytes, bytes]]


class Refused(Exception):
    """A request that gets an error answer instead of a result."""

    def __init__(self, status: int, body: Mapping[str, Any], headers: Headers | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = headers or []


def plain(status: HTTPStatus, headers: Headers | None = None) -> Refused:
    """What the web framework says by itself: 404 for an unknown path, 405 for a wrong method."""
    return Refused(status, {"detail": status.phrase}, headers)


def no_text() -> Refused:
    """A body that is no UTF-8."""
    return Refused(400, {"detail": "There was an error parsing the body"})


def bad_request(message: str, param: str | None = None, value: Any = _UNSAID) -> Refused:
    """A value that vLLM itself finds wrong; the message ends with the field and, where told, its value."""
    told = [] if param is None else [f"parameter={param}"]
    told += [] if value is _UNSAID else [f"value={value}"]
    words = f"{message} ({', '.join(told)})" if told else message
    return Refused(400, error_body(words, "BadRequestError", 400, param))


def no_template() -> Refused:
    """A conversation for a model that has no chat template."""
    return bad_request(
        "As of transformers v4.44, default chat template is no longer allowed, so you must provide a chat "
        "template if "
        "the tokenizer does not define one."
    )


def problem(kind: str, place: str, text: str, value: Any, **context: Any) -> Problem:
    """One thing that is wrong with a body, in pydantic's words; `place` is `body.FIELD`."""
    found = {"type": kind, "loc": place, "msg": text, "input": _shown(value)}
    return {**found, "ctx": context} if context else found


def invalid(problems: Iterable[Problem]) -> Refused:
    """A body that does not fit the route's schema: at most ten problems are told."""
    found = list(problems)
    label = "error" if len(found) == 1 else "errors"
    lines = [f"{len(found)} validation {label}:", *(f"  {item}" for item in found[:_MOST_REPORTED])]
    if len(found) > _MOST_REPORTED:
        lines.append(f"  ...and {len(found) - _MOST_REPORTED} more {label}")
    return Refused(400, error_body("\n".join(lines), "Bad Request", 400, found[0]["loc"]))


def _shown(value: Any) -> str:
    if isinstance(value, list | dict):
        return f"<{type(value).__name__} of {len(value)} items>"
    text = str(value)
    return text if len(text) <= _MOST_CHARACTERS else text[:_MOST_CHARACTERS] + "...[truncated]"


def missing(field: str, body: Mapping[str, Any]) -> Refused:
    """A field that the route needs."""
    return invalid([problem("missing", f"body.{field}", "Field required", dict(body))])


def no_json(position: int, why: str) -> Refused:
    """A body that is no JSON."""
    return invalid([problem("json_invalid", f"body.{position}", "JSON decode error", {}, error=why)])


def no_object(body: Any) -> Refused:
    """A body that is JSON but no object; none at all reads as null."""
    if body is None:
        return invalid([problem("missing", "body", "Field required", None)])
    return invalid([problem("model_attributes_type", "body", OBJECT, body)])


def wrong_type() -> Refused:
    """A body that does not say that it is JSON."""
    message = "1 validation error:\n  Unsupported Media Type: Only 'application/json' is allowed"
    return Refused(400, error_body(message, "Bad Request", 400))


def no_model(name: str, served: Iterable[str]) -> Refused:
    """A model that is not served here."""
    message = f"The model `{name}` does not exist. Valid aliases: {', '.join(served)}."
    return Refused(404, error_body(message, "NotFoundError", 404, "model"))


def no_response(name: str) -> Refused:
    """An answer of /v1/responses that is not kept; none is."""
    message = f"Response with id '{name}' not found."
    return Refused(404, error_body(message, "invalid_request_error", 404, "response_id"))


def no_scale_out() -> Refused:
    """A route that vLLM has only with --enable-scale-out."""
    message = "Scale-out endpoints are disabled. Restart vllm serve with --enable-scale-out to enable them."
    return Refused(403, error_body(message, "PermissionDeniedError", 403))


def prompt_too_long(limit: int) -> Refused:
    """A prompt that is longer than the context; it is read no further than one token beyond it."""
    message = (
        f"This model's maximum context length is {limit} tokens. However, your prompt contains at least "
        f"{limit + 1} "
        "input tokens, which exceeds this limit even without any output tokens. "
        "Please reduce the length of the input prompt."
    )
    return bad_request(message, "input_tokens", limit + 1)


def answer_too_long(field: str, asked: int, limit: int) -> Refused:
    """More output than the context holds, even for an empty prompt."""
    message = f"{field}={asked} cannot be greater than max_model_len={limit}."
    return bad_request(f"{message} Please request fewer output tokens.", field, asked)


def unauthorized() -> Refused:
    """The one error that is no OpenAI error object."""
    return Refused(401, {"error": "Unauthorized"})


def dead() -> Refused:
    """What everybody is told once the engine's core has died."""
    return Refused(500, error_body(DEAD, "InternalServerError", 500))


def failing(status: int) -> Refused:
    """The simulated failure."""
    return Refused(status, error_body("simulated failure", "InternalServerError", status))
