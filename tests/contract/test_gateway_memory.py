"""What bodies cost the endpoint: their size, not several times of it, and nothing when they are gone."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import psutil
import pytest
from tests.support.bare import END, EVENTS, OK, Bare, chunk
from tests.support.endpoint import Endpoint, until
from tests.support.wire import answers, say

MIB = 1 << 20
HEAD = (
    b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: "
    b"close\r\n"
)
PIECE = b"x" * MIB


def held(endpoint: Endpoint) -> int:
    """Bytes of memory that the gateway's process has to itself."""
    return int(psutil.Process(endpoint.process.pid).memory_info().rss)


@contextlib.contextmanager
def highest(endpoint: Endpoint) -> Iterator[list[int]]:
    """The most that it held meanwhile, looked at all the time."""
    seen, done = [0], threading.Event()

    def look() -> None:
        while not done.wait(0.002):
            seen[0] = max(seen[0], held(endpoint))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield seen
    finally:
        done.set()
        looking.join()


def upload(endpoint: Endpoint, size: int, chunked: bool = False) -> bytes:
    """A prompt of that many bytes; what is answered."""
    begin, end = b'{"model": "m", "max_tokens": 1, "prompt": "', b'"}'
    whole = size + len(begin) + len(end)
    framing = b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"Content-Length: %d\r\n\r\n" % whole
    with socket.create_connection(("127.0.0.1", endpoint.port), 120) as connection:

        def send(data: bytes) -> None:
            connection.sendall(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)

        connection.sendall(HEAD + framing)
        send(begin)
        for _ in range(size // MIB):
            send(PIECE)
        send(end)
        if chunked:
            connection.sendall(b"0\r\n\r\n")
        said = b""
        while data := connection.recv(1 << 16):
            said += data
    return said


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_100_mb_costs_at_most_1_2_times_its_size(endpoint: Endpoint, chunked: bool) -> None:
    endpoint.start()
    Bare(lambda _: [OK]).join(endpoint, "1")
    upload(endpoint, MIB)
    before = held(endpoint)
    with highest(endpoint) as most:
        (answer,) = answers(upload(endpoint, 100 * MIB, chunked))
    assert answer.status == 200, answer.body
    assert most[0] - before < 120 * MIB
    until(lambda: held(endpoint) - before < 4 * MIB, 10)


def test_a_body_is_there_for_another_try(endpoint: Endpoint) -> None:
    endpoint.start()
    endpoint.engine("1", faults={"error_rate": 1.0})
    endpoint.engine("2")
    for _ in range(2):
        (answer,) = answers(upload(endpoint, 20 * MIB))
        assert answer.status == 200, answer.body


def test_uploads_that_are_given_up_leave_nothing(endpoint: Endpoint) -> None:
    """Four rounds of six bodies of 200 MB, each ended by its client before the last byte."""
    endpoint.start()
    endpoint.engine("1")
    upload(endpoint, MIB)
    before = held(endpoint)
    for _ in range(4):
        connections = []
        for _ in range(6):
            connection = socket.create_connection(("127.0.0.1", endpoint.port), 60)
            connections.append(connection)
            connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % (200 * MIB))
        for _ in range(100):
            for connection in connections:
                connection.sendall(PIECE)
        for connection in connections:
            connection.close()
        until(lambda: held(endpoint) - before < 8 * MIB, 20)


def test_a_body_over_the_limit_is_413_in_the_form_of_its_api(endpoint: Endpoint) -> None:
    endpoint.start(max_body=1000)
    for path, form, kind in (
        ("/v1/chat/completions", ["error"], "invalid_request_error"),
        ("/v1/messages", ["type", "error"], "request_too_large"),
    ):
        head = b"POST %b HTTP/1.1\r\nHost: localhost\r\n" % path.encode()
        told = say(endpoint.port, head + b"Content-Length: 1001\r\n\r\n")  # before a byte of it is sent
        grown = say(
            endpoint.port,
            head + b"Transfer-Encoding: chunked\r\n\r\n",
            *[b"1f4\r\n" + b"x" * 500 + b"\r\n"] * 3,
        )
        for said in (told, grown):
            (answer,) = answers(said)
            assert answer.status == 413
            assert list(answer.json()) == form
            assert answer.json()["error"]["type"] == kind
            assert "1000 bytes" in answer.json()["error"]["message"]
    exactly = say(endpoint.port, HEAD + b"Content-Length: 1000\r\n\r\n" + b"x" * 1000)
    assert answers(exactly)[0].status == 503, "it is taken, and waits for a replica"


