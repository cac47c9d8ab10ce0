"""Fixtures of every tier: a home of its own for each test, and the command line as a user calls it."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from tests.support.hub import World

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would hand down "ignored"


GIVEN: set[int] = set()
settings.register_profile("stoker", deadline=None)  # machines here are shared: a pause is no failure
settings.load_profile("stoker")


def free_port() -> int:
    """A loopback port that is free now, outside the range that systems give to outgoing connections."""
    import random

    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % workers
    while True:  # a worker does not take what another is about to bind
        port = random.randrange(18000 + 2 * worker, 30000, 2 * workers)
        if port in GIVEN:
            continue
        with socket.socket() as probe, socket.socket() as beside:
            try:
                probe.bind(("127.0.0.1", port))
                beside.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            GIVEN.add(port)
            return port


@dataclass
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.out)


class Stoker:
    """The command line in a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        self._said = home / "said.log"
        self.env = {**os.environ, "STOKER_HOME": str(home), "NO_COLOR": "1"}

    def __call__(self, *argv: str, timeout: float = 120, stdin: str | None = None, **env: str) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "stoker", *argv],
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**self.env, **env},
            cwd=self.home,
            input=stdin,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert "unexpected:" not in done.stderr, done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    def popen(self, *argv: str) -> "subprocess.Popen[bytes]":
        """The command, running; `said` has what it prints."""
        with self._said.open("ab") as said:
            return subprocess.Popen(
                [sys.executable, "-u", "-m", "stoker", *argv],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env=self.env,
                cwd=self.home,
            )

    @property
    def said(self) -> str:
        """What the commands of `popen` have printed so far."""
        return self._said.read_text() if self._said.exists() else ""

    def spec(self, name: str = "sim", simulate: dict[str, Any] | None = None, **fields: Any) -> str:
        """Writes a spec with simulated engines; returns its file's name."""
        value: dict[str, Any] = {
            "name": name,
            "model": "./model",
            "engine": {"kind": "simulated", "simulate": {"start_seconds": 0.05, **(simulate or {})}},
            "endpoint": {"port": self.port, "page": False},
        }
        for key, given in fields.items():
            value[key] = (
                {**value[key], **given}
                if isinstance(given, dict) and isinstance(value.get(key), dict)
                else given
            )
        path = self.home / f"{name}.yaml"
        path.write_text(json.dumps(value))
        return str(path)

    def state(self, name: str = "sim") -> dict[str, Any]:
        """`status -o json` of a fleet."""
        ran = self("status", "--name", name, "-o", "json")
        assert ran.code == 0, ran.err
        state: dict[str, Any] = ran.json()
        return state

    @property
    def url(self) -> str:
        """The endpoint's base URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def kept(self) -> bool:
        """Whether anything is kept about any fleet."""
        fleets = self.home / "state" / "fleets"
        return os.path.lexists(fleets) and not (fleets.is_dir() and not any(fleets.iterdir()))

    def processes(self) -> list[psutil.Process]:
        """Every process that belongs to this home."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.status() != psutil.STATUS_ZOMBIE and str(self.home) in " ".join(
                    [*process.cmdline(), process.environ().get("STOKER_FLEET", "")]
                ):
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return found


@pytest.fixture
def stoker(tmp_path: Path) -> Iterator[Stoker]:
    """The command line; whatever runs at the end of the test is ended."""
    made = Stoker(tmp_path)
    yield made
    if made.kept or made.processes():
        made("down", "--all", "--now")
    left = made.processes()
    for process in left:
        process.kill()
    assert not left, f"left behind: {left}"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator["World"]:
    """A hub and buckets on loopback, to which the environment leads."""
    from tests.support.hub import hub

    for name in ("HF_HUB_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with hub() as made:
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """Waits for a condition, bounded."""
    import time

    def wait(condition: Callable[[], object], seconds: float = 30.0, what: str = "") -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, what or "the condition did not become true"
            time.sleep(0.02)

    return wait
