"""Raw bytes to a port and back: what a client library would never send, and what came as an answer."""

import json
import socket
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answered:
    """One answer as it came. Names of headers are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def say(port: int, *parts: bytes, shut: bool = False, seconds: float = 20.0) -> bytes:
    """Sends it, one part after another, and reads until the other side closes its own side."""
    with socket.create_connection(("127.0.0.1", port), seconds) as connection:
        for part in parts:
            connection.sendall(part)
        if shut:
            connection.shutdown(socket.SHUT_WR)
        said = b""
        while data := connection.recv(1 << 16):
            said += data
        return said


def answers(data: bytes, to_head: bool = False) -> list[Answered]:
    """Every answer in these bytes, by a reader of our own that takes nothing that is not right."""
    found: list[Answered] = []
    while data:
        top, blank, data = data.partition(b"\r\n\r\n")
        assert blank, top
        first, *lines = top.decode("latin-1").split("\r\n")
        assert first.startswith("HTTP/1.1 "), first
        status = int(first.split()[1])
        pairs = [line.split(": ", 1) for line in lines]
        headers = {name.lower(): value for name, value in pairs}
        body, data = _body(status, headers, data, to_head)
        found.append(Answered(status, headers, body))
    return found


def _body(status: int, headers: dict[str, str], data: bytes, to_head: bool) -> tuple[bytes, bytes]:
    assert not ("content-length" in headers and "transfer-encoding" in headers), headers
    if status < 200 or status in (204, 304) or to_head:
        return b"", data
    if "content-length" in headers:
        size = int(headers["content-length"])
        assert len(data) >= size, "the answer is cut short"
        return data[:size], data[size:]
    if headers.get("transfer-encoding") != "chunked":
        return data, b""
    body = b""
    while True:
        size_text, _, data = data.partition(b"\r\n")
        size = int(size_text, 16)
        assert data[size : size + 2] == b"\r\n", "a chunk is cut short"
        body, data = body + data[:size], data[size + 2 :]
        if not size:
            return body, data
