"""Locust itself, in an environment of its own in Stoker's cache: it stands beside nobody's packages."""

import json
import shutil
import socket
import subprocess
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stoker.render.locust.objects import IMAGE
from stoker.system import paths

PINNED = f"locust=={IMAGE.rpartition(':')[2]}"
PATIENCE = 120.0


def program() -> Path:
    """Its command, installed where it is not there yet. Skips the test where no index has it."""
    folder = paths.engine_cache().parent / "peers" / PINNED.replace("==", "-")
    if not (folder / "whole").exists():
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True, symlinks=True)
        pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", PINNED]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"{PINNED} cannot be installed: {done.stderr.strip().splitlines()[-1]}")
        (folder / "whole").touch()
    return folder / "bin" / "locust"


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
