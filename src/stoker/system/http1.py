"""A small HTTP/1.1 server on asyncio, for what a web framework is too slow or too heavy for.

The gateway relays tens of thousands of stream events a second through it; the simulated engine starts in a
fraction of a second on it. Requests are read whole, answers may stream. One handler task a request.
`wire` and `framing` are the grammar, `protocol` a connection, `exchange` a request and its answer, `bodies` the
memory of bodies, `terms` what a server takes.
"""

import asyncio
import contextlib
import logging

from stoker.system import descriptors
from stoker.system.bodies import Store
from stoker.system.exchange import Exchange, Handler, Refusal, Request
from stoker.system.protocol import HttpProtocol
from stoker.system.terms import Terms

__all__ = ["Exchange", "HttpServer", "Request", "Terms"]

log = logging.getLogger(__name__)

SWEEP_SECONDS = 1.0


class HttpServer:
    """A listening server. `refusal` answers who may not ask before a body is read. `stop` closes the door and lets answers in progress finish until a deadline."""

    def __init__(self, handler: Handler, refusal: Refusal | None = None, terms: Terms | None = None) -> None:
        self._handler, self.refusal = handler, refusal
        self.terms = terms if terms is not None else Terms()
        self.store = Store(self.terms.most_held)
        self.connections: set[HttpProtocol] = set()
        self._most = 1 << 30
        self._server: asyncio.Server | None = None
        self._sweeping: asyncio.Task[None] | None = None

    async def listen(self, host: str, port: int) -> int:
        """Binds and listens; returns the port (chosen by the system for 0). Raises: OSError."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: HttpProtocol(self), host, port, backlog=4096)
        self._look_after()
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self, deadline: float) -> None:
        """Stops listening, waits up to `deadline` seconds for answers in progress, then closes what is left."""
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline):
                while self.connections:
                    await asyncio.sleep(0.02)
        for connection in list(self.connections):
            connection.close()
        if self._sweeping is not None:
            self._sweeping.cancel()

    async def run(self, exchange: Exchange) -> None:
        """Lets the handler answer; what it does not catch is told to the client, not to others."""
        try:
            await self._handler(exchange)
        except Exception:
            log.exception("%s %s failed", exchange.request.method, exchange.request.path)
            if exchange.started:
                exchange.abort()
            else:
                body = self.terms.form(500, "internal error", exchange.request.path)
                exchange.reply(500, body, [(b"content-type", b"application/json")])

    def crowded(self, over: int = 0) -> bool:
        """Whether there are more connections than there may be files, less a reserve; or so many more than that."""
        return len(self.connections) > self._most + over

    def _look_after(self) -> None:
        """Counts the files that clients may take, and begins to look for who is overdue."""
        left = descriptors.limit() - descriptors.reserve() - descriptors.used()
        self._most = max(1, left // self.terms.files_each)
        self._sweeping = asyncio.get_running_loop().create_task(self._sweep())

    async def _sweep(self) -> None:
        """Looks once a second for connections that are overdue: cheaper than a timer for each request."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = loop.time()
            for connection in [one for one in self.connections if one.due <= now]:
                connection.overdue(now)
