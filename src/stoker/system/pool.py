"""Pool: the connections to one engine, kept and used again while the engine keeps them."""

import asyncio
import time

from stoker.system.upstream import CONNECT_SECONDS, KEEP_SECONDS, Connection, Headers, late, request_bytes


class Pool:
    """The connections to one engine. `patience`: seconds that a new one may take."""

    def __init__(self, host: str, port: int, patience: float = CONNECT_SECONDS) -> None:
        self._address = (host, port)
        self._patience = patience
        self._idle: list[Connection] = []
        self.host_header = f"[{host}]:{port}".encode() if ":" in host else f"{host}:{port}".encode()

    def idle(self) -> Connection | None:
        """An idle connection that is still good; None where there is none."""
        now = time.monotonic()
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed and now - connection.idle_since < KEEP_SECONDS:
                connection.used_before = True
                return connection
            connection.cancel()
        return None

    async def connection(self, new: bool = False) -> Connection:
        """An idle connection that is still good, or a new one. Raises: OSError, TimeoutError."""
        if not new and (idle := self.idle()) is not None:
            return idle
        began = time.monotonic()
        try:
            return await self._connect()
        except TimeoutError:
            if not late(began, self._patience):
                raise
        return await self._connect()

    async def _connect(self) -> Connection:
        async with asyncio.timeout(self._patience):
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: Connection(self._keep), *self._address
            )
        return connection

    def _keep(self, connection: Connection) -> None:
        connection.idle_since = time.monotonic()
        self._idle.append(connection)

    def close(self) -> None:
        """Closes what is idle."""
        for connection in self._idle:
            connection.cancel()
        self._idle.clear()


class Collector:
    """A Sink that gathers a whole answer, for health checks, metrics and small relays."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: Headers = []
        self._parts: list[bytes] = []
        self._done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def head(self, status: int, headers: Headers) -> None:
        self.status, self.headers = status, headers

    def data(self, chunk: bytes) -> None:
        self._parts.append(chunk)

    def complete(self, last: bytes) -> None:
        if not self._done.done():
            self._done.set_result(b"".join([*self._parts, last]))

    def lost(self, why: str) -> None:
        if not self._done.done():
            self._done.set_exception(ConnectionError(why))

    async def body(self) -> bytes:
        """The whole body. Raises: ConnectionError."""
        return await self._done


async def fetch(pool: Pool, target: bytes, headers: Headers, seconds: float) -> tuple[int, bytes]:
    """GETs one page: (status, body). Raises: OSError, TimeoutError."""
    request = request_bytes("GET", target, [(b"host", pool.host_header), *headers])
    async with asyncio.timeout(seconds):
        connection = await pool.connection()
        try:
            return await _ask(connection, request)
        except ConnectionError:
            if not connection.stale:
                raise
        return await _ask(await pool.connection(new=True), request)


async def _ask(connection: Connection, request: bytes) -> tuple[int, bytes]:
    sink = Collector()
    connection.send(request, sink)
    try:
        body = await sink.body()
        return sink.status, body
    except asyncio.CancelledError:
        connection.cancel()
        raise
