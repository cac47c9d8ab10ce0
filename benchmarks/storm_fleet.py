"""One fleet of the storm: what runs of it, what its clients have seen; ports and small disks for it."""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

PROMPT = 3.0  # seconds in which a client sees that its gateway was killed
DISK = 16  # MiB of the tmpfs


@dataclass
class Fleet:
    """One fleet of the storm: where it answers, and what its clients have seen."""

    name: str
    home: Path
    port: int
    replicas: int
    rng: random.Random
    counts: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    killed: list[tuple[float, float]] = field(
        default_factory=list
    )  # of gateways that had connections: from, until
    down: bool = False
    downs: int = 0
    disk: Path | None = None  # a small one, of its own

    @property
    def folder(self) -> Path:
        return self.root / "state" / "fleets" / self.name

    @property
    def root(self) -> Path:
        """Its STOKER_HOME."""
        return self.disk or self.home

    def excused(self, begun: float, ended: float) -> bool:
        """Whether it was open on a gateway that was killed."""
        return any(begun <= gone and at <= ended <= gone + PROMPT for at, gone in self.killed)

    @property
    def file(self) -> Path:
        return self.home / f"{self.name}.yaml"

    def write(self) -> None:
        """Its spec."""
        simulate = {"start_seconds": 0.2, "ttft": 0.02, "itl": 0.01}
        self.file.write_text(
            json.dumps(
                {
                    "name": self.name,
                    "model": "./model",
                    "replicas": self.replicas,
                    "drain_timeout": "20s",
                    "stall_timeout": "10s",
                    "engine": {
                        "kind": "simulated",
                        "simulate": simulate,
                        "env": {"STOKER_SIMULATE_FILE": f"{self.home}/{{pid}}.sim"},
                    },
                    "endpoint": {"port": self.port, "page": False},
                }
            )
        )

    def processes(self, part: str) -> list[psutil.Process]:
        """This fleet's processes whose command line has that part."""
        found = []
        for one in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                argv = one.cmdline()
                mine = str(self.folder) in argv or one.environ().get("STOKER_FLEET") == str(self.folder)
                if mine and any(part in word for word in argv) and one.status() != psutil.STATUS_ZOMBIE:
                    found.append(one)
        return found


def judged(status: int, text: str, stream: bool) -> str:
    if status != 200:
        return f"lost: {status}"
    if not stream or '"error"' not in text:
        return "answered" if not stream or "[DONE]" in text else "broken off"
    return "ended with an error event"


@contextlib.contextmanager
def filled(disk: Path) -> Iterator[None]:
    """That disk has no room."""
    filler = disk / "filler"
    try:
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            for size in (2**20, 2**12, 1):
                with contextlib.suppress(OSError):
                    while file.write(b"x" * size):
                        pass
        yield
    finally:
        filler.unlink(missing_ok=True)


def mounted(folder: Path) -> bool:
    """Whether a small tmpfs is there now."""
    folder.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", f"size={DISK}m,mode=0700", "tmpfs", str(folder)]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    except OSError as error:
        print("note        no disk of its own to fill:", error)
        return False
    if done.returncode:
        print("note        no disk of its own to fill:", done.stderr.strip())
    return done.returncode == 0


def free_ports(count: int) -> list[int]:
    """Ports that are free now, outside the range of outgoing connections."""
    out: list[int] = []
    port = 20000 + os.getpid() % 5000
    while len(out) < count:
        port += 3
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            out.append(port)
    return out
