"""HTTP/1.1 as RFC 9112 writes it, without a socket: heads out of bytes, for both sides. `framing` reads
bodies.

What is not exactly the grammar is refused and never repaired: two programs that repair it differently see two
different requests. Limits stand here too, so that no peer makes us hold more than a head's worth of bytes.
"""

import re
from typing import NamedTuple

Headers = list[tuple[bytes, bytes]]
MAX_LINE = 16 * 1024  # a request line; RFC 9112 3 asks for 8,000 bytes at least
MAX_HEAD = 64 * 1024
CHUNKED = -1  # in place of a length
UNTIL_CLOSE = -2
METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"})

TOKEN_BYTES = rb"!#$%&'*+\-.^_`|~0-9A-Za-z"
_TOKEN = re.compile(rb"[%b]++" % TOKEN_BYTES)
FIELDS = re.compile(rb"(?:[%b]++:[\t\x20-\x7e\x80-\xff]*+\r\n)*+" % TOKEN_BYTES)
_REQUEST_LINE = re.compile(rb"([%b]++) ([\x21-\x5b\x5d-\x7e]++) HTTP/([0-9])\.([0-9])" % TOKEN_BYTES)
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*+)?")
BARE = re.compile(rb"\r[^\n]|(?<!\r)\n")
_HOST = re.compile(rb"(?:\[[0-9A-Za-z:.%_~\-]++\]|[0-9A-Za-z\-._~%]++)(?::[0-9]{0,5})?")
_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?#]++)([/?][^#]*+)?")
_LENGTH = re.compile(rb"0|[1-9][0-9]{0,17}")
_EMPTY_LINES = re.compile(rb"(?:\r\n)++")
_ONCE = (b"host", b"content-length")
_LISTS = (b"transfer-encoding", b"connection", b"expect")


class Malformed(Exception):
    """A message that is refused: the status that says so, and why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


class Head(NamedTuple):
    """A request's head. `target` is in origin form, or `*`; header names are lower case, `named` has one
    value each.

    old: HTTP/1.0. length: bytes of the body, or CHUNKED. expects: it waits for 100 before it sends its body.
    """

    method: str
    target: bytes
    headers: Headers
    named: dict[bytes, bytes]
    old: bool
    keep_alive: bool
    length: int
    expects: bool


class Answer(NamedTuple):
    """An answer's head. length: bytes of the body, CHUNKED or UNTIL_CLOSE."""

    status: int
    headers: Headers
    keep_alive: bool
    length: int


def without_empty_lines(data: bytes) -> bytes:
    """What follows the empty lines that may stand before a request: RFC 9112 2.2."""
    return data[found.end() :] if (found := _EMPTY_LINES.match(data)) else data


def split_head(data: bytes, looked: int = 0) -> tuple[bytes, bytes, int] | None:
    """The first line, the header block and where the body begins; None while it is not all here.

    looked: bytes at the beginning that were looked at before, when the rest was not here.
    Raises: Malformed, as soon as what is here can be no head.
    """
    end = data.find(b"\r\n\r\n", max(0, looked - 3), MAX_LINE + MAX_HEAD + 4)
    line_end = data.find(b"\r\n", 0, MAX_LINE + 2)
    if line_end < 0 and len(data) > MAX_LINE + 1:
        raise Malformed(414, f"the request line is longer than {MAX_LINE} bytes")
    if max(end, len(data) if end < 0 else 0) - line_end > MAX_HEAD + 2:
        raise Malformed(431, f"the headers are larger than {MAX_HEAD} bytes")
    if end < 0:
        if BARE.search(data, max(0, looked - 1)):
            raise Malformed(400, "a line ends in CR and LF, never in one of them")
        return None
    return data[:line_end], data[line_end + 2 : end + 2], end + 4


def fields(block: bytes) -> Headers:
    """The headers of a block of whole lines, names in lower case. Raises: Malformed (400)."""
    if not FIELDS.fullmatch(block):
        raise Malformed(400, "a header is not `name: value` in plain characters on one line")
    parts = [line.partition(b":") for line in block.split(b"\r\n")[:-1]]
    return [(name.lower(), value.strip(b" \t")) for name, _, value in parts]


def request_line(line: bytes) -> tuple[bytes, bytes, bool]:
    """Method, target, and whether it is HTTP/1.0. Raises: Malformed (400, 501, 505)."""
    found = _REQUEST_LINE.fullmatch(line)
    if found is None:
        raise Malformed(400, "the first line is not `METHOD target HTTP/1.1`")
    method, target, major, minor = found.groups()
    if major != b"1":
        raise Malformed(505, f"HTTP/{major.decode()} is not spoken here: HTTP/1.1 is")
    if method not in METHODS:
        raise Malformed(501, f"the method {method[:32].decode()} is not implemented")
    return method, target, minor == b"0"


