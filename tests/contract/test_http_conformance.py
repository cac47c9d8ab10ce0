"""HTTP/1.1 at the endpoint, row by row, over real sockets: what RFC 9110 and 9112 ask of a server.

The situations are those of the public list Http11Probe (its requirement dashboard, suites Compliance,
Smuggling, Malformed and Normalization); sentences and bytes are ours. A row is: what is sent, the status, the
RFC's section.
"""

from collections.abc import Iterator

import pytest
from tests.support.endpoint import Endpoint
from tests.support.wire import answers, say

HOST = b"Host: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"
BODY = b'{"model": "m", "prompt": "a b"}'
SIZE = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"1f\r\n" + BODY + b"\r\n0\r\n\r\n"
AGAIN = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def get(line: bytes = b"GET /v1/models HTTP/1.1", headers: bytes = HOST) -> bytes:
    return line + b"\r\n" + headers + b"\r\n"


def post(headers: bytes, body: bytes = BODY, version: bytes = b"1.1") -> bytes:
    return b"POST /tokenize HTTP/" + version + b"\r\n" + HOST + JSON + headers + b"\r\n" + body


REFUSED = [
    # the request line
    ("a bare LF after the request line", "9112 2.2", b"GET /v1/models HTTP/1.1\n" + HOST + b"\r\n", 400),
    ("a bare LF everywhere", "9112 2.2", b"GET /v1/models HTTP/1.1\nHost: localhost\n\n", 400),
    ("CR alone as line ending", "9112 2.2", b"GET /v1/models HTTP/1.1\rHost: localhost\r\r", 400),
    ("whitespace before the first header", "9112 2.2", get(headers=b" Host: localhost\r\n"), 400),
    ("a whitespace line in place of the request line", "9112 2.2", b"   \r\n\r\n", 400),
    ("binary garbage", "9112 2.2", bytes(range(128, 160)) * 4, 400),
    ("a TLS greeting", "9112 2.2", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ("HTTP/0.9", "9112 2.3", b"GET /v1/models\r\n", 400),
    ("a version that is none", "9112 2.3", get(b"GET /v1/models HTTP/x.y"), 400),
    ("a version without its minor part", "9112 2.3", get(b"GET /v1/models HTTP/1"), 400),
    ("a version with leading zeros", "9112 2.3", get(b"GET /v1/models HTTP/01.01"), 400),
    ("a version with a space in it", "9112 2.3", get(b"GET /v1/models HTTP/ 1.1"), 400),
    ("a version in lower case", "9112 2.3", get(b"GET /v1/models http/1.1"), 400),
    ("HTTP/2 in a request line", "9110 15.6.6", get(b"GET /v1/models HTTP/2.0"), 505),
    ("HTTP/2's preface", "9113 3.4", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ("two spaces in the request line", "9112 3", get(b"GET  /v1/models HTTP/1.1"), 400),
    ("a tab in the request line", "9112 3", get(b"GET\t/v1/models\tHTTP/1.1"), 400),
    ("a space after the version", "9112 3", get(b"GET /v1/models HTTP/1.1 "), 400),
    ("no target", "9112 3", get(b"GET HTTP/1.1"), 400),
    ("a target without a slash", "9112 3.2", get(b"GET v1/models HTTP/1.1"), 400),
    ("a fragment in the target", "9112 3.2", get(b"GET /v1/models#x HTTP/1.1"), 400),
    ("NUL in the target", "9112 3.2", get(b"GET /v1/\0models HTTP/1.1"), 400),
    ("bytes over ASCII in the target", "9112 3.2", get(b"GET /v1/m\xc3\xb6dels HTTP/1.1"), 400),
    ("overlong UTF-8 in the target", "3629 3", get(b"GET /v1/\xc0\xaf HTTP/1.1"), 400),
    ("a target over the limit", "9112 3", get(b"GET /" + b"a" * 20000 + b" HTTP/1.1"), 414),
    ("a target that has no end", "9112 3", b"GET /" + b"a" * 70000, 414),
    ("an asterisk for another method than OPTIONS", "9112 3.2.4", get(b"GET * HTTP/1.1"), 400),
    ("an address of another scheme", "9112 3.2.2", get(b"GET ftp://localhost/v1/models HTTP/1.1"), 400),
    ("an address with a user in it", "9110 4.2.4", get(b"GET http://u@localhost/v1/models HTTP/1.1"), 400),
    ("an authority for another method than CONNECT", "9112 3.2.3", get(b"GET localhost:80 HTTP/1.1"), 400),
    ("CONNECT", "9110 9.3.6", get(b"CONNECT localhost:80 HTTP/1.1"), 501),
    ("TRACE", "9110 9.3.8", get(b"TRACE /v1/models HTTP/1.1"), 501),
    ("a method nobody knows", "9110 9.1", get(b"BREW /v1/models HTTP/1.1"), 501),
    ("a method in lower case", "9110 9.1", get(b"get /v1/models HTTP/1.1"), 501),
    ("a long method", "9112 3", get(b"A" * 1000 + b" /v1/models HTTP/1.1"), 501),
    ("a method that is no token", "9110 9.1", get(b"G(T /v1/models HTTP/1.1"), 400),
    # Host
    ("no Host", "9112 3.2", get(headers=b""), 400),
    ("two Hosts", "9112 3.2", get(headers=HOST + b"Host: other\r\n"), 400),
    ("the same Host twice", "9112 3.2", get(headers=HOST + HOST), 400),
    ("an empty Host", "9110 7.2", get(headers=b"Host: \r\n"), 400),
    ("two names in one Host", "9110 7.2", get(headers=b"Host: localhost, other\r\n"), 400),
    ("a Host with a user", "9112 3.2", get(headers=b"Host: u@localhost\r\n"), 400),
    ("a Host with a path", "9112 3.2", get(headers=b"Host: localhost/v1\r\n"), 400),
    ("a Host with a port that is none", "9112 3.2", get(headers=b"Host: localhost:http\r\n"), 400),
    # headers
    ("a space before the colon", "9112 5.1", get(headers=b"Host : localhost\r\n"), 400),
    ("a tab in a name", "9112 5", get(headers=HOST + b"X\tY: 1\r\n"), 400),
    ("a folded header", "9112 5.2", get(headers=HOST + b"X-A: 1\r\n 2\r\n"), 400),
    ("an empty name", "9112 5", get(headers=HOST + b": 1\r\n"), 400),
    ("a name with brackets", "9110 5.6.2", get(headers=HOST + b"X[a]: 1\r\n"), 400),
    ("a name over ASCII", "9110 5.1", get(headers=HOST + b"X-\xc3\xa4: 1\r\n"), 400),
    ("no colon", "9112 5", get(headers=HOST + b"X-Nothing\r\n"), 400),
    ("NUL in a value", "9110 5.5", get(headers=HOST + b"X-A: a\0b\r\n"), 400),
    ("CR in a value", "9112 2.2", get(headers=HOST + b"X-A: a\rb\r\n"), 400),
    ("LF in a value", "9112 2.2", get(headers=HOST + b"X-A: a\nb\r\n"), 400),
    ("another control character in a value", "9110 5.5", get(headers=HOST + b"X-A: a\x01b\r\n"), 400),
    ("a value over the limit", "9110 5.4", get(headers=HOST + b"X-A: " + b"a" * 70000 + b"\r\n"), 431),
    ("a value that has no end", "9110 5.4", b"GET / HTTP/1.1\r\n" + HOST + b"X-A: " + b"a" * 70000, 431),
    ("a name over the limit", "9110 5.4", get(headers=HOST + b"a" * 70000 + b": 1\r\n"), 431),
    ("ten thousand headers", "6585 5", get(headers=HOST + b"X-A: 1\r\n" * 10000), 431),
    ("an expectation nobody knows", "9110 10.1.1", post(SIZE + b"Expect: 200-ok\r\n"), 417),
    # Content-Length
    ("a length in words", "9112 6.3", post(b"Content-Length: abc\r\n"), 400),
    ("an empty length", "9110 8.6", post(b"Content-Length: \r\n"), 400),
    ("a length with a plus", "9110 8.6", post(b"Content-Length: +31\r\n"), 400),
    ("a length below zero", "9110 8.6", post(b"Content-Length: -1\r\n"), 400),
    ("a zero below zero", "9110 8.6", post(b"Content-Length: -0\r\n"), 400),
    ("a length with an underscore", "9110 8.6", post(b"Content-Length: 3_1\r\n"), 400),
    ("a length in octal", "9110 8.6", post(b"Content-Length: 0o37\r\n"), 400),
    ("a length in hex", "9110 8.6", post(b"Content-Length: 0x1f\r\n"), 400),
    ("a length with leading zeros", "9110 8.6", post(b"Content-Length: 0031\r\n"), 400),
    ("a double zero", "9110 8.6", post(b"Content-Length: 00\r\n", b""), 400),
    ("a length with a space inside", "9110 8.6", post(b"Content-Length: 3 1\r\n"), 400),
    ("two lengths", "9112 6.3", post(SIZE + b"Content-Length: 5\r\n"), 400),
    ("two lengths in one header", "9112 6.3", post(b"Content-Length: 31, 5\r\n"), 400),
    ("the same length twice in one header", "9110 8.6", post(b"Content-Length: 31, 31\r\n"), 400),
    ("a length of twenty-five digits", "9110 8.6", post(b"Content-Length: " + b"9" * 25 + b"\r\n"), 400),
    ("a length over what is taken", "9110 15.5.14", post(b"Content-Length: 999999999999\r\n", b""), 413),
    # Transfer-Encoding
    ("a length and chunks", "9112 6.1", post(SIZE + CHUNKED, CHUNKS), 400),
    ("chunks and a length", "9112 6.1", post(CHUNKED + SIZE, CHUNKS), 400),
    ("chunks in HTTP/1.0", "9112 6.1", post(CHUNKED, CHUNKS, b"1.0"), 400),
    (
        "chunked is not the last coding",
        "9112 6.3",
        post(b"Transfer-Encoding: chunked, gzip\r\n", CHUNKS),
        400,
    ),
    ("chunked twice", "9112 6.1", post(b"Transfer-Encoding: chunked, chunked\r\n", CHUNKS), 400),
    ("chunked twice, in two headers", "9112 6.1", post(CHUNKED + CHUNKED, CHUNKS), 400),
    ("chunked with a parameter", "9112 7", post(b"Transfer-Encoding: chunked;q=1\r\n", CHUNKS), 400),
    ("an empty coding", "9112 6.1", post(b"Transfer-Encoding: \r\n", CHUNKS), 400),
    ("a coding with a vertical tab", "9112 6.1", post(b"Transfer-Encoding: \x0bchunked\r\n", CHUNKS), 400),
    ("a coding with a form feed", "9112 6.1", post(b"Transfer-Encoding: chunked\x0c\r\n", CHUNKS), 400),
    ("a folded coding", "9112 5.2", post(b"Transfer-Encoding:\r\n chunked\r\n", CHUNKS), 400),
    ("a space before the coding's colon", "9112 5.1", post(b"Transfer-Encoding : chunked\r\n", CHUNKS), 400),
    ("another coding under chunked", "9112 6.1", post(b"Transfer-Encoding: gzip, chunked\r\n", CHUNKS), 501),
    ("a coding nobody knows", "9112 6.1", post(b"Transfer-Encoding: xchunked\r\n", CHUNKS), 501),
    ("identity", "9112 7", post(b"Transfer-Encoding: identity\r\n", CHUNKS), 501),
    # chunks
    ("a chunk size in words", "9112 7.1", post(CHUNKED, b"xyz\r\n\r\n"), 400),
    ("a chunk size with 0x", "9112 7.1", post(CHUNKED, b"0x1f\r\n" + BODY + b"\r\n0\r\n\r\n"), 400),
    ("a chunk size with an underscore", "9112 7.1", post(CHUNKED, b"1_f\r\n" + BODY + b"\r\n0\r\n\r\n"), 400),
    ("a chunk size after a space", "9112 7.1", post(CHUNKED, b" 1f\r\n" + BODY + b"\r\n0\r\n\r\n"), 400),
    ("a chunk size below zero", "9112 7.1", post(CHUNKED, b"-1f\r\n" + BODY + b"\r\n0\r\n\r\n"), 400),
    ("a chunk size over a machine word", "9112 7.1", post(CHUNKED, b"f" * 17 + b"\r\n" + BODY), 400),
    ("no chunk size", "9112 7.1", post(CHUNKED, b"\r\n" + BODY), 400),
    ("a chunk longer than it says", "9112 7.1", post(CHUNKED, b"5\r\n" + BODY + b"\r\n0\r\n\r\n"), 400),
    ("a chunk without its line ending", "9112 7.1", post(CHUNKED, b"1f\r\n" + BODY + b"0\r\n\r\n"), 400),
    ("LF after a chunk size", "9112 7.1", post(CHUNKED, b"1f\n" + BODY + b"\r\n0\r\n\r\n"), 400),
    ("LF after a chunk", "9112 7.1", post(CHUNKED, b"1f\r\n" + BODY + b"\n0\r\n\r\n"), 400),
    ("CR after a chunk size", "9112 2.2", post(CHUNKED, b"1f\r" + BODY + b"\r\n0\r\n\r\n"), 400),
    ("a bare semicolon", "9112 7.1.1", post(CHUNKED, b"1f;\r\n" + BODY + b"\r\n0\r\n\r\n"), 400),
    ("NUL in a chunk extension", "9112 7.1.1", post(CHUNKED, b"1f;a=\0\r\n" + BODY + b"\r\n0\r\n\r\n"), 400),
    ("CR in a chunk extension", "9112 2.2", post(CHUNKED, b"1f;a\rb\r\n" + BODY + b"\r\n0\r\n\r\n"), 400),
    ("LF in a chunk extension", "9112 2.2", post(CHUNKED, b"1f;a\nb\r\n" + BODY + b"\r\n0\r\n\r\n"), 400),
    ("an extension of 64 KiB", "9112 7.1.1", post(CHUNKED, b"1f;a=" + b"b" * 65536 + b"\r\n"), 400),
    ("LF after a trailer", "9112 2.2", post(CHUNKED, CHUNKS[:-2] + b"X: 1\n\r\n"), 400),
    ("a trailer that is no header", "9112 7.1.2", post(CHUNKED, CHUNKS[:-2] + b"nothing\r\n\r\n"), 400),
    ("trailers without end", "9112 7.1.2", post(CHUNKED, CHUNKS[:-2] + b"X: 1\r\n" * 12000), 400),
]

TAKEN = [
    ("a plain request", "9112 2", get()),
    ("empty lines before a request", "9112 2.2", b"\r\n\r\n" + get()),
    ("a minor version to come", "9112 2.3", get(b"GET /v1/models HTTP/1.2")),
    ("an address as target", "9112 3.2.2", get(b"GET http://localhost/v1/models HTTP/1.1")),
    (
        "an address as target, under another Host",
        "9112 3.2.2",
        get(b"GET http://localhost/v1/models HTTP/1.1", b"Host: elsewhere.example\r\n"),
    ),
    ("a Host with a port", "9110 7.2", get(headers=b"Host: localhost:8000\r\n")),
    ("no space after the colon", "9112 5", get(headers=b"Host:localhost\r\n")),
    ("space and tab around a value", "9112 5.1", get(headers=b"Host: \t localhost \t\r\n")),
    ("bytes over ASCII in a value", "9110 5.5", get(headers=HOST + b"X-A: \xc3\xa4\r\n")),
    (
        "an offer of another protocol",
        "9110 7.8",
        get(headers=HOST + b"Connection: upgrade\r\nUpgrade: foo/2\r\n"),
    ),
    ("WebSocket without the connection option", "9110 7.8", get(headers=HOST + b"Upgrade: h2c\r\n")),
    ("a range", "9110 14.2", get(headers=HOST + b"Range: bytes=0-1,0-1\r\n")),
    ("a body with its length", "9112 6.2", post(SIZE)),
    ("a tab before the length", "9110 5.6.3", post(b"Content-Length:\t31\r\n")),
    ("spaces around the length", "9110 5.5", post(b"Content-Length:   31  \r\n")),
    ("a body in a chunk", "9112 7.1", post(CHUNKED, CHUNKS)),
    ("chunked in capitals", "9112 7", post(b"TRANSFER-ENCODING: Chunked\r\n", CHUNKS)),
    ("empty elements beside chunked", "9110 5.6.1", post(b"Transfer-Encoding: , chunked ,\r\n", CHUNKS)),
    (
        "several chunks",
        "9112 7.1",
        post(CHUNKED, b"5\r\n" + BODY[:5] + b"\r\n1a\r\n" + BODY[5:] + b"\r\n0\r\n\r\n"),
    ),
    (
        "sizes in capitals, with leading zeros",
        "9112 7.1",
        post(CHUNKED, b"001F\r\n" + BODY + b"\r\n000\r\n\r\n"),
    ),
    ("extensions", "9112 7.1.1", post(CHUNKED, b'1f;a=b ;c="d;e"\r\n' + BODY + b"\r\n0;z\r\n\r\n")),
    ("trailers", "9112 7.1.2", post(CHUNKED, CHUNKS[:-2] + b"X-Sum: 1\r\n\r\n")),
    (
        "trailers with the names of framing",
        "9110 6.5.1",
        post(CHUNKED, CHUNKS[:-2] + b"Content-Length: 5\r\nTransfer-Encoding: gzip\r\nHost: x\r\n\r\n"),
    ),
    ("an expectation that is met", "9110 10.1.1", post(SIZE + b"Expect: 100-continue\r\n")),
    (
        "headers that are named like framing",
        "9110 5.1",
        post(SIZE + b"Content_Length: 5\r\nTransfer_Encoding: x\r\n"),
    ),
    ("a body on GET", "9110 9.3.1", b"GET /v1/models HTTP/1.1\r\n" + HOST + SIZE + b"\r\n" + BODY),
]


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """One endpoint for all rows: what a row breaks, the next one finds."""
    made = Endpoint(tmp_path_factory.mktemp("conformance"))
    made.start()
    made.engine("1")
    yield made.port
    made.close()


@pytest.mark.parametrize(
    ("raw", "status"), [pytest.param(row[2], row[3], id=f"{row[1]}: {row[0]}") for row in REFUSED]
)
def test_refused(port: int, raw: bytes, status: int) -> None:
    """A whole answer that says why, in OpenAI's form, then the end of the connection."""
    (answer,) = answers(say(port, raw))
    assert answer.status == status, answer.body
    assert answer.json()["error"]["code"] == status
    assert answer.headers["connection"] == "close"
    assert "date" in answer.headers


@pytest.mark.parametrize("raw", [pytest.param(row[2], id=f"{row[1]}: {row[0]}") for row in TAKEN])
def test_taken_and_the_next_request_begins_where_it_ends(port: int, raw: bytes) -> None:
    found = [one for one in answers(say(port, raw + AGAIN)) if one.status != 100]
    assert [one.status for one in found] == [200, 200], found
    if raw.startswith(b"POST"):
        assert found[0].json()["count"] == 2


@pytest.mark.parametrize("raw", [pytest.param(row[2], id=f"{row[1]}: {row[0]}") for row in TAKEN])
def test_taken_byte_by_byte(port: int, raw: bytes) -> None:
    whole = raw + AGAIN
    found = [
        one
        for one in answers(say(port, *(whole[at : at + 1] for at in range(len(whole)))))
        if one.status != 100
    ]
    assert [one.status for one in found] == [200, 200], found


# what one row cannot say


def test_options_of_the_server_as_a_whole(port: int) -> None:
    """9112 3.2.4, 9110 9.3.7."""
    for line in (b"OPTIONS * HTTP/1.1", b"OPTIONS http://localhost HTTP/1.1"):
        first, _ = answers(say(port, get(line) + AGAIN))
        assert (first.status, first.body) == (204, b"")
        assert "GET" in first.headers["allow"]
        assert "content-length" not in first.headers


def test_an_address_is_checked_as_host_is(port: int) -> None:
    """9112 3.2.2: the target's authority stands in the place of Host."""
    (answer,) = answers(
        say(port, get(b"GET http://evil.example/v1/models HTTP/1.1", HOST + b"Connection: close\r\n"))
    )
    assert answer.status == 403


def test_http_1_0_gets_no_chunks_and_the_end_of_the_connection(port: int) -> None:
    """9112 6.1, 9.3: a stream ends with the connection."""
    body = b'{"model": "m", "prompt": "a b", "stream": true, "max_tokens": 3}'
    head = b"POST /v1/completions HTTP/1.0\r\n" + JSON + b"Content-Length: %d\r\n\r\n" % len(body)
    (answer,) = answers(say(port, head + body))
    assert answer.status == 200
    assert "transfer-encoding" not in answer.headers
    assert answer.headers["connection"] == "close"
    assert answer.body.endswith(b"data: [DONE]\n\n")


def test_http_1_0_keeps_the_connection_only_where_it_asks(port: int) -> None:
    """9112 9.3."""
    (alone,) = answers(say(port, get(b"GET /v1/models HTTP/1.0")))
    assert (alone.status, alone.headers["connection"]) == (200, "close")
    asked = get(b"GET /v1/models HTTP/1.0", HOST + b"Connection: keep-alive\r\n")
    first, second = answers(say(port, asked + AGAIN))
    assert (first.headers["connection"], second.status) == ("keep-alive", 200)
    assert "content-length" in first.headers


def test_http_1_0_needs_no_host(port: int) -> None:
    """9112 3.2: only 1.1 must send it."""
    (answer,) = answers(say(port, b"GET /health HTTP/1.0\r\n\r\n"))
    assert answer.status == 200


def test_close_closes(port: int) -> None:
    """9112 9.6: nothing is read behind it."""
    found = answers(say(port, get(headers=HOST + b"Connection: Close\r\n") + get()))
    assert len(found) == 1


def test_head_has_the_headers_and_no_body(port: int) -> None:
    """9110 9.3.2."""
    found = answers(say(port, get(b"HEAD /metrics HTTP/1.1", HOST + b"Connection: close\r\n")), to_head=True)
    assert [one.status for one in found] == [200]
    assert int(found[0].headers["content-length"]) > 0


def test_100_is_said_before_a_body_and_not_behind_one(port: int) -> None:
    """9110 10.1.1."""
    import socket

    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(post(SIZE + b"Expect: 100-continue\r\nConnection: close\r\n", b""))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(BODY)
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
    (only,) = answers(say(port, post(SIZE + b"Expect: 100-continue\r\nConnection: close\r\n")))
    assert only.status == 200
    (old,) = answers(say(port, post(SIZE + b"Expect: 100-continue\r\n", version=b"1.0")))
    assert old.status == 200


def test_a_client_that_closed_its_side_gets_its_answer(port: int) -> None:
    """9112 9.6: one side may end first."""
    (answer,) = answers(say(port, post(SIZE), shut=True))
    assert answer.json()["count"] == 2
    found = answers(say(port, get() + get(), shut=True))
    assert [one.status for one in found] == [200, 200]


@pytest.mark.parametrize(
    "raw", [post(SIZE, BODY[:9]), post(CHUNKED, CHUNKS[:-5]), b"GET /v1/models HTTP/1.1\r\nHo"]
)
def test_a_request_that_ends_too_early_is_none(port: int, raw: bytes) -> None:
    """9112 8."""
    (answer,) = answers(say(port, raw, shut=True))
    assert answer.status == 400


def test_a_websocket_is_not_opened(port: int) -> None:
    """6455 4.2.2, 9110 7.8: never 101."""
    offer = HOST + b"Connection: upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 99\r\n"
    for line in (b"GET /v1/realtime HTTP/1.1", b"POST /v1/realtime HTTP/1.1"):
        (answer,) = answers(say(port, get(line, offer)))
        assert answer.status == 501


def test_an_answer_has_its_date_once(port: int) -> None:
    """9110 6.6.1: the engine's own, or ours."""
    for raw in (get(headers=HOST + b"Connection: close\r\n"), AGAIN, post(SIZE + b"Connection: close\r\n")):
        said = say(port, raw)
        assert said.lower().count(b"\r\ndate: ") == 1
        assert b" GMT\r\n" in said


def test_thousands_of_requests_at_once_are_answered_in_order(port: int) -> None:
    """9112 9.3.2; offers of another protocol among them, which end no parser and nest no call."""
    offer = b"Connection: upgrade\r\nUpgrade: h2c\r\n"
    many = get(b"GET /health HTTP/1.1", HOST + offer) * 5000 + post(offer + SIZE) + AGAIN
    found = answers(say(port, many, seconds=120))
    assert len(found) == 5002
    assert {one.status for one in found} == {200}
    assert found[-2].json()["count"] == 2
