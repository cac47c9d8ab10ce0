"""vLLM's routes over HTTP, in front of a simulated engine.

Source: vLLM 0.32 `entrypoints/*/api_router.py`, `entrypoints/serve/middleware/`.
"""

import asyncio
import base64
import hmac
import json
import os
import struct
import time
from collections.abc import Callable
from hashlib import sha256
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from stoker.engine.openai import dump
from stoker.system.http1 import Exchange, Request
from stoker.targets.simulated import asks, shapes, startlog, typed
from stoker.targets.simulated.answers import Answer, answers
from stoker.targets.simulated.asks import Ask
from stoker.targets.simulated.engine import Engine
from stoker.targets.simulated.generation import Generation, Headers
from stoker.targets.simulated.refusals import (
    Refused,
    failing,
    missing,
    no_json,
    no_model,
    no_template,
    plain,
    unauthorized,
    wrong_type,
)
from stoker.targets.simulated.shapes import Shape
from stoker.targets.simulated.words import Vocabulary, embedding

GUARDED = ("/v1", "/v2", "/inference", "/cohere")
ADMIN = (
    "/abort_requests", "/collective_rpc", "/fault_tolerance/status", "/inference/v1/abort_requests",
    "/is_paused", "/is_scaling_elastic_ep", "/is_sleeping", "/load", "/pause", "/reset_encoder_cache",
    "/reset_mm_cache", "/reset_prefix_cache", "/resume", "/scale_elastic_ep", "/server_info", "/sleep",
    "/start_profile", "/stop_profile", "/update_weights", "/v1/load_lora_adapter", "/v1/unload_lora_adapter",
    "/wake_up",
)  # fmt: skip
_JSON = (b"content-type", b"application/json")
_TEXT = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")

Read = Callable[[dict[str, Any], Vocabulary], Ask]
Write = Callable[[str, str, Ask, list[Answer]], Shape]
GENERATING: dict[str, tuple[Read, Write]] = {
    "/v1/chat/completions": (asks.chat, shapes.Chat),
    "/v1/completions": (asks.completion, shapes.Completion),
    "/v1/responses": (asks.response, typed.Response),
    "/v1/messages": (asks.message, typed.Message),
}


