"""A hub and an object store on loopback, with faults: what the weights' tests copy from."""

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
from safetensors.numpy import save

COMMIT = "c" * 40
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "hidden_size": 8,
    "max_position_embeddings": 64,
    "vocab_size": 16,
}


def tiny_model(size: int = 1000) -> dict[str, bytes]:
    """A model's files; the weights have `size` floats."""
    return {
        "config.json": json.dumps(CONFIG).encode(),
        "tokenizer.json": b"{}",
        "model.safetensors": save({"model.embed_tokens.weight": np.arange(size, dtype=np.float32)}),
    }


@dataclass
class World:
    """What the server holds, does wrong, and has seen."""

    files: dict[str, bytes] = field(default_factory=tiny_model)
    status: int | None = None
    flaky: int = 0  # so many reads break off in the middle
    delay: float = 0.0  # seconds before each 64 KiB
    lie: bool = False  # content that does not match its checksum
    seen: list[tuple[str, str | None, str | None]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    url: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which a hub and buckets are found here."""
        return {
            "HF_ENDPOINT": self.url,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "STORAGE_EMULATOR_HOST": self.url,
        }

    @property
    def reads(self) -> int:
        """How many ranges were asked for."""
        return sum("/resolve/" in path or path.startswith("/bucket/") for path, _, _ in self.seen)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    world: World

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        self.world.seen.append((path, self.headers.get("Range"), self.headers.get("Authorization")))
        if self.world.status is not None:
            return self._send(self.world.status, b"no")
        if match := re.fullmatch(r"/api/models/(org/repo)/revision/(.+)", path):
            return self._send(200, json.dumps({"sha": COMMIT}).encode())
        if re.fullmatch(r"/api/models/org/repo/tree/.+", path):
            return self._send(
                200, json.dumps([self._row(name, data) for name, data in self.world.files.items()]).encode()
            )
        if match := re.fullmatch(rf"/org/repo/resolve/{COMMIT}/(.+)", path):
            return self._file(match[1])
        if path.rstrip("/") == "/bucket":
            return self._send(
                200, self._list(parse_qs(parts.query).get("prefix", [""])[0]), "application/xml"
            )
        if match := re.fullmatch(r"/bucket/folder/(.+)", path):
            return self._file(match[1])
        return self._send(404, b"<Error><Code>NoSuchBucket</Code></Error>")

    def _row(self, name: str, data: bytes) -> dict[str, Any]:
        sha1 = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        row: dict[str, Any] = {"type": "file", "path": name, "size": len(data), "oid": sha1}
        if name.endswith((".safetensors", ".bin")):
            row["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data)}
        return row

    def _list(self, prefix: str) -> bytes:
        rows = "".join(
            f'<Contents><Key>folder/{name}</Key><Size>{len(data)}</Size><ETag>"{hashlib.md5(data).hexdigest()}"</ETag>'
            f"<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            for name, data in self.world.files.items()
            if f"folder/{name}".startswith(prefix)
        )
        return f'<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>'.encode()

    def _file(self, name: str) -> None:
        data = self.world.files[name]
        start, end = 0, len(data)
        if given := re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or ""):
            start, end = int(given[1]), min(len(data), int(given[2]) + 1)
        body = data[start:end]
        if self.world.lie and name.endswith(".safetensors"):
            body = bytes(byte ^ 1 for byte in body)
        self.send_response(206 if given else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hashlib.md5(data).hexdigest()}"')
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        if given:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
        self.end_headers()
        with self.world.lock:
            breaks = self.world.flaky > 0
            self.world.flaky -= breaks
        self._pour(body[: len(body) // 2] if breaks else body)
        if breaks:
            self.close_connection = True

    def _pour(self, body: bytes) -> None:
        for at in range(0, len(body), 65536):
            if self.world.delay:
                time.sleep(self.world.delay)
            try:
                self.wfile.write(body[at : at + 65536])
            except OSError:
                self.close_connection = True
                return

    def _send(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def hub() -> Iterator[World]:
    """The server, running."""
    world = World()
    handler = type("Bound", (Handler,), {"world": world})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    world.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield world
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
