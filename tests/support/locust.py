"""Locust itself, in an environment of its own in Stoker's cache: it stands beside nobody's packages."""

import json
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from benchmarks.peers import install as peers
from benchmarks.peers.install import PINNED

from stoker.render.locust.objects import IMAGE
from stoker.system import paths
from stoker.system.files import locked

PATIENCE = 120.0
INSTALLING = 300.0  # seconds


def program() -> Path:
    """Its command, installed where it is not there yet, as for benchmarks. Skips the test where no index has
    it."""
    assert PINNED["locust"] == ((f"locust=={IMAGE.rpartition(':')[2]}",),)
    place = paths.engine_cache().parent / "peers"
    place.mkdir(parents=True, exist_ok=True)
    with locked(place / "locust.lock", INSTALLING):  # tests that run beside each other share it
        try:
            return peers.program("locust")
        except subprocess.CalledProcessError as error:
            pytest.skip(f"Locust cannot be installed here: {error}")


@dataclass
class Swarm:
    """How a test with Locust ended: its exit code, its last table by kind, and what it said."""

    code: int
    table: dict[str, dict[str, Any]]
    said: str


def swarm(file: Path, key: str, workers: int = 0) -> Swarm:
    """Runs a locustfile to its end; with `workers`, a master and so many on this machine."""
    env = {"PATH": "/usr/bin:/bin", "HOME": str(file.parent), "ENDPOINT_KEY": key}
    words = [str(program()), "--locustfile", str(file)]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    there = ["--master-host", "127.0.0.1", "--master-port", port]
    beside = [
        subprocess.Popen([*words, "--worker", *there], env=env, stderr=subprocess.DEVNULL)
        for _ in range(workers)
    ]
    whole = file.with_suffix(".json")
    master = ["--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port]
    master += ["--expect-workers", str(workers), "--expect-workers-max-wait", "60"]
    argv = [
        *words,
        "--headless",
        "--only-summary",
        "--json-file",
        str(file.with_suffix("")),
        *(master if workers else []),
    ]
    try:
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)
        for one in beside:
            one.wait(20)
    finally:
        for one in beside:
            one.kill()
            one.wait()
    rows = json.loads(whole.read_text()) if whole.exists() else []
    return Swarm(done.returncode, {row["method"]: row for row in rows}, done.stdout + done.stderr)
