"""Bodies as HTTP/1.1 frames them: by a length, in chunks, or by the end of the connection. RFC 9112 6 and
7."""

import re

from stoker.system.wire import BARE, CHUNKED, FIELDS, MAX_HEAD, TOKEN_BYTES, UNTIL_CLOSE, Malformed

MAX_CHUNK_DIGITS = 15  # so that a size stays far below what a machine word holds
MAX_CHUNK_LINE = 4 * 1024  # a chunk's size with its extensions
_CHUNK = re.compile(
    rb"([0-9A-Fa-f]{1,%d})"
    rb'(?:[ \t]*+;[ \t]*+[%b]++(?:[ \t]*+=[ \t]*+(?:[%b]++|"[\t\x20\x21\x23-\x7e\x80-\xff]*+"))?)*+'
    % (MAX_CHUNK_DIGITS, TOKEN_BYTES, TOKEN_BYTES)
)
_WHOLE_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})\r\n").match


def whole_chunks(data: bytes) -> bool:
    """Whether these bytes are chunks, all of each and nothing else: no extensions, nor the chunk that ends a
    body."""
    at, end = 0, len(data)
    while at < end:
        found = _WHOLE_CHUNK(data, at)
        if found is None or not (size := int(found[1], 16)):
            return False
        at = found.end() + size + 2
        if not data.startswith(b"\r\n", at - 2):
            return False
    return at == end


class Length:
    """Reads a body of known length, or of CHUNKED's or UNTIL_CLOSE's place: see `body_reader`."""

    __slots__ = ("_left",)
    fresh = False

    def __init__(self, length: int) -> None:
        self._left = length

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]:
        """What of it is body, and what follows the body: None while the body is not whole."""
        if len(data) < self._left:
            self._left -= len(data)
            return data, None
        mine, rest = (data, b"") if len(data) == self._left else (data[: self._left], data[self._left :])
        self._left = 0
        return mine, rest


class UntilClose:
    """Reads a body that ends with the connection."""

    __slots__ = ()
    fresh = False

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]:
        """All of it is body."""
        return data, None


class Chunked:
    """Reads a body in chunks. Extensions and trailers are checked and say nothing."""

    __slots__ = ("_kept", "_left", "_trailers", "fresh")

    def __init__(self) -> None:
        self._kept = b""  # a line that is not whole
        self._left = 0  # of the chunk, with the CRLF after it
        self._trailers: int | None = None  # bytes of trailers so far, once the last chunk came
        self.fresh = True  # the next byte begins a chunk

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]:
        """What of it is body, and what follows the body: None while it is not whole. Raises: Malformed
        (400)."""
        if self._kept:
            data, self._kept = self._kept + data, b""
        pieces: list[bytes] = []
        at, end = 0, len(data)
        while at < end:
            if self._left:
                at = self._data(data, at, pieces)
                continue
            line_end = data.find(b"\r\n", at, at + MAX_CHUNK_LINE + 2)
            if line_end < 0:
                self._keep(data[at:])
                break
            done = self._line(data[at:line_end])
            at = line_end + 2
            if done:
                return b"".join(pieces), data[at:]
        self.fresh = not self._kept and not self._left and self._trailers is None
        return (pieces[0] if len(pieces) == 1 else b"".join(pieces)), None

    def _data(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        """Takes what is here of the chunk; its last two bytes are CR and LF."""
        taken = data[at : at + self._left]
        self._left -= len(taken)
        body = min(len(taken), max(0, len(taken) + self._left - 2))
        if body:
            pieces.append(taken[:body])
        ending = taken[body:]
        if ending != b"\r\n"[2 - self._left - len(ending) : 2 - self._left]:
            raise Malformed(400, "a chunk is longer than it says")
        return at + len(taken)

    def _keep(self, rest: bytes) -> None:
        if len(rest) > MAX_CHUNK_LINE or BARE.search(rest):
            raise Malformed(400, "a chunk does not begin with its size on a line")
        self._kept = rest

    def _line(self, line: bytes) -> bool:
        """A chunk's first line, or a trailer; True after the last one."""
        if self._trailers is not None:
            self._trailers += len(line) + 2
            if self._trailers > MAX_HEAD or not FIELDS.fullmatch(line + b"\r\n" if line else b""):
                raise Malformed(400, "a trailer is no header, or there are too many")
            return not line
        found = _CHUNK.fullmatch(line)
        if found is None:
            raise Malformed(400, "a chunk does not begin with its size on a line")
        size = int(found[1], 16)
        if size:
            self._left = size + 2
        else:
            self._trailers = 0
        return False


BodyReader = Length | UntilClose | Chunked


def body_reader(length: int) -> BodyReader:
    """What reads a body of that length, CHUNKED or UNTIL_CLOSE."""
    if length == CHUNKED:
        return Chunked()
    return UntilClose() if length == UNTIL_CLOSE else Length(length)
