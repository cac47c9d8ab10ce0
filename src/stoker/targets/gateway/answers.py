"""What the gateway says in its own words: errors in the shapes that each API's clients read."""

import json

JSON = [(b"content-type", b"application/json")]
_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
}
_ANTHROPIC = {**_TYPES, 413: "request_too_large", 503: "overloaded_error"}


def error(status: int, message: str, path: str = "") -> bytes:
    """An error object: Anthropic's shape for `/v1/messages`, OpenAI's for everything else."""
    if path.startswith("/v1/messages"):
        kind = _ANTHROPIC.get(status, "invalid_request_error" if status < 500 else "api_error")
        return json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": status}}).encode()


def cut(message: str, path: str) -> bytes:
    """The last events of a stream that lost its replica: an error, then the end where the API has one."""
    body = error(502, message, path)
    if path.startswith("/v1/messages"):
        return b"event: error\ndata: %b\n\n" % body
    if path.startswith("/v1/responses"):
        event = json.dumps({"type": "error", "code": "server_error", "message": message, "param": None})
        return b"event: error\ndata: %b\n\n" % event.encode()
    return b"data: %b\n\ndata: [DONE]\n\n" % body
