"""A tiny engine behind the pod's own witness, as vLLM loads it; `python -m tests.support.little_engine PORT`.

A test turns it by POST /turn, with any of: hang (nothing comes any more), status (of every answer), tokens
(counted, on the metrics page), kinds (the answer of /turn: the bodies that were asked for).
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from stoker_witness import Witness

turned: dict[str, Any] = {"hang": False, "status": 200, "tokens": 0}
asked: list[Any] = []
COUNTERS = 'vllm:generation_tokens_total{{engine="0"}} {tokens}\nhttp_requests_total{{a="b"}} {others}\n'


async def turn(request: Request) -> Response:
    turned.update(await request.json())
    return JSONResponse({**turned, "asked": asked})


async def metrics(_: Request) -> Response:
    turned["others"] = turned.get("others", 0) + 1  # what moves without a step of the engine
    return PlainTextResponse(COUNTERS.format(**turned) if turned["tokens"] is not None else "")


async def health(_: Request) -> Response:
    return Response()


async def models(_: Request) -> Response:
    return JSONResponse({"data": [{"id": "one"}, {"id": "two"}]})


async def answer(request: Request) -> Response:
    """A stream where one is asked for: `tokens` events of `size` bytes, then nothing more while it hangs."""
    body = await request.json()
    asked.append([request.url.path, body])
    if turned["status"] != 200:
        return JSONResponse({"error": "no"}, turned["status"])
    if body.get("stream"):
        return StreamingResponse(events(body), media_type="text/event-stream")
    await nothing_while_it_hangs()
    return JSONResponse({"choices": []})


async def events(body: dict[str, Any]) -> AsyncIterator[bytes]:
    for number in range(body.get("tokens", 0)):
        yield b"data: %s\n\n" % json.dumps({"n": number, "text": "x" * body.get("size", 1)}).encode()
    await nothing_while_it_hangs()
    yield b"data: [DONE]\n\n"


async def nothing_while_it_hangs() -> None:
    while turned["hang"]:
        await asyncio.sleep(0.01)


SERVED = ("/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/embeddings")
ROUTES = [
    *(Route(path, answer, methods=["POST"]) for path in SERVED),
    Route("/turn", turn, methods=["POST"]),
    Route("/metrics", metrics),
    Route("/health", health),
    Route("/v1/models", models),
]

if __name__ == "__main__":
    turned.update(json.loads(sys.argv[2]))
    app = Starlette(routes=ROUTES)
    app.add_middleware(Witness)
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="info", lifespan="on")
