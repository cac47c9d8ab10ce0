"""The endpoint as the page asks it: is it healthy, and one answer as it grows. Failures are words."""

import json
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import httpx2

from stoker.engine import openai
from stoker.errors import EnvironmentFailed
from stoker.findings import Finding
from stoker.ui.console import conversation
from stoker.ui.console.conversation import SamplingParams, Talk, Turn

SILENCE_SECONDS = 300.0  # a long queue is silent too: Stop is the visitor's own deadline
CONNECT_SECONDS = 5.0
HEALTH_SECONDS = 2.0

log = logging.getLogger("stoker.page")


class AskFailed(EnvironmentFailed):
    """The endpoint did not answer, or not to the end."""


class Refused(AskFailed):
    """The endpoint answered with an error."""

    def __init__(self, status: int, message: str, wait: str = "") -> None:
        super().__init__(_words(status, message, wait))
        self.status = status
        self.message = message


class Endpoint:
    """An OpenAI-compatible server, and the model asked there."""

    def __init__(
        self, url: str, model: str, key: str | None = None, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        self.url = url
        self.model = model
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx2.AsyncClient(
            timeout=httpx2.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS, pool=None),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=8),
            transport=transport,
            trust_env=False,
        )

    async def close(self) -> None:
        """Closes its connections."""
        await self._client.aclose()

    async def unhealthy(self, url: str = "") -> str:
        """Why `/health` (or another address) does not answer 200; empty where it does."""
        try:
            response = await self._client.get(url or f"{self.url}/health", timeout=HEALTH_SECONDS)
        except (httpx2.HTTPError, OSError) as error:
            return f"{url or self.url} does not answer: {_name(error)}"
        if response.status_code == 200:
            return ""
        return _message(response.content) or f"{url or self.url} answers {response.status_code}"

    async def answer(self, talk: Talk, sampling: SamplingParams) -> AsyncGenerator[Turn, None]:
        """The last turn as it grows; it ends with a finding where the endpoint failed. Raises nothing."""
        turn = talk[-1]
        try:
            try:
                async with aclosing(
                    self._stream(conversation.CHAT, conversation.chat_body(self.model, talk, sampling))
                ) as events:
                    async for event in events:
                        yield (turn := turn.grown(event, sampling.max_tokens))
            except Refused as refused:
                if not conversation.lacks_template(refused.status, refused.message):
                    raise
                async with aclosing(self._completed(talk, sampling)) as turns:
                    async for turn in turns:
                        yield turn
        except AskFailed as error:
            yield replace(turn, failed=error.finding)
        except Exception as error:
            log.error("an answer failed: %s: %s", type(error).__name__, error)
            yield replace(
                turn,
                failed=Finding("The page failed to read the answer", why=f"{type(error).__name__}: {error}"),
            )

    async def _completed(self, talk: Talk, sampling: SamplingParams) -> AsyncGenerator[Turn, None]:
        turn = talk[-1]
        if not any(conversation.NO_TEMPLATE in earlier.note for earlier in talk):
            turn = turn.noted(conversation.NO_TEMPLATE)
        body = conversation.completions_body(self.model, talk, sampling)
        async with aclosing(self._stream(conversation.COMPLETIONS, body)) as events:
            async for event in events:
                turn = turn.grown(event, sampling.max_tokens)
                yield (turn := replace(turn, said=turn.said.lstrip()))

    async def _stream(self, path: str, body: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """The events of one answer, to its end. Leaving early closes the connection: the request is
        cancelled.

        Raises: AskFailed.
        """
        reader, complete = openai.SseReader(), False
        try:
            async with self._client.stream(
                "POST", self.url + path, json=body, headers=self._headers
            ) as response:
                if response.status_code != 200:
                    message = _message(await response.aread()) or response.reason_phrase
                    raise Refused(response.status_code, message, response.headers.get("retry-after", ""))
                async for chunk in response.aiter_bytes():
                    for event in reader.feed(chunk):
                        complete = complete or event.done
                        yield _checked(event.json())
        except httpx2.ConnectError as error:
            raise AskFailed(
                f"Nobody answers at {self.url}", why=_name(error), fix="Is the fleet up? See `stoker status`."
            ) from None
        except httpx2.TimeoutException as error:
            raise AskFailed(
                f"{self.url} went silent", why=_name(error), fix="Try again, or see `stoker status`."
            ) from None
        except (httpx2.HTTPError, OSError) as error:
            raise AskFailed("The answer broke off", why=_name(error), fix="Ask again.") from None
        if not complete:
            raise AskFailed(
                "The answer broke off",
                why="The connection ended before the answer did.",
                fix="Ask again.",
            )


def _checked(event: dict[str, Any]) -> dict[str, Any]:
    message = openai.error_message(event)
    if message is not None:
        raise AskFailed("The answer broke off", why=message, fix="Ask again.")
    return event


def _message(body: bytes) -> str:
    """The endpoint's own words in an error's body, OpenAI's or other JSON; else the start of its text."""
    text = body[:2000].decode("utf-8", "replace").strip()
    try:
        value = json.loads(body)
    except ValueError:
        return "" if text.startswith("<") else text[:300]
    if isinstance(value, dict):
        found = openai.error_message(value) or value.get("message") or value.get("detail") or value.get("why")
        return str(found) if found else text[:300]
    return text[:300]


def _name(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _words(status: int, message: str, wait: str) -> Finding:
    again = f"Try again in {wait} s." if wait.isdigit() else "Try again in a moment."
    if status in (401, 403):
        return Finding(
            f"The endpoint wants another key ({status})",
            why=message,
            fix="Start this page with the endpoint's key (--key-file).",
        )
    if status in (429, 502, 503, 504):
        return Finding(f"The endpoint is not ready ({status})", why=message, fix=again)
    if status == 400 and ("context length" in message or "max_model_len" in message):
        return Finding(
            "The conversation is too long for this model (400)",
            why=message,
            fix="Clear it, or lower max_tokens.",
        )
    return Finding(f"The endpoint answered {status}", why=message, fix=again if status >= 500 else "")
