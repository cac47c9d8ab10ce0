"""A replica's first requests, before it takes anybody else's: what a fresh engine does once, it does then.

The first request is slow on a GPU, and the first of some kinds lets every other stream stand still (`features`); a new
replica is asked for a plain answer, and for what the fleet's clients have asked for before.
"""

import asyncio
import json
from collections.abc import Collection
from typing import Any

from stoker.system.upstream import Collector, Headers, Pool, fetch, request_bytes

ASK_SECONDS = 600.0  # a hang here is a start that does not end; the deadline of `up` tells
_EXTRA: dict[str, dict[str, Any]] = {
    "logprobs": {"logprobs": True, "top_logprobs": 1},
    "prompt_logprobs": {"prompt_logprobs": 1},
    "json_schema": {"response_format": {"type": "json_schema", "json_schema": {
        "name": "warm", "schema": {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}}}},
}  # fmt: skip


async def warm(pool: Pool, key: str | None, asked: Collection[str]) -> None:
    """Sends each and waits for its end. What an engine refuses needs no warmth. Raises: OSError, TimeoutError."""
    headers: Headers = [(b"host", pool.host_header), (b"content-type", b"application/json")]
    if key:
        headers.append((b"authorization", b"Bearer " + key.encode()))
    model = await _model(pool, headers)
    if model is None:
        return
    status = await _ask(pool, headers, b"/v1/chat/completions", _chat(model))
    if status in (400, 404):  # no chat template, or no chat model
        status = await _ask(
            pool, headers, b"/v1/completions", {"model": model, "prompt": "Hi", "max_tokens": 2}
        )
    if status != 200:
        return
    for name in sorted(asked):
        await _ask(pool, headers, b"/v1/chat/completions", {**_chat(model), **_EXTRA.get(name, {})})


def _chat(model: str) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2, "stream": True}


async def _model(pool: Pool, headers: Headers) -> str | None:
    status, body = await fetch(pool, b"/v1/models", headers[1:], 10.0)
    if status != 200:
        return None
    return str(json.loads(body)["data"][0]["id"])


async def _ask(pool: Pool, headers: Headers, target: bytes, body: dict[str, Any]) -> int:
    connection = await pool.connection()
    sink = Collector()
    connection.send(request_bytes("POST", target, headers, json.dumps(body).encode()), sink)
    try:
        async with asyncio.timeout(ASK_SECONDS):
            await sink.body()
    except (TimeoutError, asyncio.CancelledError):
        connection.cancel()
        raise
    return sink.status
