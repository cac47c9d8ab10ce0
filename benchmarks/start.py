"""Seconds to the first token over those of a bare `vllm serve` with the same options, all of it warm.

`python -m benchmarks.start [ROUNDS] [--plain]`. Targets: a first `stoker up` 0.8; a second replica beside one
that runs, from the start of its process, 0.4. With --plain Stoker starts vLLM's plain command, too. Where the
seconds go is read from the logs' stamps, which count whole seconds.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from benchmarks.command import engine, fleets, free_ports, stoker, with_ports
from benchmarks.load import run, together
from benchmarks.serve import BODY, folder, stokers_command
from stoker.engine.start_phases import PHASES, start_phases
from stoker.targets.local.starters import SWITCH

WAIT = 120.0
# A range, so that a starter waits, and an autoscaler that does not look again meanwhile.
GROWS = ("--set", "replicas=1..2", "--set", "scaling={metrics: {queue-depth: 5}, sync_period: 1h}")
MIB = 1 << 20


@dataclass(frozen=True)
class Start:
    """Seconds to the first token, and where they went by the engine's log."""

    name: str
    seconds: float
    phases: dict[str, float]

    def __str__(self) -> str:
        parts = "  ".join(f"{name} {self.phases.get(name, 0):4.1f}" for name in PHASES)
        rest = self.seconds - sum(self.phases.values())
        return f"{self.name:<12} {self.seconds:6.1f} s   {parts}  else {rest:4.1f}"


def first_token(port: int) -> None:
    """Asks for one."""
    assert run(together(port, 1, {**BODY, "max_tokens": 1}))[0].error is None


def bare(model: str, log: Path) -> Start:
    """From starting vLLM's plain command."""
    port = free_ports(1)
    argv, env = stokers_command(model, port)
    begun, at = time.perf_counter(), time.time()
    with engine(argv, port, 300, log, **env):
        first_token(port)
        seconds = time.perf_counter() - begun
    return Start("vllm serve", seconds, told(log, at))


def told(log: Path, at: float) -> dict[str, float]:
    """The phases that a log tells of a start at that time."""
    day = time.localtime(at)
    began = 3600 * day.tm_hour + 60 * day.tm_min + day.tm_sec + at % 1
    return start_phases(log.read_text(errors="replace").splitlines(), began)


def with_stoker(home: str) -> tuple[Start, Start]:
    """A first `stoker up`, to the first token through the endpoint; then a second replica."""

    def measured(port: int) -> tuple[Start, Start]:
        sets = ("--set", f"endpoint.port={port}", "--set", "name=bench", "--set", "model.served_name=m")
        begun = time.perf_counter()
        stoker("up", "-d", *sets, *GROWS, home=home)
        first_token(port)
        seconds = time.perf_counter() - begun
        one = replica(home, "1")
        up = Start("stoker up", seconds, told(Path(one["log"]), one["started"]))
        starter_waits()
        stoker("scale", "2", "--no-rebind", "--name", "bench", home=home)
        two = replica(home, "2")
        return up, Start("replica 2", two["since"] - two["started"], told(Path(two["log"]), two["started"]))

    try:
        return with_ports(measured)
    finally:
        if fleets(home):
            stoker("down", "--name", "bench", "--now", home=home)


def replica(home: str, name: str) -> dict[str, Any]:
    """As `status` tells it: ready once it has answered its first requests."""
    state = json.loads(stoker("status", "--name", "bench", "-o", "json", home=home))
    found: dict[str, Any] = next(one for one in state["replicas"] if one["name"] == name)
    assert found["phase"] == "Ready", found
    return found


def starter_waits() -> None:
    """Until one does, where there is to be one; what it holds is printed."""
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline and os.environ.get(SWITCH) != "off":
        for one in psutil.process_iter(["cmdline"]):
            if "stoker starter waits" in " ".join(one.info["cmdline"] or ()):
                held = one.memory_full_info()
                print(
                    f"the starter holds {held.rss / MIB:.0f} MiB, {held.uss / MIB:.0f} of its own", flush=True
                )
                return
        time.sleep(0.2)


def main(rounds: int) -> None:
    """In turn, the ratios round by round."""
    model = folder()
    home = tempfile.mkdtemp(prefix="stoker-bench-")
    ups, seconds = [], []
    try:
        with_stoker(home)  # the conversion, and compiled bytecode, once
        for _ in range(rounds):
            up, two = with_stoker(home)
            plain = bare(model, Path(home) / "bare.log")
            ups.append(up.seconds / plain.seconds)
            seconds.append(two.seconds / plain.seconds)
            print(f"{plain}\n{up}   ratio {ups[-1]:.3f}\n{two}   ratio {seconds[-1]:.3f}", flush=True)
        print(f"median ratio of `stoker up` {median(ups):.3f} (target 0.8)")
        print(f"median ratio of a second replica {median(seconds):.3f} (target 0.4)")
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # as Stoker does: neither side compiles at every start
    words = sys.argv[1:]
    if "--plain" in words:
        words.remove("--plain")
        os.environ[SWITCH] = "off"
    main(int(words[0]) if words else 3)
