"""A replica's first requests, before it takes anybody else's: what a fresh engine does once, it does then.

The first request is slow on a GPU, and the first of some kinds lets every other stream stand still
(`features`); a new replica is asked for a plain answer under every name that it serves, and for what the
fleet's clients have asked for before.
"""

import asyncio
import json
from collections.abc import Collection
from typing import Any

from stoker.system.pool import Collector, Pool, fetch
from stoker.system.upstream import Headers, request_bytes

NAMES_SECONDS = 10.0
_SCHEMA = {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}
_EXTRA: dict[str, dict[str, dict[str, Any]]] = {  # by route
    "/v1/chat/completions": {
        "logprobs": {"logprobs": True, "top_logprobs": 1},
        "prompt_logprobs": {"prompt_logprobs": 1, "stream": False},
        "json_schema": {
            "response_format": {"type": "json_schema", "json_schema": {"name": "warm", "schema": _SCHEMA}}
        },
    },
    "/v1/completions": {
        "logprobs": {"logprobs": 1},
        "prompt_logprobs": {"prompt_logprobs": 1, "stream": False},
        "json_schema": {"structured_outputs": {"json": _SCHEMA}},
    },
}
_PLAIN: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 2,
        "stream": True,
    },
    "/v1/completions": {"prompt": "Hi", "max_tokens": 2, "stream": True},
    "/v1/embeddings": {"input": "Hi"},
    "/pooling": {"input": "Hi"},
    "/classify": {"input": "Hi"},
    "/v1/score": {"text_1": "Hi", "text_2": "Hi"},
}


async def warm(pool: Pool, key: str | None, asked: Collection[str], seconds: float) -> None:
    """Sends each and waits for its end. What an engine refuses needs no warmth. Raises: OSError, TimeoutError
    after `seconds` without an answer to one of them.
    """
    for name in await _names(pool, key):
        route = await _first(pool, key, name, seconds)
        for one in sorted(asked):
            if route in _EXTRA and one in _EXTRA[route]:
                await _ask(pool, key, route, {"model": name, **_PLAIN[route], **_EXTRA[route][one]}, seconds)


async def canary(pool: Pool, key: str | None, seconds: float) -> None:
    """One token, under the first name. Raises: OSError, TimeoutError."""
    for name in (await _names(pool, key))[:1]:
        await _first(pool, key, name, seconds)


async def _first(pool: Pool, key: str | None, name: str, seconds: float) -> str | None:
    """The route that answers under a name; None where none does."""
    for route, body in _PLAIN.items():
        if await _ask(pool, key, route, {"model": name, **body}, seconds) == 200:
            return route
    return None


async def _names(pool: Pool, key: str | None) -> list[str]:
    status, body = await fetch(pool, b"/v1/models", _headers(pool, key)[1:], NAMES_SECONDS)
    return [str(one["id"]) for one in json.loads(body)["data"]] if status == 200 else []


def _headers(pool: Pool, key: str | None) -> Headers:
    headers = [(b"host", pool.host_header), (b"content-type", b"application/json")]
    return headers + ([(b"authorization", b"Bearer " + key.encode())] if key else [])


async def _ask(pool: Pool, key: str | None, route: str, body: dict[str, Any], seconds: float) -> int:
    connection = await pool.connection()
    sink = Collector()
    connection.send(
        request_bytes("POST", route.encode(), _headers(pool, key), json.dumps(body).encode()), sink
    )
    try:
        async with asyncio.timeout(seconds):
            await sink.body()
    except (TimeoutError, asyncio.CancelledError):
        connection.cancel()
        raise
    return sink.status