class Server:
    """Answers requests. What vLLM does in its web framework and in its engine's front end."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._options = engine.options
        key = engine.options.api_key
        self._key = sha256(key.encode()).digest() if key else None
        self._models = {*engine.options.names, *(name for name, _ in engine.options.loras)}
        self._created = int(time.time())
        look = {"/health": self._health, "/ping": self._health, "/metrics": self._metrics}
        tell = {"/version": self._version, "/v1/models": self._list}
        count = {"/tokenize": self._tokenize, "/detokenize": self._detokenize, "/v1/embeddings": self._embed}
        post = {**count, "/v1/messages/count_tokens": self._count_message, "/ping": self._health}
        self._routes: dict[str, dict[str, Callable[[Exchange], None]]] = {
            "GET": {**look, **tell},
            "POST": {**post, **dict.fromkeys(ADMIN, self._admin)},
        }
        self._routes["GET"] |= dict.fromkeys(ADMIN, self._admin)

    async def handle(self, exchange: Exchange) -> None:
        """Answers one request, or puts it into the engine's batch, which answers later."""
        if self._engine.hung and not await self._resumed(exchange):
            return
        path = unquote(exchange.request.path)
        try:
            self._check_key(exchange.request, path)
            await self._route(exchange, path)
        except Refused as refused:
            self._reply(exchange, refused.status, _error_form(path, refused))

    async def _resumed(self, exchange: Exchange) -> bool:
        """Waits as long as the engine hangs. False, if the client left."""
        while self._engine.hung and not exchange.gone:
            await asyncio.sleep(0.02)
        return not exchange.gone

    def _check_key(self, request: Request, path: str) -> None:
        if self._key is None or request.method == "OPTIONS" or not path.startswith(GUARDED):
            return
        scheme, _, token = (request.header(b"authorization") or b"").partition(b" ")
        if scheme.lower() != b"bearer" or not hmac.compare_digest(sha256(token).digest(), self._key):
            raise unauthorized()

    async def _route(self, exchange: Exchange, path: str) -> None:
        method = exchange.request.method
        if path in GENERATING and method == "POST":
            await self._generate(exchange, *GENERATING[path])
        elif (route := self._routes.get(method, {}).get(path)) is not None:
            route(exchange)
        elif path in GENERATING or any(path in known for known in self._routes.values()):
            raise plain(HTTPStatus.METHOD_NOT_ALLOWED)
        else:
            raise plain(HTTPStatus.NOT_FOUND)

    async def _generate(self, exchange: Exchange, read: Read, write: Write) -> None:
        body = self._body(exchange.request)
        ask = read(body, self._engine.vocabulary)
        model = self._model(body)
        if "messages" in body and self._engine.faults.no_chat_template:
            raise no_template()
        texts = answers(ask, self._engine.simulation.tokens, self._options.max_model_len)
        if not self._engine.accept():
            raise failing(self._engine.faults.error_status)
        if self._engine.hung and not await self._resumed(exchange):
            return
        shape = write(self._request_id(exchange.request), model, ask, texts)
        Generation(self._engine, exchange, ask, texts, shape).start(self._headers(exchange.request))

    # bodies

    def _body(self, request: Request) -> dict[str, Any]:
        kind = (request.header(b"content-type") or b"").split(b";")[0].strip().lower()
        if kind != b"application/json":
            raise wrong_type()
        try:
            body = json.loads(request.body)
        except json.JSONDecodeError as error:
            raise no_json(error.pos, error.msg) from None
        except (ValueError, RecursionError) as error:
            raise no_json(0, str(error)) from None
        if not isinstance(body, dict):
            raise no_json(0, "Input should be a valid dictionary")
        return body

    def _model(self, body: dict[str, Any]) -> str:
        """The name that is answered with: the one asked for, or the first. Raises: Refused (404)."""
        name = body.get("model") or self._options.names[0]
        if name not in self._models:
            raise no_model(str(name))
        return str(name)

    # answers

    def _headers(self, request: Request) -> Headers:
        if not self._options.request_id_headers:
            return []
        return [(b"x-request-id", request.header(b"x-request-id") or os.urandom(16).hex().encode())]

    def _request_id(self, request: Request) -> str:
        given = request.header(b"x-request-id")
        return given.decode("latin-1") if given else os.urandom(16).hex()

    def _reply(self, exchange: Exchange, status: int, body: Any) -> None:
        exchange.reply(status, dump(body), [_JSON, *self._headers(exchange.request)])

    # plain routes

    def _health(self, exchange: Exchange) -> None:
        exchange.reply(503 if self._engine.faults.unhealthy else 200, b"", self._headers(exchange.request))

    def _metrics(self, exchange: Exchange) -> None:
        exchange.reply(200, self._engine.page(), [_TEXT])

    def _version(self, exchange: Exchange) -> None:
        self._reply(exchange, 200, {"version": startlog.VERSION})

    def _admin(self, exchange: Exchange) -> None:
        self._reply(exchange, 200, {"admin": True})

    def _list(self, exchange: Exchange) -> None:
        base = [self._card(name, self._options.model, None) for name in self._options.names]
        adapters = [self._card(name, path, self._options.names[0]) for name, path in self._options.loras]
        self._reply(exchange, 200, {"object": "list", "data": base + adapters})

    def _card(self, name: str, root: str, parent: str | None) -> dict[str, Any]:
        length = self._options.max_model_len if parent is None else None
        head = {"id": name, "object": "model", "created": self._created, "owned_by": "vllm"}
        return {**head, "root": root, "parent": parent, "max_model_len": length, "permission": []}

    def _tokenize(self, exchange: Exchange) -> None:
        body = self._body(exchange.request)
        self._model(body)
        chat = "messages" in body
        words = (
            asks.conversation_words(body) if chat else asks.many(body, "prompt", self._engine.vocabulary)[0]
        )
        ids = [self._engine.vocabulary.id(word) for word in words]
        texts = list(words) if body.get("return_token_strs") else None
        found = {"count": len(ids), "max_model_len": self._options.max_model_len, "tokens": ids}
        self._reply(exchange, 200, {**found, "token_strs": texts})

    def _detokenize(self, exchange: Exchange) -> None:
        body = self._body(exchange.request)
        self._model(body)
        if not isinstance(body.get("tokens"), list):
            raise missing("tokens", body)
        words = asks.many(body, "tokens", self._engine.vocabulary)[0] if body["tokens"] else ()
        self._reply(exchange, 200, {"prompt": " ".join(words)})

    def _count_message(self, exchange: Exchange) -> None:
        words = asks.conversation_words(self._body(exchange.request))
        self._reply(exchange, 200, {"input_tokens": len(words)})

    def _embed(self, exchange: Exchange) -> None:
        body = self._body(exchange.request)
        texts = asks.many(body, "input", self._engine.vocabulary)
        model = self._model(body)
        if not self._engine.accept():
            raise failing(self._engine.faults.error_status)
        packed = body.get("encoding_format") == "base64"
        data = [
            {"object": "embedding", "index": index, "embedding": _vector(embedding(words), packed)}
            for index, words in enumerate(texts)
        ]
        read = sum(map(len, texts))
        self._engine.metrics.prompt_tokens.add(read)
        usage = {
            "prompt_tokens": read,
            "total_tokens": read,
            "completion_tokens": 0,
            "prompt_tokens_details": None,
        }
        head = {
            "id": f"embd-{self._request_id(exchange.request)}",
            "object": "list",
            "created": int(time.time()),
        }
        self._reply(exchange, 200, {**head, "model": model, "data": data, "usage": usage})


def _vector(values: list[float], packed: bool) -> list[float] | str:
    """The numbers, or their 32-bit floats in base64, which OpenAI's own client asks for."""
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode() if packed else values


def _error_form(path: str, refused: Refused) -> Any:
    """/v1/messages has Anthropic's error form, except for what the web framework refuses by itself."""
    error = refused.body["error"]
    if path != "/v1/messages" or not isinstance(error, dict) or error["type"] == "Bad Request":
        return refused.body
    return {"type": "error", "error": {"type": error["type"], "message": error["message"]}}
