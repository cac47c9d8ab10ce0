"""vLLM's routes over HTTP, in front of a simulated engine.

Source: vLLM 0.32 `entrypoints/*/api_router.py`, `entrypoints/serve/middleware/`.
"""

import asyncio
import hmac
import json
import os
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import unquote

from stoker.engine.openai import dump, error_body
from stoker.system.http1 import Exchange
from stoker.system.http1 import Request as HttpRequest
from stoker.targets.simulated import requests, routes, typed_events, typed_requests
from stoker.targets.simulated.answers import Answer, answers
from stoker.targets.simulated.chats import Chat
from stoker.targets.simulated.completions import Completion
from stoker.targets.simulated.engine import Engine
from stoker.targets.simulated.generation import JSON, Generation, Headers
from stoker.targets.simulated.refusals import (
    Refused,
    dead,
    failing,
    no_json,
    no_model,
    no_object,
    no_text,
    unauthorized,
    wrong_type,
)
from stoker.targets.simulated.requests import Request
from stoker.targets.simulated.scheduled import Scheduled
from stoker.targets.simulated.shapes import Envelope, Shape
from stoker.targets.simulated.simple_routes import Plain
from stoker.targets.simulated.validation import Served, settle

Read = Callable[[Mapping[str, Any]], Request]
Write = Callable[[Envelope, Request, list[Answer]], Shape]
GENERATING: dict[str, tuple[Read, Write]] = {
    "/v1/chat/completions": (requests.chat, Chat),
    "/v1/completions": (requests.completion, Completion),
    "/v1/responses": (typed_requests.response, typed_events.Response),
    "/v1/messages": (typed_requests.message, typed_events.Message),
}
_WORKING = (
    *GENERATING,
    "/invocations",
    "/tokenize",
    "/detokenize",
    "/v1/embeddings",
    "/v1/messages/count_tokens",
)


class Server:
    """Answers requests. What vLLM does in its web framework and in its engine's front end."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._options = engine.options
        key = engine.options.api_key
        self._key = sha256(key.encode()).digest() if key else None
        self._models = {*engine.options.names, *(name for name, _ in engine.options.loras)}
        self._plain = Plain(engine)
        self._routes = routes.table(pooling=engine.options.pooling, developing=engine.options.developing)

    async def handle(self, exchange: Exchange) -> None:
        """Answers one request, or puts it into the engine's batch, which answers later."""
        if self._engine.hung and not await self._resumed(exchange):
            return
        path = unquote(exchange.request.path)
        try:
            self._check_key(exchange.request, path)
            await self._route(exchange, path)
        except Refused as refused:
            self._refuse(exchange, path, refused)

    def _refuse(self, exchange: Exchange, path: str, refused: Refused) -> None:
        request, headers = exchange.request, self._headers(exchange.request)
        if refused.status == 307:
            exchange.reply(307, b"", [*refused.headers, *headers])
            return
        body: Any = refused.body
        if path.startswith("/v1/messages"):
            body = typed_events.anthropic(body)
        exchange.reply(refused.status, dump(body), [JSON, *refused.headers, *headers])
        if self._engine.dead and refused.status == 500 and request.method == "POST":
            self._engine.leaving()

    async def _resumed(self, exchange: Exchange) -> bool:
        """Waits as long as the engine hangs. False, if the client left."""
        while self._engine.hung and not exchange.gone:
            await asyncio.sleep(0.02)
        return not exchange.gone

    def _check_key(self, request: HttpRequest, path: str) -> None:
        if self._key is None or request.method == "OPTIONS" or not path.startswith(routes.GUARDED):
            return
        scheme, _, token = (request.header(b"authorization") or b"").partition(b" ")
        if scheme.lower() != b"bearer" or not hmac.compare_digest(sha256(token).digest(), self._key):
            raise unauthorized()

    async def _route(self, exchange: Exchange, path: str) -> None:
        request = exchange.request
        host = (request.header(b"host") or b"").decode("latin-1")
        refused = routes.refusal(self._routes, request.method, path, host)
        if refused is not None:
            raise refused
        if path not in _WORKING:
            self._plain.answer(exchange, path, self._headers(request))
            return
        body = self._body(request)
        if self._engine.closing:
            why = "cannot schedule new futures after shutdown"
            raise Refused(500, error_body(why, "InternalServerError", 500))
        if path == "/invocations":
            body["model"] = None
            path = "/v1/chat/completions" if isinstance(body.get("messages"), list) else "/v1/completions"
        if path in GENERATING:
            await self._generate(exchange, body, *GENERATING[path])
        else:
            self._check_model(body.get("model"))
            self._plain.work(exchange, path, body, self._headers(request))

    async def _generate(self, exchange: Exchange, body: dict[str, Any], read: Read, write: Write) -> None:
        engine, options = self._engine, self._options
        asked = read(body)
        model = self._check_model(asked.model)
        if engine.dead:
            raise dead()
        template = not engine.faults.no_chat_template
        served = Served(options.names[0], options.max_model_len, options.tools, options.parser, template)
        ask = settle(asked, served, engine.vocabulary)
        texts = answers(ask, engine.simulation.tokens, options.max_model_len)
        if not engine.accept():
            raise failing(engine.faults.error_status)
        if engine.dead:
            raise dead()
        if engine.hung and not await self._resumed(exchange):
            return
        envelope = Envelope(_request_id(exchange.request), model, options.fingerprint, engine.vocabulary)
        shape = write(envelope, ask, texts)
        kind = Scheduled if engine.stepwise else Generation
        kind(engine, exchange, ask, texts, shape).start(self._headers(exchange.request))

    def _body(self, request: HttpRequest) -> dict[str, Any]:
        kind = (request.header(b"content-type") or b"").split(b";")[0].strip().lower()
        if kind != b"application/json":
            raise wrong_type()
        try:
            body = json.loads(request.body) if request.body else None
        except json.JSONDecodeError as error:
            raise no_json(error.pos, error.msg) from None
        except (ValueError, RecursionError):
            raise no_text() from None
        if not isinstance(body, dict):
            raise no_object(body)
        return body

    def _check_model(self, asked: Any) -> str:
        """The name that is answered with: the one asked for, or the first. Raises: Refused (404)."""
        name = asked or self._options.names[0]
        if name not in self._models:
            raise no_model(str(name), [*self._options.names, *(lora for lora, _ in self._options.loras)])
        return str(name)

    def _headers(self, request: HttpRequest) -> Headers:
        if not self._options.request_id_headers:
            return []
        return [(b"x-request-id", request.header(b"x-request-id") or os.urandom(16).hex().encode())]


def _request_id(request: HttpRequest) -> str:
    given = request.header(b"x-request-id")
    return given.decode("latin-1") if given else os.urandom(8).hex()
