"""A small HTTP/1.1 server on asyncio, for what a web framework is too slow or too heavy for.

The gateway relays tens of thousands of stream events a second through it; the simulated engine starts in a
fraction of a second on it. Requests are read whole, answers may stream. One handler task a request.
`wire` and `framing` are the grammar, `protocol` a connection, `exchange` a request and its answer, `bodies`
the memory of bodies, `terms` what a server takes.
"""

import asyncio
import contextlib
import logging
import socket
from typing import Any

from stoker.system import descriptors
from stoker.system.bodies import Store
from stoker.system.exchange import Exchange, Handler, Refusal, Request
from stoker.system.protocol import HttpProtocol
from stoker.system.terms import Terms

__all__ = ["Exchange", "HttpServer", "Request", "Terms"]

log = logging.getLogger(__name__)

SWEEP_SECONDS = 1.0


class HttpServer:
    """A listening server. `refusal` answers who may not ask before a body is read. `stop` closes the door and
    lets answers in progress finish until a deadline."""

    def __init__(self, handler: Handler, refusal: Refusal | None = None, terms: Terms | None = None) -> None:
        self._handler, self.refusal = handler, refusal
        self.terms = terms if terms is not None else Terms()
        self.store = Store(self.terms.most_held)
        self.connections: set[HttpProtocol] = set()
        self._most = 1 << 30
        self._servers: list[asyncio.Server] = []
        self._sweeping: asyncio.Task[None] | None = None

    async def listen(self, host: str, port: int) -> int:
        """Binds and listens, on each of several addresses with commas between them; returns the port (chosen
        by the system for 0). Raises: OSError.
        """
        self._servers.append(server := await self._serve(host=host.split(","), port=port))
        return int(server.sockets[0].getsockname()[1])

    async def accept(self, sockets: list[socket.socket]) -> None:
        """Accepts from sockets that listen already. Raises: OSError."""
        for one in sockets:
            self._servers.append(await self._serve(sock=one))

    async def _serve(self, **where: Any) -> asyncio.Server:
        made = await asyncio.get_running_loop().create_server(
            lambda: HttpProtocol(self), backlog=4096, **where
        )
        if self._sweeping is None:
            self._look_after()
        return made

    def refuse(self) -> None:
        """Accepts nothing more."""
        for server in self._servers:
            server.close()
        self._servers.clear()

    async def stop(self, deadline: float) -> None:
        """Accepts nothing more, waits up to `deadline` seconds for answers in progress, then closes what is
        left."""
        await self.drain(deadline)
        for connection in list(self.connections):
            connection.close()
        if self._sweeping is not None:
            self._sweeping.cancel()

    async def drain(self, deadline: float, idle: float = 0.0) -> bool:
        """Accepts nothing more, and waits up to `deadline` seconds for answers in progress; whether all are
        out.

        idle: seconds in which connections without a request may send a last one.
        """
        self.refuse()
        for connection in list(self.connections):
            connection.stop(idle)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline):
                while self.connections:
                    await asyncio.sleep(0.02)
        return not self.connections

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
        """Whether there are more connections than there may be files, less a reserve; or so many more than
        that."""
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
