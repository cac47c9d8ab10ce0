"""The web app as a process: it answers at once, leaves at once, and says nothing of its key."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import free_port

import stoker


@contextmanager
def started(port: int, *more: str) -> Iterator["subprocess.Popen[str]"]:
    argv = ["--endpoint", "http://127.0.0.1:1", "--model", "m", "--port", str(port), *more]
    process = subprocess.Popen(
        [sys.executable, "-m", "stoker.ui.console", *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(stoker.__file__).parents[1])},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def fetch(url: str) -> bytes:
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                body: bytes = answer.read()
                return body
        except OSError:  # not listening yet, or too busy to answer
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_it_serves_and_leaves_on_sigterm(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a-secret-key")
    port = free_port()
    with started(port, "--key-file", str(tmp_path / "key")) as process:
        assert b'<h1 id="name">m</h1>' in fetch(f"http://127.0.0.1:{port}/")
        assert json.loads(fetch(f"http://127.0.0.1:{port}/health"))["chat"] == "starting"
        assert b"a-secret-key" not in Path(f"/proc/{process.pid}/cmdline").read_bytes()
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=60) == ("", "")
        assert time.monotonic() - begun < 30
        assert process.returncode == 0


def test_a_port_in_use_is_an_error_like_any_other_and_exit_code_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with started(port) as process:
            out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (2, "")
    assert err.splitlines() == [
        f"error: port {port} of 127.0.0.1 is in use",
        "  why  another process listens there",
        "  fix  another --port",
    ]


def test_open_to_the_network_without_a_key_is_refused() -> None:
    with started(free_port(), "--host", "0.0.0.0") as process:
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (2, "")
    assert "--key-file FILE locks it" in err
