"""A request, and the answer being given to it."""

from collections.abc import Awaitable, Callable, Sequence
from email.utils import formatdate
from http import HTTPStatus
from typing import Protocol

from stoker.system import clock
from stoker.system.bodies import Body
from stoker.system.wire import Head, Headers

_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
_WITHOUT_BODY = frozenset({204, 304})
_today = (0, b"")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Request:
    """One request. Header names are lower case; `query` is without its question mark; `old` is HTTP/1.0."""

    __slots__ = ("_named", "content", "headers", "keep_alive", "method", "old", "path", "query")

    def __init__(self, head: Head, content: Body) -> None:
        path, _, query = head.target.partition(b"?")
        self.method = head.method
        self.path = path.decode("latin-1")
        self.query = query
        self.headers = head.headers
        self.content = content
        self.keep_alive = head.keep_alive
        self.old = head.old
        self._named = head.named

    @property
    def body(self) -> bytes:
        """The whole body, as a copy where it is large."""
        return bytes(self.content)

    def header(self, name: bytes) -> bytes | None:
        """The header of that (lower case) name."""
        return self._named.get(name)


class Client(Protocol):
    """The client's connection, as an answer needs it."""

    closed: bool
    stopping: bool
    send_raw: Callable[[bytes], None]

    def send(self, data: bytes) -> None: ...
    def finished(self, exchange: "Exchange") -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...


class Exchange:
    """A request and the answer being given.

    `on_gone` is called once if the client leaves before the end; `on_choked` when it reads more slowly than
    it is written to, `on_writable` when that ends.
    """

    __slots__ = (
        "_client",
        "_framed",
        "keep_alive",
        "on_choked",
        "on_gone",
        "on_writable",
        "request",
        "started",
    )

    def __init__(self, client: Client, request: Request) -> None:
        self._client = client
        self._framed: bool | None = None  # True: in chunks, False: as it is, None: there is no body
        self.request = request
        self.keep_alive = request.keep_alive
        self.started = False
        self.on_gone: Callable[[], None] | None = None
        self.on_choked: Callable[[], None] | None = None
        self.on_writable: Callable[[], None] | None = None

    @property
    def gone(self) -> bool:
        """Whether the client has left."""
        return self._client.closed

    @property
    def chunked(self) -> bool:
        """Whether what is written goes out in chunks."""
        return self._framed is True

    def start(
        self,
        status: int,
        headers: Sequence[tuple[bytes, bytes]] = (),
        length: int | None = None,
        first: bytes = b"",
    ) -> None:
        """Sends status and headers, and the first of the body; what follows by `write` goes out at once.

        In chunks, unless its length is given; a client of HTTP/1.0 then reads until the connection closes.
        """
        self.started = True
        framing = b""
        if status in _WITHOUT_BODY or self.request.method == "HEAD":
            self._framed = None
        elif length is not None:
            self._framed, framing = False, b"content-length: %d\r\n" % length
        elif self.request.old:
            self._framed = self.keep_alive = False
        else:
            self._framed, framing = True, b"transfer-encoding: chunked\r\n"
        self._client.send(self._head(status, headers, framing) + self._piece(first))

    def _piece(self, data: bytes) -> bytes:
        if not data or self._framed is None:
            return b""
        return b"%x\r\n%b\r\n" % (len(data), data) if self._framed else data

    def write(self, data: bytes) -> None:
        """Sends the next piece now."""
        if data and self._framed is not None:
            self._client.send(self._piece(data))

    def raw(self) -> Callable[[bytes], None]:
        """What sends whole chunks, size lines and all, as they came; only where `chunked`, and not once
        `gone`."""
        return self._client.send_raw

    def end(self, last: bytes = b"") -> None:
        """Ends a started answer, after the last of it."""
        words = self._piece(last) + (b"0\r\n\r\n" if self._framed else b"")
        if words:
            self._client.send(words)
        self._client.finished(self)

    def interim(self, words: bytes) -> None:
        """Sends a head that is no answer yet."""
        self._client.send(words)

    def abort(self) -> None:
        """Ends the connection at once: the client sees that the answer is not whole."""
        if self._framed is False:
            self._client.abort()
        else:
            self._client.close()

    def reply(self, status: int, body: bytes, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        """Sends a whole answer. The headers carry no length; it is counted here."""
        self.started = True
        length = b"" if status in _WITHOUT_BODY else b"content-length: %d\r\n" % len(body)
        head = self._head(status, headers, length)
        without = status in _WITHOUT_BODY or self.request.method == "HEAD" or not body
        if without or len(body) < 65536:
            self._client.send(head if without else head + body)
        else:
            self._client.send(head)
            self._client.send(body)
        self._client.finished(self)

    def _head(self, status: int, headers: Sequence[tuple[bytes, bytes]], framing: bytes) -> bytes:
        if self._client.stopping:
            self.keep_alive = False
        return head(status, headers, framing, self.keep_alive, self.request.old)


Handler = Callable[[Exchange], Awaitable[None]]
Refusal = Callable[[Request], tuple[int, bytes, Headers] | None]
ErrorForm = Callable[[int, str, str], bytes]


def head(
    status: int, headers: Sequence[tuple[bytes, bytes]], framing: bytes, keep_alive: bool, old: bool = False
) -> bytes:
    """An answer's head. The date is ours unless the headers bring one, as an engine's do."""
    lines = b"".join([b"%b: %b\r\n" % pair for pair in headers])
    date = b"" if b"\r\ndate: " in lines or lines.startswith(b"date: ") else _date()
    close = b"connection: close\r\n" if not keep_alive else b"connection: keep-alive\r\n" if old else b""
    reason = _REASONS.get(status, b"Unknown")
    return b"HTTP/1.1 %d %b\r\n%b%b%b%b\r\n" % (status, reason, lines, date, framing, close)


def _date() -> bytes:
    global _today
    second = int(clock.now())
    if _today[0] != second:
        _today = second, b"date: %b\r\n" % formatdate(second, usegmt=True).encode()
    return _today[1]


def error_form(status: int, message: str, path: str) -> bytes:
    """An error in OpenAI's form, for a server that has no form of its own."""
    text = message.replace("\\", "/").replace('"', "'").encode()
    kind = b"server_error" if status >= 500 else b"invalid_request_error"
    return b'{"error": {"message": "%b", "type": "%b", "param": null, "code": %d}}' % (text, kind, status)