def test_a_client_that_sends_on_after_413_reads_it(endpoint: Endpoint) -> None:
    endpoint.start(max_body=MIB)
    (answer,) = answers(say(endpoint.port, HEAD + b"Content-Length: %d\r\n\r\n" % (50 * MIB), *[PIECE] * 50))
    assert answer.status == 413


def test_all_bodies_together_are_bounded_and_small_ones_pass(endpoint: Endpoint) -> None:
    """Four times the largest; what would be more is 503 with retry-after."""
    endpoint.start(max_body=8 * MIB)
    endpoint.engine("1")
    waiting = []
    for _ in range(4):
        connection = socket.create_connection(("127.0.0.1", endpoint.port), 60)
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % (8 * MIB) + b"x" * (8 * MIB - 4000))
        waiting.append(connection)
    (answer,) = answers(upload(endpoint, 2 * MIB))
    assert (answer.status, "retry-after" in answer.headers) == (503, True)
    assert endpoint.chat(max_tokens=1).status_code == 200
    for connection in waiting:
        connection.close()
    until(lambda: answers(upload(endpoint, 2 * MIB))[0].status == 200, 10)


def test_bodies_that_wait_go_with_their_clients(endpoint: Endpoint) -> None:
    """Whole ones, held for a replica that does not come."""
    endpoint.start(queue_timeout=60.0)
    before = held(endpoint)
    for _ in range(3):
        connections = []
        for _ in range(4):
            connection = socket.create_connection(("127.0.0.1", endpoint.port), 60)
            connections.append(connection)
            connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % (50 * MIB))
            for _ in range(50):
                connection.sendall(PIECE)
        until(lambda: held(endpoint) - before > 190 * MIB, 30)
        for connection in connections:
            connection.close()
        until(lambda: held(endpoint) - before < 8 * MIB, 20)


def test_a_body_is_not_held_once_its_answer_has_begun(endpoint: Endpoint) -> None:
    stop = threading.Event()

    def says(_: bytes) -> Iterator[bytes]:
        yield EVENTS + chunk(b'data: {"choices": [{"text": "a"}]}\n\n')
        stop.wait(60)
        yield chunk(b"data: [DONE]\n\n") + END

    endpoint.start()
    Bare(says).join(endpoint, "1")
    before = held(endpoint)
    with socket.create_connection(("127.0.0.1", endpoint.port), 60) as connection:
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % (50 * MIB))
        for _ in range(50):
            connection.sendall(PIECE)
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
        until(lambda: held(endpoint) - before < 8 * MIB, 20)
        stop.set()


def test_a_slow_reader_is_waited_for_and_not_stored_for(endpoint: Endpoint) -> None:
    """300 MB of events that nobody reads yet stay with the engine."""
    event = b"data: " + b"x" * 65000 + b"\n\n"
    endpoint.start()
    Bare(lambda _: (part for part in [EVENTS, *[chunk(event)] * 4800, END])).join(endpoint, "1")
    before = held(endpoint)
    with highest(endpoint) as most, socket.create_connection(("127.0.0.1", endpoint.port), 60) as connection:
        connection.sendall(HEAD + b"Content-Length: 2\r\n\r\n{}")
        until(lambda: most[0] > 0, 10)
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
        threading.Event().wait(1)
        got = 0
        while data := connection.recv(1 << 20):
            got += len(data)
    assert got > 4800 * len(event)
    assert most[0] - before < 16 * MIB
