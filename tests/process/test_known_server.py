"""The oracle of the load tests against a plain client: what its log says is what went over the wire."""

import http.client
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.support.known_server import KnownServer
from tests.support.known_stream import Timing, Told

QUICK = Timing(role=0.02, first=0.03, gap=0.01)
BODY = {
    "model": "known",
    "messages": [{"role": "user", "content": "one two three"}],
    "max_tokens": 4,
    "stream": True,
    "stream_options": {"include_usage": True},
}
SLACK = 0.1  # of a busy machine


@pytest.fixture(scope="module")
def server() -> Iterator[KnownServer]:
    with KnownServer() as running:
        yield running


def ask(server: KnownServer, body: dict[str, Any]) -> tuple[list[tuple[float, str]], bool]:
    """Each event's arrival and text, and whether the body came to its end."""
    sent = json.dumps(body).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: {len(sent)}\r\n\r\n"
    events: list[tuple[float, str]] = []
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(head.encode() + sent)
        data = b""
        try:
            while not data.endswith(b"\r\n0\r\n\r\n"):
                if not (more := connection.recv(65536)):
                    return events, False
                data += more
                lines = [line for line in data.split(b"\n") if line.startswith(b"data: ")]
                new = lines[len(events) :] if data.endswith(b"\n") else lines[len(events) : -1]
                events += [(time.monotonic(), line[6:].decode()) for line in new]
        except ConnectionResetError:
            return events, False
    return events, True


def told(server: KnownServer, timing: Timing, count: int = 1, **body: Any) -> list[Told]:
    server.begin(timing)
    for _ in range(count):
        ask(server, BODY | body)
    return server.log()


def test_its_log_has_the_moments_at_which_a_client_reads(server: KnownServer) -> None:
    server.begin(QUICK)
    before = time.monotonic()
    events, whole = ask(server, BODY)
    (one,) = server.log()
    assert whole
    assert one.ended
    assert [kind for _, kind, _ in one.events] == ["role", *["content"] * 4, "usage", "done"]
    assert len(events) == len(one.events)
    assert before <= one.arrived <= before + SLACK
    for (read, _), (sent, _, _) in zip(events, one.events, strict=True):
        assert sent <= read <= sent + SLACK


def test_it_is_never_early_and_hardly_late(server: KnownServer) -> None:
    (one,) = told(server, QUICK)
    assert one.first_token == pytest.approx(0.03, abs=SLACK)
    assert len(one.late(QUICK)) == 7
    assert all(0 <= late < SLACK for late in one.late(QUICK))


def test_it_counts_as_it_says(server: KnownServer) -> None:
    server.begin(QUICK)
    events, _ = ask(server, BODY)
    usage = json.loads(events[-2][1])["usage"]
    assert usage == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    assert server.log()[0].prompt_tokens == 3


@pytest.mark.parametrize(
    ("how", "whole", "last"), [("error", True, "[DONE]"), ("early", True, "one"), ("lost", False, "one")]
)
def test_a_broken_stream_is_broken_on_the_wire(server: KnownServer, how: str, whole: bool, last: str) -> None:
    server.begin(replace(QUICK, broken_every=2, broken_how=(how,)))
    assert "[DONE]" in ask(server, BODY)[0][-1][1]
    events, ended = ask(server, BODY)
    assert ended == whole
    assert last in events[-1][1]
    assert [one.broken for one in server.log()] == [None, how]
    assert sum(tokens for _, tokens in server.log()[1].contents) == 2


def test_a_client_that_goes_away_is_told(server: KnownServer) -> None:
    server.begin(QUICK)
    sent = json.dumps(BODY).encode()
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        head = b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(sent)
        connection.sendall(head + sent)
        connection.recv(100)
    deadline = time.monotonic() + 10
    while not server.log()[0].left:
        assert time.monotonic() < deadline
    assert not server.log()[0].ended


def test_what_was_asked_stands_in_the_log_without_its_text(server: KnownServer) -> None:
    (one,) = told(server, QUICK, ignore_eos=True)
    assert one.asked["ignore_eos"] is True
    assert "messages" not in one.asked


def test_a_refusal_has_its_status_and_the_next_request_its_answer(server: KnownServer) -> None:
    server.begin(replace(QUICK, broken_every=2, broken_how=("429",)))
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    statuses = []
    for _ in range(4):
        connection.request("POST", "/v1/chat/completions", json.dumps(BODY))
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
    connection.close()
    assert statuses == [200, 429, 200, 429]
    assert [one.broken for one in server.log()] == [None, "429"] * 2


def test_a_stalled_stream_has_no_end(server: KnownServer) -> None:
    server.begin(replace(QUICK, broken_every=1, broken_how=("stall",)))
    sent = json.dumps(BODY).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(sent)
    with socket.create_connection(("127.0.0.1", server.port), timeout=0.5) as connection:
        connection.sendall(head + sent)
        with pytest.raises(TimeoutError):
            list(iter(lambda: connection.recv(65536), b""))
    assert not server.log()[0].ended


def test_events_count_up_where_the_client_asks_for_it(server: KnownServer) -> None:
    server.begin(replace(QUICK, several_every=2))
    asked = {"include_usage": True, "continuous_usage_stats": True}
    events, _ = ask(server, BODY | {"stream_options": asked})
    counts = [json.loads(text)["usage"]["completion_tokens"] for _, text in events[:-1]]
    assert counts == [0, 1, 3, 4, 4]
