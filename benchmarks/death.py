"""How long the death of a gateway is felt: `python -m benchmarks.death [--times 20]`.

Beside a fleet of simulated engines a client asks every few milliseconds, on a new connection each time, while
the gateway that answers is killed again and again. Printed: connections refused, requests that were in the
dead one's hands, and the slowest answer around each kill, beside the slowest of as long a time without one.
Ends with 1 where a connection was refused or the median is over 0.3 s.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from benchmarks.storm_fleet import free_ports

ASKED = 0.3  # seconds
WINDOW = 1.0  # around a kill
BODY = json.dumps({"model": "model", "prompt": "Hi", "max_tokens": 1})


class Client(threading.Thread):
    """Asks until it is told to end; each answer with its begin, its time and what came of it."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.port, self.done = port, False
        self.seen: list[tuple[float, float, str]] = []

    def run(self) -> None:
        """One request after another."""
        while not self.done:
            begun = time.monotonic()
            self.seen.append((begun, *self._one(begun)))
            time.sleep(0.003)

    def _one(self, begun: float) -> tuple[float, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("POST", "/v1/completions", BODY, {"Content-Type": "application/json"})
            how = str(connection.getresponse().status)
        except OSError as error:
            how = type(error).__name__
        except http.client.HTTPException:
            how = "cut"
        finally:
            connection.close()
        return time.monotonic() - begun, how

    def slowest(self, since: float) -> float:
        """The slowest answer of a window."""
        return max(
            (took for begun, took, _ in self.seen if since - WINDOW / 4 < begun < since + WINDOW), default=0.0
        )


def main() -> int:
    """Prints the figures."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--times", type=int, default=20)
    asked = words.parse_args()
    with tempfile.TemporaryDirectory(prefix="stoker-death-") as home:
        env = {**os.environ, "STOKER_HOME": home}
        (port,) = free_ports(1)
        simulate = {"start_seconds": 0.05, "ttft": 0.002, "itl": 0.001}
        spec = {
            "name": "death",
            "model": "./model",
            "replicas": 2,
            "engine": {"kind": "simulated", "simulate": simulate},
            "endpoint": {"port": port, "page": False},
        }
        (Path(home) / "death.yaml").write_text(json.dumps(spec))
        stoker = [sys.executable, "-m", "stoker"]
        subprocess.run(
            [*stoker, "up", "-d", "-f", "death.yaml"], env=env, cwd=home, check=True, capture_output=True
        )
        try:
            return report(Path(home) / "state" / "fleets" / "death", port, asked.times)
        finally:
            subprocess.run([*stoker, "down"], env=env, cwd=home, check=False, capture_output=True)


def report(folder: Path, port: int, times: int) -> int:
    """Kills, and looks at what the client has seen."""
    client = Client(port)
    client.start()
    quiet, felt = [], []
    for _ in range(times):
        victim = _answering(folder)
        time.sleep(WINDOW)
        quiet.append(client.slowest(time.monotonic() - WINDOW))
        at = time.monotonic()
        victim.kill()
        time.sleep(WINDOW)
        felt.append(client.slowest(at))
    client.done = True
    client.join()
    refused = sum(how == "ConnectionRefusedError" for _, _, how in client.seen)
    lost = sum(how not in ("200", "ConnectionRefusedError") for _, _, how in client.seen)
    print(
        f"{times} kills, {len(client.seen):,} requests: {refused} refused, {lost} in the hands of a killed "
        f"gateway"
    )
    print(
        f"slowest answer around a kill, ms: median {1000 * statistics.median(felt):.0f}, at most "
        f"{1000 * max(felt):.0f}"
    )
    print(
        f"slowest answer without one, ms:   median {1000 * statistics.median(quiet):.0f}, at most "
        f"{1000 * max(quiet):.0f}"
    )
    return int(refused > 0 or statistics.median(felt) > ASKED)


def _answering(folder: Path) -> psutil.Process:
    """The gateway that answers, once another one stands by."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        reports = {file: json.loads(file.read_text()) for file in folder.glob("gateway.seen.*.json")}
        state = json.loads((folder / "state.json").read_text())["fleet"]
        pid = next((one["pid"] for one in state["services"] if one["role"] == "gateway"), None)
        if (
            pid
            and psutil.pid_exists(pid)
            and sum(one["waiting"] for one in reports.values()) == 1 == len(reports) - 1
        ):
            return psutil.Process(pid)
        time.sleep(0.05)
    raise SystemExit("no gateway stands by")


if __name__ == "__main__":
    sys.exit(main())
