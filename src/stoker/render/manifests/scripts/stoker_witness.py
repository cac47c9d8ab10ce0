"""A pod's own witness of its requests: ASGI middleware around the engine's API (`--middleware
stoker_witness.Witness`).

vLLM's gauges move only when a step of its engine returns, and on SIGTERM it leaves open streams without an
end. This counts requests from their arrival to their end and knows since when nothing came; /health is 503
until the engine has been warmed up, a silent engine gets a canary, and what is open when the pod leaves is
ended in words. The probe and the preStop ask at a socket in a folder of the container (`stoker_ask`), which
no network reaches. Standard library only.
"""

import asyncio
import contextlib
import json
import logging
import os
import time
from typing import Any

import stoker_warmup
from stoker_ask import FOLDER
from stoker_request import ENDING, LEAVING, App, Message, Receive, Send, Watched, refuse

# seconds without an event, idle or not, until the engine is asked for a token; or what STOKER_CANARY says
CANARY = 120.0
COUNTED = (
    "/v1/",
    "/v2/",
    "/inference/",
    "/classify",
    "/cohere/",
    "/detokenize",
    "/generative_scoring",
    "/invocations",
    "/pooling",
    "/rerank",
    "/score",
    "/tokenize",
)
NOT_COUNTED = (
    "/v1/load_lora_adapter",
    "/v1/unload_lora_adapter",
    "/inference/v1/abort_requests",
    "/tokenizer_info",
)
CLOSED_WHILE_COLD = (
    "/health",
    "/metrics",
)  # so the slow first requests are in no rate and no quantile of clients'

log = logging.getLogger("uvicorn.error")


def counted(path: str) -> bool:
    """Whether a path is one that clients wait at."""
    return path.startswith(COUNTED) and path not in NOT_COUNTED


def own_socket() -> str:
    """The path of this process's socket, with nothing there from an earlier life."""
    FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = FOLDER / f"{os.getpid()}.sock"
    for old in (path, FOLDER / "alive.json"):
        old.unlink(missing_ok=True)
    return str(path)


class Witness:
    """The middleware: one for each process that has the API."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._open: set[Watched] = set()
        self._last = time.monotonic()
        self._served = 0
        self._warm = self._leaving = False
        self._canary = float(os.environ.get("STOKER_CANARY", CANARY))

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        kind, path = scope["type"], str(scope.get("path", "")).removeprefix(str(scope.get("root_path", "")))
        if kind == "lifespan":
            await self._live(scope, receive, send)
        elif not self._warm and path.startswith(CLOSED_WHILE_COLD):
            await refuse(send, path, "the engine is being warmed up")
        elif self._leaving and path == "/health":
            await refuse(send, path, LEAVING)
        elif not counted(path):
            await self._app(scope, receive, send)
        elif self._leaving and kind == "websocket":
            await send({"type": "websocket.close", "code": 1012})
        elif self._leaving:
            await refuse(send, path, f"{LEAVING}: send the request again")
        else:
            await self._watch(Watched(path, scope, receive, send))

    async def _watch(self, one: Watched) -> None:
        self._open.add(one)
        try:
            await one.run(self._app)
        finally:
            self._open.discard(one)
            self._last = max(self._last, one.last)
            self._served += not one.own

    def facts(self) -> dict[str, Any]:
        """in_flight: requests of clients. waiting: those, and our own, that the engine owes something.
        silent_for: seconds since the last event of any, or since the first of these began to wait.
        canary_for: the same of our own alone.
        """
        now = time.monotonic()
        waiting = [one.since for one in self._open if one.since is not None]
        own = [one.since for one in self._open if one.since is not None and one.own]
        return {
            "in_flight": sum(not one.own for one in self._open),
            "served": self._served,
            "warm": self._warm,
            "waiting": len(waiting),
            "silent_for": now - max(self._newest(), min(waiting)) if waiting else 0.0,
            "canary_for": now - min(own) if own else 0.0,
        }

    def _newest(self) -> float:
        newest: float = max([self._last, *(one.last for one in self._open)])
        return newest

    async def end(self) -> None:
        """Ends what is open, and takes nothing new."""
        self._leaving = True
        for one in self._open:
            one.end()
        deadline = time.monotonic() + ENDING + 1
        while self._open and time.monotonic() < deadline:
            await asyncio.sleep(0.02)

    async def _live(self, scope: Message, receive: Receive, send: Send) -> None:
        """From the start of the API to its end: the socket, the warm-up, and a canary now and then."""
        async with contextlib.AsyncExitStack() as stack:

            async def told(message: Message) -> None:
                if message["type"] == "lifespan.startup.complete":
                    await self._listen(stack)
                    keeping = asyncio.ensure_future(
                        self._keep(stoker_warmup.Caller(self._own, scope.get("app")))
                    )
                    stack.callback(keeping.cancel)
                await send(message)

            await self._app(scope, receive, told)

    async def _listen(self, stack: contextlib.AsyncExitStack) -> None:
        try:
            server = await asyncio.start_unix_server(self._answer, own_socket())
        except OSError as problem:
            log.warning("stoker: nobody can ask for the requests in flight: %s", problem)
        else:
            stack.callback(server.close)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer):
            if await reader.readline() == b"end\n":
                await self.end()
            writer.write(json.dumps(self.facts()).encode() + b"\n")
            await writer.drain()

    async def _own(self, scope: Message, receive: Receive, send: Send) -> None:
        await self._watch(Watched(str(scope["path"]), scope, receive, send, own=True))

    async def _keep(self, caller: "stoker_warmup.Caller") -> None:
        canary = None
        try:
            canary = await stoker_warmup.warm_up(caller)
        except (ValueError, LookupError, TypeError) as problem:  # answers in a form that nobody knows yet
            log.warning("stoker: not warmed up: %r", problem)
        self._warm = True
        while canary is not None:
            idle = time.monotonic() - self._newest()
            if idle >= self._canary and not self._leaving:
                await caller.ask(*canary)
                self._last = time.monotonic()
            await asyncio.sleep(max(0.05, self._canary - idle))
