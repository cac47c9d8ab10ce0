"""Requests over HTTP/1.1 as bytes, right and wrong: what is sent, the RFC's section, and the status of what
is refused."""

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


def _hidden() -> list[tuple[str, str, bytes, int]]:
    """Requests whose framing can be read in two ways, with another request where one of them ends.

    Refused with one answer and the end of the connection: what is hidden is never answered.
    """
    rows = []
    for what, section, framing in (
        ("chunks", "9112 6.1", SIZE + CHUNKED),
        ("a length with a plus and chunks", "9112 6.1", b"Content-Length: +31\r\n" + CHUNKED),
        ("a length with a letter and chunks", "9112 6.1", b"Content-Length: 31x\r\n" + CHUNKED),
        ("a folded coding and a length", "9112 5.2", SIZE + b"Transfer-Encoding:\r\n chunked\r\n"),
        ("chunks with a space behind, and a length", "9112 6.1", SIZE + b"Transfer-Encoding: chunked \r\n"),
        ("chunks behind a comma, and a length", "9112 6.1", SIZE + b"Transfer-Encoding: , chunked\r\n"),
        ("chunks behind a tab, and a length", "9112 6.1", SIZE + b"Transfer-Encoding:\tchunked\r\n"),
        ("chunks in capitals, and a length", "9112 6.1", SIZE + b"Transfer-Encoding: Chunked\r\n"),
        ("chunks twice, and a length", "9112 6.1", SIZE + CHUNKED + CHUNKED),
        ("two lengths", "9110 8.6", b"Content-Length: 0\r\n" + SIZE),
    ):
        for method in (b"GET", b"HEAD"):
            hidden = get(method + b" /health HTTP/1.1")
            name = f"{method.decode()} hidden behind {what}"
            rows.append((name, section, post(framing, b"0\r\n\r\n" + hidden), 400))
    size = b"Content-Length: 4\r\n"
    hidden = get(b"GET /health HTTP/1.1")
    inside = b"%x\r\n" % len(hidden) + hidden + b"\r\n0\r\n\r\n"
    rows.append(
        ("GET hidden in a chunk behind a short length", "9112 6.1", post(CHUNKED + size, inside), 400)
    )
    return rows


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
    ("a space in the target", "9112 3.2", get(b"GET /v1/mo dels HTTP/1.1"), 400),
    ("a backslash in the target", "9112 3.2", get(b"GET /v1\\models HTTP/1.1"), 400),
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
    ("TRACE with a body", "9110 9.3.8", b"TRACE /v1/models HTTP/1.1\r\n" + HOST + SIZE + b"\r\n" + BODY, 501),
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
    ("a space before the length's colon", "9112 5.1", post(b"Content-Length : 31\r\n"), 400),
    ("a tab in the length's name", "9112 5", post(b"Content\tLength: 31\r\n"), 400),
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
    ("the same length three times in one header", "9110 8.6", post(b"Content-Length: 31, 31, 31\r\n"), 400),
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
    ("a coding with NUL", "9112 6.1", post(b"Transfer-Encoding: chunked\0\r\n", CHUNKS), 400),
    ("a folded coding", "9112 5.2", post(b"Transfer-Encoding:\r\n chunked\r\n", CHUNKS), 400),
    (
        "a folded coding and a length, on OPTIONS",
        "9112 5.2",
        b"OPTIONS /v1/models HTTP/1.1\r\n"
        + HOST
        + b"Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n\r\nhello",
        400,
    ),
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
    ("a chunk size with a plus", "9112 7.1", post(CHUNKED, b"+1f\r\n" + BODY + b"\r\n0\r\n\r\n"), 400),
    ("a last chunk with a plus", "9112 7.1", post(CHUNKED, b"+0\r\n\r\nX"), 400),
    ("a chunk size before a space", "9112 7.1", post(CHUNKED, b"1f \r\n" + BODY + b"\r\n0\r\n\r\n"), 400),
    ("a chunk size over a machine word", "9112 7.1", post(CHUNKED, b"f" * 17 + b"\r\n" + BODY), 400),
    ("no chunk size", "9112 7.1", post(CHUNKED, b"\r\n" + BODY), 400),
    ("a chunk longer than it says", "9112 7.1", post(CHUNKED, b"5\r\n" + BODY + b"\r\n0\r\n\r\n"), 400),
    ("a chunk without its line ending", "9112 7.1", post(CHUNKED, b"1f\r\n" + BODY + b"0\r\n\r\n"), 400),
    ("LF after a chunk size", "9112 7.1", post(CHUNKED, b"1f\n" + BODY + b"\r\n0\r\n\r\n"), 400),
    ("LF after a chunk", "9112 7.1", post(CHUNKED, b"1f\r\n" + BODY + b"\n0\r\n\r\n"), 400),
    ("CR after a chunk size", "9112 2.2", post(CHUNKED, b"1f\r" + BODY + b"\r\n0\r\n\r\n"), 400),
    ("a bare semicolon", "9112 7.1.1", post(CHUNKED, b"1f;\r\n" + BODY + b"\r\n0\r\n\r\n"), 400),
    (
        "a chunk extension that is no token",
        "9112 7.1.1",
        post(CHUNKED, b"1f;a[=b\r\n" + BODY + b"\r\n0\r\n\r\n"),
        400,
    ),
    ("NUL in a chunk extension", "9112 7.1.1", post(CHUNKED, b"1f;a=\0\r\n" + BODY + b"\r\n0\r\n\r\n"), 400),
    ("CR in a chunk extension", "9112 2.2", post(CHUNKED, b"1f;a\rb\r\n" + BODY + b"\r\n0\r\n\r\n"), 400),
    ("LF in a chunk extension", "9112 2.2", post(CHUNKED, b"1f;a\nb\r\n" + BODY + b"\r\n0\r\n\r\n"), 400),
    ("an extension of 64 KiB", "9112 7.1.1", post(CHUNKED, b"1f;a=" + b"b" * 65536 + b"\r\n"), 400),
    ("LF after a trailer", "9112 2.2", post(CHUNKED, CHUNKS[:-2] + b"X: 1\n\r\n"), 400),
    ("a trailer that is no header", "9112 7.1.2", post(CHUNKED, CHUNKS[:-2] + b"nothing\r\n\r\n"), 400),
    ("trailers without end", "9112 7.1.2", post(CHUNKED, CHUNKS[:-2] + b"X: 1\r\n" * 12000), 400),
    *_hidden(),
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
    ("a range that is none", "9110 14.2", get(headers=HOST + b"Range: bytes=abc-xyz\r\n")),
    (
        "a thousand ranges over each other",
        "9110 14.2",
        get(headers=HOST + b"Range: bytes=" + b",".join([b"0-"] * 1000) + b"\r\n"),
    ),
    ("a range on POST", "9110 14.2", post(SIZE + b"Range: bytes=0-1\r\n")),
    ("a type nobody knows in Accept", "9110 12.5.1", get(headers=HOST + b"Accept: x/nothing\r\n")),
    ("an empty Cookie", "6265 5.4", get(headers=HOST + b"Cookie: \r\n")),
    ("a Cookie that is none", "6265 5.4", get(headers=HOST + b"Cookie: ===;;;\r\n")),
    (
        "a Cookie of a thousand pairs",
        "6265 5.4",
        get(headers=HOST + b"Cookie: " + b"; ".join([b"a=b"] * 1000) + b"\r\n"),
    ),
    ("two Cookies", "6265 5.4", get(headers=HOST + b"Cookie: a=b\r\nCookie: c=d\r\n")),
    ("a body with its length", "9112 6.2", post(SIZE)),
    ("a tab before the length", "9110 5.6.3", post(b"Content-Length:\t31\r\n")),
    ("spaces around the length", "9110 5.5", post(b"Content-Length:   31  \r\n")),
    ("a body in a chunk", "9112 7.1", post(CHUNKED, CHUNKS)),
    ("a tab before chunked", "9110 5.5", post(b"Transfer-Encoding:\tchunked\r\n", CHUNKS)),
    ("a space behind chunked", "9110 5.5", post(b"Transfer-Encoding: chunked \r\n", CHUNKS)),
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
        post(
            CHUNKED,
            CHUNKS[:-2]
            + b"Content-Length: 5\r\nTransfer-Encoding: gzip\r\nHost: x\r\nAuthorization: x\r\nContent-Type: "
            b"x/y\r\n\r\n",
        ),
    ),
    ("an expectation that is met", "9110 10.1.1", post(SIZE + b"Expect: 100-continue\r\n")),
    (
        "headers that are named like framing",
        "9110 5.1",
        post(SIZE + b"Content_Length: 5\r\nTransfer_Encoding: x\r\n"),
    ),
    ("a body on GET", "9110 9.3.1", b"GET /v1/models HTTP/1.1\r\n" + HOST + SIZE + b"\r\n" + BODY),
    (
        "the beginning of a request as body of GET",
        "9110 9.3.1",
        b"GET /v1/models HTTP/1.1\r\n"
        + HOST
        + b"Content-Length: 42\r\n\r\nGET /v1/models HTTP/1.1\r\nHost: localhost\r\n",
    ),
]
