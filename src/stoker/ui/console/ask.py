"""Asking the endpoint from the page: pieces of an answer, and errors as sentences."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2

from stoker.engine.openai import SseReader, delta_text, error_message
from stoker.ui.console.settings import Settings

NO_TEMPLATE = "(This model has no chat template: it continues your text as it stands.)\n\n"


class Refused(Exception):
    """The endpoint's own words about why it does not answer."""


async def answer(settings: Settings, messages: list[dict[str, str]], params: dict[str, Any]) -> AsyncIterator[str]:
    """Pieces of the answer. Raises: Refused. Closing the iterator closes the stream, and the engine stops."""
    try:
        async for piece in _stream(settings, "/v1/chat/completions", {"messages": messages, **params}):
            yield piece
    except Refused as refused:
        if "chat template" not in str(refused):
            raise
        prompt = "\n".join(message["content"] for message in messages)
        yield NO_TEMPLATE
        async for piece in _stream(settings, "/v1/completions", {"prompt": prompt, **params}):
            yield piece


async def _stream(settings: Settings, path: str, body: dict[str, Any]) -> AsyncIterator[str]:
    body = {"model": settings.model, "stream": True, **body}
    reader = SseReader()
    try:
        async with (
            httpx2.AsyncClient(timeout=httpx2.Timeout(None, connect=5.0)) as client,
            client.stream("POST", settings.endpoint + path, json=body, headers=settings.headers) as response,
        ):
            if response.status_code != 200:
                raise Refused(_words(response.status_code, await response.aread()))
            async for chunk in response.aiter_bytes():
                for event in reader.feed(chunk):
                    if event.done:
                        return
                    data = event.json()
                    if "error" in data:
                        raise Refused(error_message(data) or "the stream ended with an error")
                    if piece := delta_text(data):
                        yield piece
    except httpx2.TransportError as error:
        raise Refused(f"The endpoint does not answer: {error or type(error).__name__}") from None


def _words(status: int, body: bytes) -> str:
    try:
        said = error_message(json.loads(body))
    except ValueError:
        said = None
    return said or f"the endpoint answered {status}"
