"""HTTP/1.1 at the endpoint, row by row, over real sockets: what RFC 9110 and 9112 ask of a server.

The situations are those of the public list Http11Probe; sentences and bytes are ours (`support/http_rows`).
Which row or test here stands for which row of the list, and what is left out and why, is in
`support/http_list`.
"""

import sys
from collections.abc import Iterator

import pytest
from tests.support import http_list
from tests.support.endpoint import Endpoint
from tests.support.http_rows import (
    AGAIN,
    BODY,
    CHUNKED,
    CHUNKS,
    HOST,
    JSON,
    REFUSED,
    SIZE,
    TAKEN,
    get,
    post,
)
from tests.support.wire import answers, say

ROWS = {row[0] for row in (*REFUSED, *TAKEN)}


def named(what: str, section: str) -> str:
    """A row as it is shown: the RFC's section, the sentence, the list's names."""
    return " ".join([f"{section}: {what}", *http_list.ROWS.get(what, ())])


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """One endpoint for all rows: what a row breaks, the next one finds."""
    made = Endpoint(tmp_path_factory.mktemp("conformance"))
    made.start()
    made.engine("1")
    yield made.port
    made.close()


@pytest.mark.parametrize(
    ("raw", "status"), [pytest.param(raw, status, id=named(what, rfc)) for what, rfc, raw, status in REFUSED]
)
def test_refused(port: int, raw: bytes, status: int) -> None:
    """A whole answer that says why, in OpenAI's form, then the end of the connection."""
    (answer,) = answers(say(port, raw))
    assert answer.status == status, answer.body
    assert answer.json()["error"]["code"] == status
    assert answer.headers["connection"] == "close"
    assert "date" in answer.headers


@pytest.mark.parametrize("raw", [pytest.param(raw, id=named(what, rfc)) for what, rfc, raw in TAKEN])
def test_taken_and_the_next_request_begins_where_it_ends(port: int, raw: bytes) -> None:
    found = [one for one in answers(say(port, raw + AGAIN)) if one.status != 100]
    assert [one.status for one in found] == [200, 200], found
    if raw.startswith(b"POST"):
        assert found[0].json()["count"] == 2


@pytest.mark.parametrize("raw", [pytest.param(raw, id=named(what, rfc)) for what, rfc, raw in TAKEN])
def test_taken_byte_by_byte(port: int, raw: bytes) -> None:
    whole = raw + AGAIN
    found = [
        one
        for one in answers(say(port, *(whole[at : at + 1] for at in range(len(whole)))))
        if one.status != 100
    ]
    assert [one.status for one in found] == [200, 200], found


def test_every_row_of_the_list_is_here_or_is_left_out_for_a_reason() -> None:
    here = sys.modules[__name__]
    assert set(http_list.ROWS) <= ROWS
    assert all(hasattr(here, name) for name in http_list.TESTS)
    known = [one for part in http_list.PARTS for names in part.values() for one in names]
    assert len(known) == len(set(known)) == http_list.COUNT


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


def test_an_upgrade_in_http_1_0_is_no_upgrade(port: int) -> None:
    """9110 7.8: it is ignored."""
    offer = HOST + b"Connection: upgrade\r\nUpgrade: websocket\r\n"
    (answer,) = answers(say(port, get(b"GET /v1/models HTTP/1.0", offer)))
    assert (answer.status, answer.headers["connection"]) == (200, "close")


@pytest.mark.parametrize(
    ("line", "allowed"),
    [
        (b"DELETE /health", "GET, HEAD"),
        (b"POST /metrics", "GET, HEAD"),
        (b"GET /v1/completions", "POST"),
        (b"HEAD /v1/models", "GET"),
    ],
)
def test_a_method_that_a_route_has_not_is_405_and_says_which_it_has(
    port: int, line: bytes, allowed: str
) -> None:
    """9110 15.5.6."""
    said = say(port, get(line + b" HTTP/1.1", HOST + b"Connection: close\r\n"))
    (refused,) = answers(said, to_head=line.startswith(b"HEAD"))
    assert refused.status == 405
    assert allowed in refused.headers["allow"]


def test_what_an_answer_holds_has_a_type(port: int) -> None:
    """9110 8.3."""
    found = answers(say(port, get() + get(b"GET /nothing HTTP/1.1") + post(SIZE) + AGAIN))
    assert [one.headers["content-type"].partition(";")[0] for one in found if one.body] == [
        "application/json"
    ] * 3


def test_a_long_target_is_read(port: int) -> None:
    """9112 3: 8,000 bytes of a request line at least."""
    first, second = answers(say(port, get(b"GET /" + b"a" * 7900 + b" HTTP/1.1") + AGAIN))
    assert (first.status, second.status) == (404, 200)


@pytest.mark.parametrize("path", [b"/v1/models%00", b"/v1/models%0d%0aX-A:%201"])
def test_what_stands_for_a_control_character_finds_nothing_and_comes_back_nowhere(
    port: int, path: bytes
) -> None:
    """3986 2.1: it is decoded behind the parser, or not at all."""
    first, second = answers(say(port, get(b"GET " + path + b" HTTP/1.1") + AGAIN))
    assert (first.status, second.status) == (404, 200)
    assert "x-a" not in first.headers


@pytest.mark.parametrize(
    "raw", [post(b"Content-Length: 0\r\n", b""), post(b"", b""), post(CHUNKED, b"0\r\n\r\n")]
)
def test_a_body_of_no_bytes_is_one(port: int, raw: bytes) -> None:
    """9112 6.2, 6.3, 7.1: what the engine says of it is the engine's; the next request begins behind it."""
    first, second = answers(say(port, raw + AGAIN))
    assert (first.status, second.status) == (400, 200)
    assert "connection" not in first.headers or first.headers["connection"] != "close"


def test_bytes_behind_an_empty_body_are_the_next_request(port: int) -> None:
    """9112 6.2: they are no part of the body, and are not dropped."""
    first, second = answers(say(port, post(b"Content-Length: 0\r\n", b"X" + AGAIN)))
    assert (first.status, second.status) == (400, 501)


@pytest.mark.parametrize(("line", "status"), [(b"OPTIONS *", 204), (b"HEAD /health", 200)])
def test_a_body_that_nobody_wants_is_read(port: int, line: bytes, status: int) -> None:
    """9110 9.3.2, 9.3.7: the next request begins behind it."""
    said = say(port, line + b" HTTP/1.1\r\n" + HOST + SIZE + b"\r\n" + BODY + AGAIN)
    assert said.startswith(b"HTTP/1.1 %d" % status)
    assert said.count(b"HTTP/1.1 ") == 2
    assert b"HTTP/1.1 200" in said[9:]


@pytest.mark.parametrize("kinds", [(b"x/nothing",), (b"text/plain", b"text/html")])
def test_a_body_of_another_type_is_refused_and_the_connection_goes_on(
    port: int, kinds: tuple[bytes, ...]
) -> None:
    """9110 15.5.16, 5.3."""
    types = b"".join(b"Content-Type: " + kind + b"\r\n" for kind in kinds)
    raw = b"POST /v1/completions HTTP/1.1\r\n" + HOST + types + SIZE + b"\r\n" + BODY
    first, second = answers(say(port, raw + AGAIN))
    assert (first.status in (400, 415), second.status) == (True, 200)


def test_a_client_that_says_nothing_gets_nothing(port: int) -> None:
    assert say(port, shut=True) == b""


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
