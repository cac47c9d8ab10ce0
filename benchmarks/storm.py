"""Bad days at random: `python -m benchmarks.storm [--minutes 30] [--fleets 6] [--seed N]`.

Fleets of simulated engines with clients that never stop, while processes are killed and hung, files cut short, disks
filled and changes rolled out that cannot start. Ends with 1 where a request was lost before its first event, a fleet
could not be taken down or did not come back, a traceback was seen, something was left behind, or memory grew.

A request in the hands of a gateway that was killed is lost with it, as with any server: those are counted apart.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import psutil

CLIENTS = 3  # a fleet
CALM = 90.0  # seconds in which every fleet is whole again after the storm
GROWTH = 1.05
FILES = (
    "wanted.json",
    "state.json",
    "routes.json",
    "generations.json",
    "gateway.*.lock",
    "gateway.seen.*",
    "*.sock",
)
BODY = {
    "model": "model",
    "messages": [{"role": "user", "content": "How are you?"}],
    "max_tokens": 12,
    "ignore_eos": True,
}
BROKEN = ("--set", 'engine.simulate.faults={fail_start: "ValueError: bad day"}')


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
    gateway_killed: list[float] = field(default_factory=list)
    down: bool = False

    @property
    def folder(self) -> Path:
        return self.home / "state" / "fleets" / self.name

    @property
    def file(self) -> Path:
        return self.home / f"{self.name}.yaml"

    def write(self) -> None:
        """Its spec."""
        simulate = {"start_seconds": 0.2, "ttft": 0.02, "itl": 0.01}
        self.file.write_text(json.dumps({
            "name": self.name, "model": "./model", "replicas": self.replicas, "drain_timeout": "20s",
            "engine": {"kind": "simulated", "simulate": simulate},
            "endpoint": {"port": self.port, "page": False},
        }))  # fmt: skip

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


class Storm:
    """All fleets, the clients, and what went wrong."""

    def __init__(self, home: Path, fleets: int, seed: int) -> None:
        self.rng = random.Random(seed)
        self.env = {**os.environ, "STOKER_HOME": str(home), "NO_COLOR": "1"}
        self.home = home
        self.done = asyncio.Event()
        self.faults: list[str] = []
        self.events: Counter[str] = Counter()
        ports = free_ports(fleets)
        self.fleets = [
            Fleet(f"f{n}", home, ports[n], 1 + n % 3, random.Random(seed + n)) for n in range(fleets)
        ]

    async def stoker(self, *argv: str, limit: bool = False) -> tuple[int, str]:
        """A verb; what it must never print is a fault. limit: on a disk that is full."""
        code = (
            "import resource,sys;resource.setrlimit(resource.RLIMIT_FSIZE,(0,-1));"
            if limit
            else "import sys;"
        )
        code += "from stoker.cli.main import main;main(sys.argv[1:])"
        made = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, *argv, env=self.env, cwd=self.home,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        try:
            out, _ = await asyncio.wait_for(made.communicate(), 240)
        except TimeoutError:
            made.kill()
            self.faults.append(f"stoker {' '.join(argv)} does not end")
            return 1, ""
        text = out.decode("utf-8", "replace")
        if "Traceback" in text or "unexpected:" in text:
            self.faults.append(f"stoker {' '.join(argv)}: {text[-800:]}")
        return made.returncode or 0, text

    # clients

    async def client(self, fleet: Fleet, number: int) -> None:
        """Asks and asks, streaming or not; a connection for each, or one for all."""
        limits = httpx2.Limits(max_keepalive_connections=number % 2)
        async with httpx2.AsyncClient(timeout=120, verify=False, limits=limits) as http:
            while not self.done.is_set():
                if not fleet.down:
                    await self.one(http, fleet, stream=fleet.rng.random() < 0.6)
                await asyncio.sleep(fleet.rng.uniform(0.0, 0.2))

    async def one(self, http: httpx2.AsyncClient, fleet: Fleet, stream: bool) -> None:
        """One request, and what became of it."""
        url, begun, events, text = (
            f"http://127.0.0.1:{fleet.port}/v1/chat/completions",
            time.monotonic(),
            0,
            "",
        )
        try:
            async with http.stream("POST", url, json={**BODY, "stream": stream}) as answer:
                async for part in answer.aiter_text():
                    events, text = events + 1, text + part
                how = _judged(answer.status_code, text, stream)
        except httpx2.TransportError as error:
            how = f"lost: {type(error).__name__}" if not events else "broken off"
        if how.startswith("lost") and any(begun - 1 < at < time.monotonic() for at in fleet.gateway_killed):
            how = "in the hands of a killed gateway"
        if how.startswith("lost") and fleet.down:
            how = "while it was down"
        if how.startswith("lost"):
            fleet.lost.append(f"{fleet.name} after {time.monotonic() - begun:.1f} s: {how} {text[:200]}")
        fleet.counts[how.partition(":")[0]] += 1

    # what happens

    async def weather(self, fleet: Fleet, until: float) -> None:
        """One bad thing after another, with a pause in which a fleet may get well, or not."""
        kinds = [
            self.kill_replica, self.hang_replica, self.kill_gateway, self.kill_supervisor, self.damage, self.full_disk,
            self.bad_rollout, self.rollout, self.scale, self.restart, self.rollback, self.full_disk_verbs, self.again,
            self.remove,
        ]  # fmt: skip
        while time.monotonic() < until:
            kind = self.rng.choice(kinds)
            self.events[kind.__name__] += 1
            with contextlib.suppress(psutil.Error, OSError, IndexError):
                await kind(fleet)
            await asyncio.sleep(self.rng.uniform(0.5, 6.0))

    async def kill_replica(self, fleet: Fleet) -> None:
        self.rng.choice(fleet.processes("stoker.targets.simulated")).kill()

    async def hang_replica(self, fleet: Fleet) -> None:
        one = self.rng.choice(fleet.processes("stoker.targets.simulated"))
        one.suspend()
        await asyncio.sleep(self.rng.uniform(0.5, 3.0))
        one.resume()

    async def kill_gateway(self, fleet: Fleet) -> None:
        fleet.gateway_killed.append(time.monotonic())
        self.rng.choice(fleet.processes("stoker.targets.gateway")).kill()
        fleet.gateway_killed.append(time.monotonic() + 0.5)

    async def kill_supervisor(self, fleet: Fleet) -> None:
        self.rng.choice(fleet.processes("stoker.targets.local.supervisor")).kill()
        await asyncio.sleep(self.rng.uniform(0.0, 2.0))
        await self.stoker("status", "--name", fleet.name)

    async def damage(self, fleet: Fleet) -> None:
        path = self.rng.choice([one for one in fleet.folder.glob(self.rng.choice(FILES)) if one.is_file()])
        raw = path.read_bytes()
        cut = raw[: self.rng.randrange(len(raw) + 1)]
        path.write_bytes(self.rng.choice([b"", cut, b"\0" * len(raw), raw[::-1], b"{}", b"[1, 2"]))

    async def full_disk(self, fleet: Fleet) -> None:
        for one in [*fleet.processes("local.supervisor"), *fleet.processes("targets.gateway")]:
            one.rlimit(psutil.RLIMIT_FSIZE, (0, psutil.RLIM_INFINITY))
        await asyncio.sleep(self.rng.uniform(1.0, 12.0))
        everything = (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY)
        for one in fleet.processes(""):
            with contextlib.suppress(psutil.Error):
                one.rlimit(psutil.RLIMIT_FSIZE, everything)

    async def full_disk_verbs(self, fleet: Fleet) -> None:
        for verb in (
            ("status", "--name", fleet.name),
            ("scale", "2", "--name", fleet.name),
            ("why", "--name", fleet.name),
        ):
            await self.stoker(*verb, limit=True)

    async def bad_rollout(self, fleet: Fleet) -> None:
        await self.stoker("up", "-d", "-y", "-f", str(fleet.file), *BROKEN, "--timeout", "60s")

    async def rollout(self, fleet: Fleet) -> None:
        wait = f"engine.simulate.ttft={self.rng.choice([0.01, 0.02, 0.03])}"
        await self.stoker("up", "-d", "-y", "-f", str(fleet.file), "--set", wait, "--timeout", "60s")

    async def scale(self, fleet: Fleet) -> None:
        await self.stoker("scale", str(self.rng.randint(1, 3)), "--name", fleet.name, "--timeout", "60s")

    async def restart(self, fleet: Fleet) -> None:
        await self.stoker("restart", "--name", fleet.name, "--timeout", "60s")

    async def rollback(self, fleet: Fleet) -> None:
        await self.stoker("rollback", "--name", fleet.name, "--timeout", "60s")

    async def again(self, fleet: Fleet) -> None:
        """Down and up."""
        fleet.down = True
        await asyncio.sleep(0.2)
        full = self.rng.random() < 0.3
        code, out = await self.stoker("down", "--name", fleet.name, limit=full)
        if code not in (0, 2):
            self.faults.append(f"{fleet.name} was not taken down: {out[-400:]}")
        await self.up(fleet)

    async def remove(self, fleet: Fleet) -> None:
        """Somebody removes one of its files."""
        self.rng.choice(list(fleet.folder.glob(self.rng.choice(FILES)))).unlink()

    async def up(self, fleet: Fleet) -> None:
        for _ in range(3):
            code, out = await self.stoker("up", "-d", "-y", "-f", str(fleet.file), "--timeout", "90s")
            if code == 0:
                break
        else:
            self.faults.append(f"{fleet.name} does not come up: {out[-400:]}")
        fleet.down = False

    # the whole

    async def run(self, seconds: float) -> None:
        """Up, storm, calm, down."""
        for fleet in self.fleets:
            fleet.write()
            await self.up(fleet)
        clients = [asyncio.ensure_future(self.client(f, n)) for f in self.fleets for n in range(CLIENTS)]
        await asyncio.sleep(5)
        until = time.monotonic() + seconds
        await asyncio.gather(*(self.weather(fleet, until) for fleet in self.fleets))
        for fleet in self.fleets:
            await self.whole(fleet)
        memory = await self.memory(min(60.0, seconds / 2))
        self.done.set()
        await asyncio.gather(*clients)
        code, out = await self.stoker("down", "--all")
        if code:
            self.faults.append(f"down --all: {out[-800:]}")
        self.left()
        self.report(memory)

    async def whole(self, fleet: Fleet) -> None:
        """It is as it should be again, by itself or with the spec that its owner has."""
        await self.up(fleet)
        deadline = time.monotonic() + CALM
        while time.monotonic() < deadline:
            code, out = await self.stoker("status", "--name", fleet.name, "-o", "json")
            if code == 0:
                state = json.loads(out)
                if [one["phase"] for one in state["replicas"]] == ["Ready"] * state["wanted"]:
                    return
            await asyncio.sleep(1)
        self.faults.append(f"{fleet.name} is not whole after {CALM:.0f} s")

    async def memory(self, seconds: float) -> list[tuple[str, float, float]]:
        """Supervisors and gateways under load: their memory now, and after a while."""
        found = [
            one
            for f in self.fleets
            for one in (*f.processes("local.supervisor"), *f.processes("targets.gateway"))
        ]
        await asyncio.sleep(5)
        before = {one.pid: _rss(one) for one in found}
        await asyncio.sleep(seconds)
        out = []
        for one in found:
            with contextlib.suppress(psutil.Error):
                out.append((one.cmdline()[2], before[one.pid], _rss(one)))
        return out

    def left(self) -> None:
        """What runs on, and what the processes have said."""
        time.sleep(1)
        for fleet in self.fleets:
            self.faults += [f"left behind: {' '.join(one.cmdline())[:200]}" for one in fleet.processes("")]
            self.faults += fleet.lost
            for log in (fleet.folder / "logs").glob("*.log"):
                text = log.read_text(errors="replace")
                if "Traceback" in text and "engine" not in log.name:
                    self.faults.append(
                        f"{log.name} of {fleet.name}: {text[text.index('Traceback') :][:1500]}"
                    )

    def report(self, memory: list[tuple[str, float, float]]) -> None:
        """What was seen."""
        total: Counter[str] = sum((fleet.counts for fleet in self.fleets), Counter())
        print("requests   ", dict(total))
        print("happened   ", dict(self.events))
        before, after = sum(one[1] for one in memory), sum(one[2] for one in memory)
        print(
            f"memory      {before / 2**20:.0f} -> {after / 2**20:.0f} MiB in {len(memory)} supervisors and gateways"
        )
        if memory and after > before * GROWTH:
            self.faults.append(f"memory grew {after / before:.2f} times: {memory}")
        for fault in self.faults:
            print("fault      ", fault)
        print(
            f"{len(self.faults)} faults, {sum(len(f.lost) for f in self.fleets)} requests lost before their first event"
        )


def _judged(status: int, text: str, stream: bool) -> str:
    if status != 200:
        return f"lost: {status}"
    if not stream or '"error"' not in text:
        return "answered" if not stream or "[DONE]" in text else "broken off"
    return "ended with an error event"


def _rss(one: psutil.Process) -> float:
    return float(one.memory_info().rss)


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


def main(argv: list[str] | None = None) -> int:
    """Runs it; 1 where anything of the list above was seen."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--fleets", type=int, default=6)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args(argv)
    print(f"seed        {given.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="stoker-storm-", ignore_cleanup_errors=True) as home:
        storm = Storm(Path(home), given.fleets, given.seed)
        try:
            asyncio.run(storm.run(60 * given.minutes))
        finally:
            subprocess.run(
                [sys.executable, "-m", "stoker", "down", "--all", "--now"],
                env=storm.env,
                capture_output=True,
                check=False,
            )
            for fleet in storm.fleets:
                for one in fleet.processes(""):
                    with contextlib.suppress(psutil.Error):
                        one.send_signal(signal.SIGKILL)
    return int(bool(storm.faults))


if __name__ == "__main__":
    sys.exit(main())
