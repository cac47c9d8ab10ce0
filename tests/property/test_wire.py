"""Laws of the wire: portions do not matter, and what is taken is what llhttp takes, as it takes it."""

from typing import Any

import httptools
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stoker.system.framing import Chunked, Length, body_reader, whole_chunks
from stoker.system.wire import (
    CHUNKED,
    Headers,
    Malformed,
    answer_head,
    begins_well,
    fields,
    request_head,
    split_head,
)

PIECES = [
    b"GET",
    b"POST",
    b"OPTIONS",
    b"get",
    b" ",
    b"  ",
    b"/",
    b"/v1?x=1",
    b"*",
    b"http://a/b",
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"HTTP/2.0",
    b"\r\n",
    b"\n",
    b"\r",
    b"Host: a",
    b"host:b",
    b"Host : a",
    b"X: 1",
    b"X:\t2 ",
    b" folded",
    b": ",
    b"\0",
    b"Content-Length: 3",
    b"Content-Length: 03",
    b"Content-Length: +3",
    b"Content-Length: 3, 3",
    b"Connection: close",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: ,chunked",
    b"\xff",
    b"abc",
    b"3\r\nabc\r\n",
    b"3;a=b\r\nabc\r\n",
    b"0\r\n\r\n",
    b"0x3\r\nabc\r\n",
    b"3\r\nabcd\r\n",
    b"0\r\nX: 1\r\n\r\n",
    b"\r\n\r\n",
]
TRANSCRIPTS = st.lists(st.sampled_from(PIECES), max_size=14).map(b"".join)
LIKELY = st.builds(
    lambda line, host, rest, body: (
        line + b"\r\n" + b"".join(h + b"\r\n" for h in [host, *rest]) + b"\r\n" + body
    ),
    st.sampled_from([b"GET / HTTP/1.1", b"POST /x HTTP/1.1", b"POST /x HTTP/1.0", b"OPTIONS * HTTP/1.1"]),
    st.sampled_from([b"Host: a", b"host:b", b"Host: a:80"]),
    st.lists(
        st.sampled_from([piece for piece in PIECES if b":" in piece and b"\r" not in piece]), max_size=3
    ),
    st.lists(st.sampled_from(PIECES), max_size=4).map(b"".join),
)


def ours(data: bytes) -> tuple[str, bytes, Headers, bytes, bytes] | None:
    """Method, target, headers, body and what follows; None where it is refused or not whole."""
    try:
        parts = split_head(data)
        if parts is None:
            return None
        head = request_head(parts[0], parts[1])
        body, rest = body_reader(head.length).feed(data[parts[2] :])
    except Malformed:
        return None
    return None if rest is None else (head.method, head.target, head.headers, body, rest)


class Theirs:
    """What llhttp sees of the first request."""

    def __init__(self, data: bytes) -> None:
        self.target, self.body, self.done, self.failed = b"", b"", False, False
        self.headers: list[Any] = []
        self._head = True
        parser = httptools.HttpRequestParser(self)
        try:
            for at in range(len(data)):
                parser.feed_data(data[at : at + 1])
                if self.done:
                    break
        except httptools.HttpParserUpgrade:
            self.done = True
        except httptools.HttpParserError:
            self.failed = not self.done

    def on_url(self, data: bytes) -> None:
        self.target += data

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head:
            self.headers.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self._head = False

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.done = True


@given(st.one_of(LIKELY, TRANSCRIPTS))
@settings(max_examples=600)
@example(b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
@example(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET")
def test_what_we_take_llhttp_takes_and_reads_the_same(data: bytes) -> None:
    mine = ours(data)
    if mine is None or b"Transfer-Encoding: ," in data:  # an empty list element: RFC 9110 5.6.1 lets it pass
        return
    theirs = Theirs(data)
    assert theirs.done
    assert not theirs.failed
    if not theirs.target.startswith(b"http"):
        assert (theirs.target, theirs.headers) == mine[1:3]
    assert theirs.body == mine[3]


@given(st.one_of(LIKELY, TRANSCRIPTS), st.integers(1, 7))
@settings(max_examples=300)
def test_a_head_is_the_same_in_any_portions(data: bytes, step: int) -> None:
    """What is refused early is refused late, too; what is whole is whole once it is all here."""
    early: Any = None
    looked = 0
    for end in range(step, len(data) + step, step):
        try:
            parts, looked = split_head(data[:end], looked), end
            if parts is None and len(data[:end]) > 1 and not data.startswith(b"\r"):
                begins_well(data[:end])
        except Malformed:
            early = "refused"
            break
        if parts is not None:
            early = parts
            break
    if early is None:
        return
    if early == "refused":
        assert ours(data) is None
    else:
        assert split_head(data) == early


BODIES = st.lists(st.binary(min_size=1, max_size=40), max_size=6)
ENDINGS = st.sampled_from([b"0\r\n\r\n", b"000;x\r\n\r\n", b"0\r\nA: 1\r\nB: 2\r\n\r\n"])


@given(BODIES, ENDINGS, st.integers(1, 50), st.sampled_from([b"", b";a", b'; a = "b;c"']))
def test_chunks_are_the_same_in_any_portions(
    parts: list[bytes], ending: bytes, step: int, extension: bytes
) -> None:
    wire = b"".join(b"%X%b\r\n%b\r\n" % (len(part), extension, part) for part in parts) + ending + b"NEXT"
    reader, body, rest = Chunked(), b"", None
    for at in range(0, len(wire), step):
        piece = wire[at : at + step]
        if rest is not None:
            rest += piece
            continue
        mine, rest = reader.feed(piece)
        body += mine
    assert (body, rest) == (b"".join(parts), b"NEXT")


@given(BODIES, st.booleans())
def test_whole_chunks_are_whole(parts: list[bytes], cut: bool) -> None:
    wire = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    assert whole_chunks(wire)
    if wire:
        assert not whole_chunks(wire[:-1])
    assert not whole_chunks(wire + b"0\r\n\r\n")
    reader = Chunked()
    assert reader.feed(wire) == (b"".join(parts), None)
    assert reader.fresh


@pytest.mark.parametrize(
    "text", [b"0x3\r\nabc\r\n", b"3_\r\nabc\r\n", b" 3\r\nabc\r\n", b"3\r\nabcd\r", b"3;a\r\nabc\r\n"]
)
def test_what_is_not_plain_is_not_passed_on(text: bytes) -> None:
    assert not whole_chunks(text)


@given(st.binary(max_size=60), st.integers(0, 60), st.integers(1, 9))
def test_a_length_is_a_length(data: bytes, length: int, step: int) -> None:
    reader, body, rest = Length(length), b"", b"" if not length else None
    for at in range(0, len(data), step):
        piece = data[at : at + step]
        if rest is not None:
            rest += piece
            continue
        mine, rest = reader.feed(piece)
        body += mine
    if len(data) >= length:
        assert (body, rest) == (data[:length], data[length:])
    else:
        assert (body, rest) == (data, None)


def refused(read: Any, data: bytes) -> int:
    """The status it is refused with; 0 where it is taken."""
    try:
        read(data)
    except Malformed as error:
        return error.status
    return 0


@given(st.binary(max_size=200))
def test_no_bytes_are_more_than_refused(data: bytes) -> None:
    assert refused(fields, data) in (0, 400)
    assert refused(lambda raw: answer_head(raw, b""), data) in (0, 502)
    assert refused(lambda raw: request_head(raw, b"Host: a\r\n"), data) in (0, 400, 501, 505)
    assert refused(lambda raw: body_reader(CHUNKED).feed(raw), data) in (0, 400)
