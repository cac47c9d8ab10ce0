"""A stranger: the built package in an environment of its own, called as a shell calls it."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests import models
from tests.conftest import Ran, free_port

ROOT = Path(__file__).parents[2]
SIMULATED: dict[str, Any] = {
    "name": "sim",
    "model": "./model",
    "engine": {"kind": "simulated", "simulate": {"start_seconds": 0.05}},
}
CLUSTERS: dict[str, Any] = {
    "name": "shop",
    "model": "./model",
    "hardware": "l4:1",
    "target": "kubernetes",
    "engine": {"max-model-len": "4K"},
    "kubernetes": {"weights": {"disk": "projects/p/zones/us-east4-a/disks/d"}},
}


def built(folder: Path) -> Path:
    """The wheel and the source distribution, built by what the locks pin."""
    argv = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-t", "sdist", "-d", str(folder)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def why_no_index() -> str | None:
    """Why the package index that pip is configured with does not answer; None where it does."""
    argv = [sys.executable, "-m", "pip", "--disable-pip-version-check", "index", "versions", "click"]
    done = subprocess.run(
        [*argv, "--retries", "1", "--timeout", "10"], capture_output=True, text=True, check=False
    )
    lines = done.stderr.strip().splitlines()
    return (
        None
        if done.returncode == 0
        else lines[-1]
        if lines
        else f"pip ended with exit code {done.returncode}"
    )


class Stranger:
    """Somebody in a folder with a file for this machine, one for a cluster, and an environment `env`."""

    def __init__(self, home: Path) -> None:
        self.home, self.port = home, free_port()
        (home / "model").mkdir()
        (home / "model" / "config.json").write_text(json.dumps(models.LLAMA_8B | {"num_hidden_layers": 4}))
        (home / "sim.yaml").write_text(json.dumps({**SIMULATED, "endpoint": {"port": self.port}}))
        (home / "shop.yaml").write_text(json.dumps(CLUSTERS))
        self.env = {
            "PATH": f"{home / 'env' / 'bin'}:/usr/bin:/bin",
            "HOME": str(home),
            "STOKER_HOME": str(home / "stoker"),
            "LANG": "C.UTF-8",
            "NO_COLOR": "1",
        }

    def __call__(self, *argv: str, stdin: str = "", **env: str) -> Ran:
        """Calls `stoker`; whatever it says is no traceback and no defect."""
        done = subprocess.run(
            [str(self.home / "env" / "bin" / "stoker"), *argv],
            cwd=self.home,
            env={**self.env, **env},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        for word in ("Traceback", "ModuleNotFoundError", "unexpected:"):
            assert word not in done.stderr + done.stdout, done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    def cpu(self, *argv: str) -> float:
        """Seconds of CPU time, user and system, of a call that succeeds."""
        before = os.times()
        assert self(*argv).code == 0
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    def python(self, code: str) -> str:
        """What a program prints in this environment."""
        argv = [str(self.home / "env" / "bin" / "python"), "-c", code]
        done = subprocess.run(argv, cwd=self.home, env=self.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def site(self) -> Path:
        """Where this environment's packages are."""
        return next((self.home / "env" / "lib").glob("python3.*/site-packages"))

    def pip(self, *argv: str) -> None:
        """This environment's pip, with the configuration of who runs the tests."""
        self.shell(f"pip --disable-pip-version-check {shlex.join(argv)}")

    def shell(self, line: str) -> None:
        """A line as a person types it, in this environment."""
        env = {**os.environ, "PATH": self.env["PATH"]}
        done = subprocess.run(
            ["sh", "-c", line], cwd=self.home, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
