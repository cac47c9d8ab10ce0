"""Who the endpoint lets in, and what bytes on a connection may do: keys, origins, garbage, pipelining."""

import select
import socket

import httpx2
import pytest
from tests.support.bare import OK, Bare
from tests.support.endpoint import Endpoint, in_flight, until
from tests.support.wire import answers, say


def test_with_a_key_everything_but_health_is_locked(endpoint: Endpoint) -> None:
    (endpoint.folder / "endpoint.key").write_text("open-sesame")
    endpoint.start(key_file=str(endpoint.folder / "endpoint.key"))
    endpoint.engine("1")
    for path in ("/v1/models", "/metrics", "/tokenize", "/nothing", "/load", "/"):
        assert httpx2.get(endpoint.url + path).status_code == 401, path
        assert httpx2.get(endpoint.url + path, headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert httpx2.get(f"{endpoint.url}/health").status_code == 200
    for headers in ({"Authorization": "Bearer open-sesame"}, {"X-Api-Key": "open-sesame"}):
        assert httpx2.get(f"{endpoint.url}/v1/models", headers=headers).status_code == 200


def test_other_sites_pages_and_foreign_names_are_refused(endpoint: Endpoint) -> None:
    endpoint.start(cors=["https://good.example"])
    endpoint.engine("1")
    models = f"{endpoint.url}/v1/models"
    assert httpx2.get(models, headers={"Origin": "https://evil.example"}).status_code == 403
    assert httpx2.get(models, headers={"Host": "evil.example"}).status_code == 403
    good = httpx2.get(models, headers={"Origin": "https://good.example"})
    assert good.status_code == 200
    assert good.headers["access-control-allow-origin"] == "https://good.example"
    asked = httpx2.options(
        models, headers={"Origin": "https://good.example", "Access-Control-Request-Headers": "authorization"}
    )
    assert (asked.status_code, asked.headers["access-control-allow-headers"]) == (204, "authorization")


@pytest.mark.parametrize(
    "raw",
    [
        b"NOT HTTP AT ALL\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\n\r\n",
    ],
)
def test_garbage_gets_a_400_and_harms_nobody(endpoint: Endpoint, raw: bytes) -> None:

    endpoint.start()
    endpoint.engine("1")
    with socket.create_connection(("127.0.0.1", endpoint.port), 5) as connection:
        connection.sendall(raw)
        assert connection.recv(100).split()[1] in (b"400", b"414")
    assert endpoint.chat(max_tokens=1).status_code == 200


def test_who_may_not_ask_is_told_before_a_body_is_read(endpoint: Endpoint) -> None:

    (endpoint.folder / "endpoint.key").write_text("sesame")
    endpoint.start(key_file=str(endpoint.folder / "endpoint.key"))
    endpoint.engine("1")
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200000000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", endpoint.port), 5) as connection:
        connection.sendall(head + b"x" * 1000)
        answer = b""
        while part := connection.recv(4096):
            answer += part
    assert answer.split()[1] == b"401"
    assert answer.count(b"HTTP/1.1") == 1
    assert b"connection: close" in answer.lower()


def test_a_header_is_counted_while_it_comes(endpoint: Endpoint) -> None:
    """The answer is there while the client still sends, is whole, and no reset eats it."""
    endpoint.start()
    with socket.create_connection(("127.0.0.1", endpoint.port), 20) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Large: ")
        sent = 0
        while not select.select([connection], [], [], 0)[0]:
            sent += connection.send(b"a" * 16384)
            assert sent < 64 << 20, "it was read on and on"
        for _ in range(64):
            connection.sendall(b"a" * 16384)
        answer = b""
        while part := connection.recv(4096):
            answer += part
    assert answer.split()[1] == b"431"
    assert answer.endswith(b"}")


def test_trailers_say_nothing(endpoint: Endpoint) -> None:

    (endpoint.folder / "endpoint.key").write_text("sesame")
    endpoint.start(key_file=str(endpoint.folder / "endpoint.key"))
    endpoint.engine("1")
    text = (
        b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\nAuthorization: Bearer sesame\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", endpoint.port), 5) as connection:
        connection.sendall(text)
        assert connection.recv(100).split()[1] == b"401"


def test_many_requests_at_once_on_one_connection_are_answered_in_order(endpoint: Endpoint) -> None:

    endpoint.start()
    endpoint.engine("1")
    with socket.create_connection(("127.0.0.1", endpoint.port), 10) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200)
        answer = b""
        while answer.count(b"HTTP/1.1 200") < 200:
            part = connection.recv(65536)
            assert part, answer[-200:]
            answer += part


def test_head_takes_no_replica_out_of_rotation(endpoint: Endpoint) -> None:
    endpoint.start()
    endpoint.engine("1")
    assert httpx2.head(f"{endpoint.url}/v1/models").status_code == 405
    assert httpx2.head(f"{endpoint.url}/health").status_code == 200
    assert endpoint.ready() == ["1"]
    assert endpoint.chat(max_tokens=1).status_code == 200


def test_bad_json_is_the_engines_own_answer(endpoint: Endpoint) -> None:
    endpoint.start()
    endpoint.engine("1")
    answer = httpx2.post(
        f"{endpoint.url}/v1/chat/completions", content=b"{", headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


def test_requests_on_one_connection_are_answered_in_order(endpoint: Endpoint) -> None:

    endpoint.start()
    endpoint.engine("1")
    with socket.create_connection(("127.0.0.1", endpoint.port), 5) as connection:
        host = f"Host: 127.0.0.1:{endpoint.port}\r\n".encode()
        connection.sendall(
            b"GET /v1/models HTTP/1.1\r\n"
            + host
            + b"\r\nGET /health HTTP/1.1\r\n"
            + host
            + b"Connection: close\r\n\r\n"
        )
        data = b""
        while chunk := connection.recv(65536):
            data += chunk
    assert data.count(b"HTTP/1.1 200 OK") == 2
    assert data.index(b'"object"') < data.rindex(b"HTTP/1.1 200 OK")


ASK = (
    b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b'Connection: close\r\nContent-Length: 46\r\n\r\n{"model": "m", "prompt": "a", "max_tokens": 1}'
)


def test_a_client_that_is_gone_is_told_from_one_that_reads_on(endpoint: Endpoint) -> None:
    """Both have closed their side. The engine computes for the one who still listens only."""
    endpoint.start()
    endpoint.engine("1", ttft=3.0)
    (*interim, answer) = answers(say(endpoint.port, ASK, shut=True))
    assert (answer.status, {one.status for one in interim}) == (200, {100})
    endpoint.simulate("1", ttft=600.0)
    with socket.create_connection(("127.0.0.1", endpoint.port), 5) as connection:
        connection.sendall(ASK)
        until(lambda: in_flight(endpoint) == 1, 20)  # an engine counts it with its first token
    until(lambda: in_flight(endpoint) == 0, 20)


def test_a_kept_connection_that_the_engine_has_closed_is_no_loss(endpoint: Endpoint) -> None:
    endpoint.start()
    engine = Bare(lambda _: [OK]).join(endpoint, "1")  # it promises to keep the connection, and closes it
    for _ in range(30):
        assert httpx2.get(f"{endpoint.url}/v1/models").status_code == 200
    assert len(engine.heads) == 30
    assert "out of rotation" not in (endpoint.folder / "gateway.log").read_text()
