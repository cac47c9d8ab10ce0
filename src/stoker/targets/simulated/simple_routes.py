"""The routes that need no step of the engine: health, metrics, what is served, and tokens there and back."""

import base64
import os
import struct
import time
from collections.abc import Callable
from typing import Any

from stoker.engine.openai import dump, error_body
from stoker.system.http1 import Exchange
from stoker.targets.simulated import messages, prompts
from stoker.targets.simulated.engine import Engine
from stoker.targets.simulated.fields import Fields
from stoker.targets.simulated.generation import JSON, Headers
from stoker.targets.simulated.options import VERSION
from stoker.targets.simulated.refusals import (
    Refused,
    failing,
    missing,
    no_response,
)
from stoker.targets.simulated.typed_requests import check_messages
from stoker.targets.simulated.words import content_text, embedding

_TEXT = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")
_HTML = (b"content-type", b"text/html; charset=utf-8")
Body = dict[str, Any]


class Plain:
    """What is answered at once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._options = engine.options
        self._created = int(time.time())
        self._told: dict[str, Callable[[], Any]] = {
            "/version": lambda: {"version": VERSION},
            "/load": lambda: {"server_load": 0},
            "/kv_event_sources": dict,
            "/v1/models": self._models,
            "/openapi.json": lambda: {
                "openapi": "3.1.0",
                "info": {"title": "FastAPI", "version": "0.1.0"},
                "paths": {},
            },
            "/is_scaling_elastic_ep": lambda: {"is_scaling_elastic_ep": False},
        }
        self._worked: dict[str, Callable[[Body], Any]] = {
            "/tokenize": self._tokenize,
            "/detokenize": self._detokenize,
            "/v1/embeddings": self._embed,
            "/v1/messages/count_tokens": self._count,
        }

    def answer(self, exchange: Exchange, path: str, headers: Headers) -> None:
        """Answers a route that takes no body. Raises: Refused."""
        if path in ("/health", "/ping"):
            ill = self._engine.faults.unhealthy or self._engine.dead
            exchange.reply(503 if ill else 200, b"", headers)
        elif path.startswith("/metrics"):
            exchange.reply(200, self._engine.page(), [_TEXT])
        elif path in ("/docs", "/redoc"):
            exchange.reply(200, b"<!DOCTYPE html><title>FastAPI</title>", [_HTML, *headers])
        elif path.startswith("/v1/responses/"):
            raise no_response(path.split("/")[3])
        elif path == "/scale_elastic_ep":
            raise Refused(400, error_body("new_data_parallel_size is required", "Bad Request", 400))
        else:
            told = self._told.get(path, lambda: {"admin": True})()
            exchange.reply(200, dump(told), [JSON, *headers])

    def work(self, exchange: Exchange, path: str, body: Body, headers: Headers) -> None:
        """Answers a route that reads a body and computes nothing. Raises: Refused."""
        exchange.reply(200, dump(self._worked[path](body)), [JSON, *headers])

    def _models(self) -> Any:
        base = [self._card(name, self._options.model, None) for name in self._options.names]
        adapters = [self._card(name, path, self._options.names[0]) for name, path in self._options.loras]
        return {"object": "list", "data": base + adapters}

    def _card(self, name: str, root: str, parent: str | None) -> Body:
        length = self._options.max_model_len if parent is None else None
        allowed = {"allow_sampling": True, "allow_logprobs": True, "allow_view": True}
        denied = {"allow_create_engine": False, "allow_search_indices": False, "allow_fine_tuning": False}
        permission = {
            "id": f"modelperm-{os.urandom(8).hex()}",
            "object": "model_permission",
            "created": self._created,
            **allowed,
            **denied,
            "organization": "*",
            "group": None,
            "is_blocking": False,
        }
        head = {"id": name, "object": "model", "created": self._created, "owned_by": "vllm", "root": root}
        return {**head, "parent": parent, "max_model_len": length, "permission": [permission]}

    def _tokenize(self, body: Body) -> Any:
        fields = Fields(body)
        if isinstance(body.get("messages"), list):
            words = messages.prompt_of(body["messages"], name=self._options.names[0]).words
        else:
            prompt = body.get("prompt")
            if "prompt" not in body:
                fields.wrong("missing", "prompt", "Field required", body)
            elif not isinstance(prompt, str):
                fields.wrong("string_type", "prompt", "Input should be a valid string", prompt)
            if fields.problems and "messages" not in body:
                fields.wrong("missing", "messages", "Field required", body)
            elif fields.problems:
                text = "Input should be a valid list"
                fields.wrong("list_type", "messages", text, body["messages"])
            fields.check()
            words = self._engine.vocabulary.read(str(prompt))
        ids = [self._engine.vocabulary.id(word) for word in words]
        texts = list(words) if body.get("return_token_strs") else None
        found = {"count": len(ids), "max_model_len": self._options.max_model_len, "tokens": ids}
        return {**found, "token_strs": texts}

    def _detokenize(self, body: Body) -> Any:
        if "tokens" not in body:
            raise missing("tokens", body)
        fields = Fields(body)
        numbers = fields.wholes("tokens") or []
        for place, token in enumerate(numbers):
            if token < 0:
                text = "Input should be greater than or equal to 0"
                fields.wrong("greater_than_equal", f"tokens.{place}", text, token, ge=0)
        fields.check()
        return {"prompt": " ".join(self._engine.vocabulary.read(numbers))}

    def _count(self, body: Body) -> Any:
        fields = Fields(body)
        check_messages(fields)
        fields.check()
        before = content_text(body.get("system"))
        words = messages.prompt_of(body["messages"], before, self._options.names[0]).words
        return {"input_tokens": len(words), "context_management": {"original_input_tokens": len(words)}}

    def _embed(self, body: Body) -> Any:
        fields = Fields(body)
        if body.get("input") is None:
            raise missing("input", body)
        prompts.check(fields, "input")
        fields.check()
        texts = [prompt.words for prompt in prompts.read(body["input"], self._engine.vocabulary)]
        if not self._engine.accept():
            raise failing(self._engine.faults.error_status)
        packed = body.get("encoding_format") == "base64"
        data = [
            {"object": "embedding", "index": index, "embedding": _vector(embedding(words), packed)}
            for index, words in enumerate(texts)
        ]
        read = sum(map(len, texts))
        self._engine.metrics.prompt_tokens.add(read)
        counted = {"prompt_tokens": read, "total_tokens": read, "completion_tokens": 0}
        head = {"id": f"embd-{os.urandom(8).hex()}", "object": "list", "created": int(time.time())}
        model = body.get("model") or self._options.names[0]
        return {**head, "model": model, "data": data, "usage": {**counted, "prompt_tokens_details": None}}


def _vector(values: list[float], packed: bool) -> list[float] | str:
    """The numbers, or their 32-bit floats in base64, which OpenAI's own client asks for."""
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode() if packed else values