def begins_well(data: bytes) -> None:
    """Looks at the beginning of a head that is not whole yet. Raises: Malformed."""
    if not _TOKEN.match(data):
        raise Malformed(400, "this is not HTTP")
    end = data.find(b"\r\n", 0, MAX_LINE + 2)
    if end >= 0:
        request_line(data[:end])


def request_head(line: bytes, block: bytes) -> Head:
    """A request's head out of its parts. Raises: Malformed, with the status that says what is wrong."""
    method, target, old = request_line(line)
    headers = fields(block)
    named = _named(headers)
    target, authority = _target(method, target)
    host = named.get(b"host")
    if (host is None and not old) or (host is not None and not _HOST.fullmatch(host)):
        raise Malformed(400, "a request has one Host header with one host in it")
    if authority is not None:  # RFC 9112 3.2.2: it stands in the place of Host
        headers = [(b"host", authority), *(pair for pair in headers if pair[0] != b"host")]
        named[b"host"] = authority
    length = _framing(named, old)
    expects = _expects(named, old) and length != 0
    return Head(method.decode(), target, headers, named, old, _keeps(named, old), length, expects)


def answer_head(line: bytes, block: bytes) -> Answer:
    """An answer's head out of its parts, to a request that was no HEAD. Raises: Malformed."""
    found = _STATUS_LINE.fullmatch(line)
    if found is None:
        raise Malformed(502, "the first line is not `HTTP/1.1 status reason`")
    old, status = found[1] == b"0", int(found[2])
    headers = fields(block)
    named = _named(headers)
    length = _framing(named, old)
    if status < 200 or status in (204, 304):
        length = 0
    elif b"content-length" not in named and b"transfer-encoding" not in named:
        length = UNTIL_CLOSE
    return Answer(status, headers, _keeps(named, old) and length != UNTIL_CLOSE, length)


def _named(headers: Headers) -> dict[bytes, bytes]:
    """One value a name. Raises: Malformed (400), where two would say two things about the same message."""
    named = dict(headers)
    if len(named) < len(headers):
        for name in _LISTS:
            values = [value for key, value in headers if key == name]
            if len(values) > 1:
                named[name] = b", ".join(values)
        for name in _ONCE:
            if sum(key == name for key, _ in headers) > 1:
                raise Malformed(400, f"{name.decode()} stands there twice")
    return named


def _target(method: bytes, target: bytes) -> tuple[bytes, bytes | None]:
    """The target in origin form, and the authority where it came in absolute form."""
    if target[:1] == b"/" and b"#" not in target:
        return target, None
    if target == b"*" and method == b"OPTIONS":
        return target, None
    found = _ABSOLUTE.fullmatch(target)
    if found is None or not _HOST.fullmatch(found[1]):
        raise Malformed(400, "the target is neither a path nor an http:// address")
    rest = found[2] or (b"*" if method == b"OPTIONS" else b"/")
    return (b"/" + rest if rest[:1] == b"?" else rest), found[1]


def _framing(named: dict[bytes, bytes], old: bool) -> int:
    codings, length = named.get(b"transfer-encoding"), named.get(b"content-length")
    if codings is not None:
        if length is not None or old:
            raise Malformed(400, "Transfer-Encoding stands beside Content-Length, or in HTTP/1.0")
        return CHUNKED if codings == b"chunked" else _chunked(codings)
    if length is None:
        return 0
    if not _LENGTH.fullmatch(length):
        raise Malformed(400, "Content-Length is not one plain number")
    return int(length)


def _chunked(value: bytes) -> int:
    names = [name for part in value.split(b",") if (name := part.strip(b" \t").lower())]
    if names == [b"chunked"]:
        return CHUNKED
    if not names or b"chunked" in names[:-1] or not all(map(_TOKEN.fullmatch, names)):
        raise Malformed(400, "Transfer-Encoding does not end in chunked, once")
    raise Malformed(501, "of the transfer codings chunked alone is implemented")


def _keeps(named: dict[bytes, bytes], old: bool) -> bool:
    value = named.get(b"connection")
    if value is None:
        return not old
    options = {name.strip(b" \t") for name in value.lower().split(b",")}
    return b"close" not in options and (not old or b"keep-alive" in options)


def _expects(named: dict[bytes, bytes], old: bool) -> bool:
    value = named.get(b"expect")
    if value is None or old:
        return False
    if value.lower() != b"100-continue":
        raise Malformed(417, "of the expectations 100-continue alone is met")
    return True
