"""The endpoint without file descriptors: it says so, blames no replica, and goes on when there are some
again."""

import resource
import socket
import time

import httpx2
import psutil
from tests.support.bare import OK, Bare
from tests.support.endpoint import Endpoint, until
from tests.support.wire import answers

ASK = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def read(connection: socket.socket) -> bytes:
    said = b""
    while data := connection.recv(4096):
        said += data
    return said


def test_more_connections_than_files_are_told_503_and_harm_nobody(endpoint: Endpoint) -> None:
    endpoint.start(files=100)
    endpoint.engine("1")
    taken: list[socket.socket] = []
    while True:
        connection = socket.create_connection(("127.0.0.1", endpoint.port), 20)
        connection.settimeout(0.3)
        try:
            said = connection.recv(4096)
            break
        except TimeoutError:
            taken.append(connection)
        assert len(taken) < 100
    connection.close()
    (answer,) = answers(said)
    assert (answer.status, "retry-after" in answer.headers) == (503, True)
    assert len(taken) > 10
    for _ in range(60):  # many more, all at once, that ask first and read then
        taken.append(socket.create_connection(("127.0.0.1", endpoint.port), 20))
        taken[-1].sendall(ASK)
    process = psutil.Process(endpoint.process.pid)
    before = sum(process.cpu_times()[:2])
    time.sleep(2)
    assert sum(process.cpu_times()[:2]) - before < 1, "it spins"
    assert endpoint.ready() == ["1"]
    for connection in taken:
        connection.close()
    until(lambda: endpoint.chat(max_tokens=1).status_code == 200, 20)


def test_no_descriptor_for_a_replica_is_503_and_not_the_replicas_fault(endpoint: Endpoint) -> None:
    def slowly(_: bytes) -> list[bytes]:
        time.sleep(3)
        return [OK]

    endpoint.start(queue_timeout=30.0)
    Bare(slowly).join(endpoint, "1")
    process = psutil.Process(endpoint.process.pid)
    connections = [socket.create_connection(("127.0.0.1", endpoint.port), 30) for _ in range(4)]
    until(lambda: len(process.net_connections("tcp")) >= 6, 10)  # these, one to the replica, the door itself
    limits = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (process.num_fds(), limits[1]))
    for connection in connections:
        connection.sendall(ASK)
    found = [answers(read(connection))[0] for connection in connections]
    for connection in connections:
        connection.close()
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, limits)
    assert {one.status for one in found} == {200, 503} or {one.status for one in found} == {503}
    refused = [one for one in found if one.status == 503]
    assert all("retry-after" in one.headers for one in refused)
    assert all("no connection left" in one.json()["error"]["message"] for one in refused)
    assert endpoint.ready() == ["1"], "health checks that had no descriptor say nothing of the replica"
    assert "out of rotation" not in (endpoint.folder / "gateway.log").read_text()
    assert httpx2.get(f"{endpoint.url}/v1/models", timeout=30).status_code == 200
