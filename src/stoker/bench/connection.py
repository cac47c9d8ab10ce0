"""A connection of the load generator: takes bytes and the time, and looks at them once an answer is whole.

What is done for each packet while others stream is as little as can be: a clock, two appends, and a look at
the last bytes for what may be an answer's end.
"""

import asyncio
import re
import ssl
import time
from collections.abc import Callable

from stoker.system.framing import BodyReader, body_reader
from stoker.system.wire import CHUNKED, UNTIL_CLOSE, Answer, Malformed, answer_head, split_head

clock = time.monotonic  # the load generator's: shared by all processes of a machine, and never set back
REPLICA, LONGEST = b"x-stoker-replica", 80  # characters of a name that are kept
Piece = tuple[float, bytes]
_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}").fullmatch


class Reply:
    """An answer as it came: pieces of its body with their times. lost: why it is not whole; malformed: it
    was no HTTP; replica: which one answered, where the endpoint says so."""

    __slots__ = ("body", "ended", "lost", "malformed", "replica", "status")

    def __init__(self) -> None:
        self.status = 0
        self.body: list[Piece] = []
        self.ended = 0.0
        self.lost = ""
        self.malformed = False
        self.replica = ""


Done = Callable[["Connection", Reply], None]


class Connection(asyncio.Protocol):
    """One connection; one request at a time. `free` once it can take another."""

    def __init__(self) -> None:
        self.closed = False
        self.free = True
        self.used = False
        self._done: Done | None = None
        self._pieces: list[Piece] = []
        self._head: Answer | None = None
        self._reply = Reply()
        self._chunked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def send(self, request: bytes, done: Done) -> float:
        """Sends a request; `done` is called with its answer, whole or not. The time at which it left."""
        self._done, self._reply, self._head, self._chunked = done, Reply(), None, False
        self._pieces = []
        self.free = False
        self._transport.write(request)
        return clock()

    def data_received(self, data: bytes) -> None:
        self._pieces.append((clock(), data))
        if not self._chunked or len(data) < 5 or data[-4:] == b"\r\n\r\n":
            self._look()

    def _look(self) -> None:
        """Reads what has come since the last look."""
        pieces, self._pieces = self._pieces, []
        try:
            for at, data in pieces:
                self._read(at, data)
        except Malformed as error:
            self._reply.malformed = True
            self._lose(f"it is no HTTP answer: {error.why}")

    def _read(self, at: float, data: bytes) -> None:
        if self._done is None:
            if self.free and data:
                self._lose("more came than was asked for")
            return
        if self._head is None:
            parts = split_head(self._kept(data))
            if parts is None:
                return
            head = answer_head(parts[0], parts[1])
            rest = self._unread[parts[2] :]
            self._unread = b""
            if head.status < 200:
                if rest:
                    self._read(at, rest)
                return
            self._head, self._reader = head, body_reader(head.length)
            self._reply.status, self._reply.replica = head.status, _replica(head)
            self._chunked = head.length == CHUNKED
            if not rest and head.length:
                return
            data = rest
        self._feed(at, data)

    _unread = b""
    _reader: BodyReader

    def _kept(self, data: bytes) -> bytes:
        self._unread += data
        return self._unread

    def _feed(self, at: float, data: bytes) -> None:
        if self._chunked and self._reader.fresh and data[-2:] == b"\r\n":
            line = data.find(b"\r\n")
            size = _SIZE(data, 0, line)
            if size is not None and (length := int(size[0], 16)) and line + length + 4 == len(data):
                self._reply.body.append((at, data[line + 2 : -2]))  # one whole chunk, as engines send them
                return
        body, rest = self._reader.feed(data)
        if body:
            self._reply.body.append((at, body))
        if rest is not None:
            assert self._head is not None
            self._finish(at, again=self._head.keep_alive and not rest)

    def _finish(self, at: float, again: bool) -> None:
        done, reply = self._done, self._reply
        self._done, self.used = None, True
        reply.ended = at
        if again and not self.closed:
            self.free = True
        else:
            self.close()
        if done is not None:
            done(self, reply)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._look()
        if self._head is not None and self._head.length == UNTIL_CLOSE and self._done is not None:
            self._finish(clock(), again=False)
        self._lose(f"the connection was lost{f': {exc}' if exc else ''}")

    def _lose(self, why: str) -> None:
        done, self._done = self._done, None
        self.close()
        if done is not None:
            self._reply.ended, self._reply.lost = clock(), why
            done(self, self._reply)

    def cancel(self) -> None:
        """Gives up what it waits for, without a word: the server sees its client leave."""
        self._done = None
        self.close()

    def close(self) -> None:
        """Closes it."""
        self.free = False
        if not self.closed:
            self.closed = True
            self._transport.abort()

    def gone_stale(self) -> bool:
        """Whether a request was lost since the server had closed a kept connection already: nothing came."""
        return self.used and self._head is None and not self._unread


def trusted(verify: bool) -> ssl.SSLContext:
    """What is believed of a server's certificate: what the system trusts, and SSL_CERT_FILE."""
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _replica(head: Answer) -> str:
    """Which replica answered: Stoker's endpoint tells it."""
    said = next((value for name, value in head.headers if name == REPLICA), b"")
    return said.decode("latin-1")[:LONGEST]
