"""Bad days at random: `python -m benchmarks.storm [--minutes 30] [--fleets 6] [--seed N]`.

Fleets of simulated engines with clients that never stop, while processes are killed and hung (for more than
20 s too), engines' cores stall, files are cut short, disks filled and changes rolled out that cannot start.
Ends with 1 where a request was lost before its first event, a stream broke off without a word, a fleet could
not be taken down or did not come back, a traceback was seen, something was left behind, or memory grew.

Excused, and counted apart, is what a gateway that was killed had in its hands, and only if it had
connections: it goes with it, as with any server. Disks are filled by a limit on what a process may write; the
last fleet has a home of its own on a small tmpfs, which is really filled, where mounting one is allowed.

Memory is that of supervisors and gateways, in the calm after the storm, and of those that lived from a tenth
into the
storm to its end: a fault where that span is LONG enough for a process to have filled its caches before.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import httpx2
import psutil

from benchmarks.storm_fleet import Fleet, free_ports, judged, mounted
from benchmarks.storm_weather import Weather

CLIENTS = 3  # a fleet
VERB_SECONDS = 240.0  # for a verb, on a machine that does everything at once
CALM = 90.0  # seconds in which every fleet is whole again after the storm
GROWTH = 1.05
LONG = 300.0  # seconds of life, from which growth in the storm is a fault
BODY = {
    "model": "model",
    "messages": [{"role": "user", "content": "How are you?"}],
    "max_tokens": 12,
    "ignore_eos": True,
}


async def _read(stream: asyncio.StreamReader | None, into: bytearray) -> None:
    assert stream is not None
    while part := await stream.read(65536):
        into += part


class Storm:
    """All fleets, the clients, and what went wrong."""

    def __init__(self, home: Path, fleets: int, seed: int) -> None:
        self.rng = random.Random(seed)
        self.env = {**os.environ, "STOKER_HOME": str(home), "NO_COLOR": "1"}
        self.home = home
        self.done = asyncio.Event()
        self.faults: list[str] = []
        self.events: Counter[str] = Counter()
        self.until = 0.0
        self.young: dict[psutil.Process, float] = {}
        ports = free_ports(fleets)
        self.fleets = [
            Fleet(f"f{n}", home, ports[n], 1 + n % 3, random.Random(seed + n)) for n in range(fleets)
        ]

    async def stoker(self, *argv: str, fleet: Fleet | None = None, limit: bool = False) -> tuple[int, str]:
        """A verb; what it must never print is a fault. limit: it may write nothing."""
        env = {**self.env, "STOKER_HOME": str(fleet.root)} if fleet else self.env
        code = (
            "import resource,sys;resource.setrlimit(resource.RLIMIT_FSIZE,(0,-1));"
            if limit
            else "import sys;"
        )
        code += "import faulthandler,signal;faulthandler.register(signal.SIGUSR1);"
        code += "from stoker.cli.main import main;main(sys.argv[1:])"
        made = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            code,
            *argv,
            env=env,
            cwd=self.home,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said = bytearray()  # through a pipe: who may write no file writes into none here either
        reading = asyncio.ensure_future(_read(made.stdout, said))
        done, _ = await asyncio.wait({reading}, timeout=VERB_SECONDS)
        if not (ended := bool(done)):
            made.send_signal(signal.SIGUSR1)  # where it stands is told
            await asyncio.sleep(2.0)
            made.kill()
        await made.wait()
        await reading
        text = said.decode("utf-8", "replace")
        if not ended:
            self.faults.append(f"stoker {' '.join(argv)} does not end: {text[-2400:]}")
            return 1, ""
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
        url = f"http://127.0.0.1:{fleet.port}/v1/chat/completions"
        begun, downs, events, text = time.monotonic(), fleet.downs, 0, ""
        try:
            async with http.stream("POST", url, json={**BODY, "stream": stream}) as answer:
                async for part in answer.aiter_text():
                    events, text = events + 1, text + part
                how = judged(answer.status_code, text, stream)
        except httpx2.TransportError as error:
            how = f"lost: {type(error).__name__}" if not events else "broken off"
        ended = time.monotonic()
        wrong = how.startswith("lost") or how == "broken off"
        if wrong and fleet.excused(begun, ended):
            wrong, how = False, "in the hands of a killed gateway"
        if how.startswith("lost") and (fleet.down or fleet.downs != downs):
            wrong, how = False, "while it was down"
        if wrong:
            fleet.lost.append(f"{fleet.name} after {ended - begun:.1f} s: {how} {text[-200:]}")
        fleet.counts[how.partition(":")[0]] += 1

    async def up(self, fleet: Fleet) -> None:
        for _ in range(3):
            code, out = await self.stoker(
                "up", "-d", "-y", "-f", str(fleet.file), "--timeout", "90s", fleet=fleet
            )
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
        await asyncio.gather(*(self.up(fleet) for fleet in self.fleets))
        clients = [asyncio.ensure_future(self.client(f, n)) for f in self.fleets for n in range(CLIENTS)]
        await asyncio.sleep(5)
        self.until = time.monotonic() + seconds
        looking = asyncio.ensure_future(self.look(seconds / 10))
        weather = Weather(self)
        await asyncio.gather(*(weather.over(fleet, self.until) for fleet in self.fleets))
        await looking
        through = self.through()
        await asyncio.gather(*(self.whole(fleet) for fleet in self.fleets))
        memory = await self.memory(min(60.0, seconds / 4))
        self.done.set()
        await asyncio.gather(*clients)
        for fleet in {one.root: one for one in self.fleets}.values():
            code, out = await self.stoker("down", "--all", fleet=fleet)
            if code:
                self.faults.append(f"down --all: {out[-800:]}")
        self.left()
        self.grown("the storm", through, seconds * 0.9 >= LONG)
        self.grown("the calm", memory, True)
        self.report()

    def end(self) -> None:
        """Whatever happened: nothing of it runs on."""
        for root in {fleet.root for fleet in self.fleets}:
            argv = [sys.executable, "-m", "stoker", "down", "--all", "--now"]
            env = {**self.env, "STOKER_HOME": str(root)}
            subprocess.run(argv, env=env, capture_output=True, check=False)
        for fleet in self.fleets:
            for one in fleet.processes(""):
                with contextlib.suppress(psutil.Error):
                    one.send_signal(signal.SIGKILL)

    async def whole(self, fleet: Fleet) -> None:
        """It is as it should be again, by itself or with the spec that its owner has."""
        await self.up(fleet)
        deadline = time.monotonic() + CALM
        while time.monotonic() < deadline:
            code, out = await self.stoker("status", "--name", fleet.name, "-o", "json", fleet=fleet)
            if code == 0:
                state = json.loads(out)
                if [one["phase"] for one in state["replicas"]] == ["Ready"] * state["wanted"]:
                    return
            await asyncio.sleep(1)
        self.faults.append(f"{fleet.name} is not whole after {CALM:.0f} s")

    async def memory(self, seconds: float) -> list[tuple[str, float, float]]:
        """Supervisors and gateways under load: their memory now, and after a while."""
        found = self.keepers()
        await asyncio.sleep(5)
        before = {}
        for one in found:
            with contextlib.suppress(psutil.NoSuchProcess):  # a gateway that has just finished
                before[one.pid] = _rss(one)
        await asyncio.sleep(seconds)
        out = []
        for one in found:
            with contextlib.suppress(psutil.Error, KeyError):
                out.append((one.cmdline()[2], before[one.pid], _rss(one)))
        return out

    def keepers(self) -> list[psutil.Process]:
        """Supervisors and gateways."""
        parts = ("local.supervisor", "targets.gateway")
        return [one for fleet in self.fleets for part in parts for one in fleet.processes(part)]

    async def look(self, after: float) -> None:
        """Their memory, so long after the storm began."""
        await asyncio.sleep(after)
        for one in self.keepers():
            with contextlib.suppress(psutil.Error):
                self.young[one] = _rss(one)

    def through(self) -> list[tuple[str, float, float]]:
        """Of those that have lived since: their memory then and now."""
        out = []
        for one, before in self.young.items():
            with contextlib.suppress(psutil.Error):
                if one.is_running():
                    out.append((one.cmdline()[2], before, _rss(one)))
        return out

    def grown(self, when: str, memory: list[tuple[str, float, float]], counts: bool) -> None:
        """Prints how memory has changed; growth is a fault where it counts."""
        before, after = sum(one[1] for one in memory), sum(one[2] for one in memory)
        sizes = f"{before / 2**20:.0f} -> {after / 2**20:.0f} MiB"
        print(f"memory      {sizes} in {len(memory)} supervisors and gateways through {when}")
        if counts and memory and after > before * GROWTH:
            self.faults.append(f"memory grew {after / before:.2f} times in {when}: {memory}")

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

    def report(self) -> None:
        """What was seen."""
        total: Counter[str] = sum((fleet.counts for fleet in self.fleets), Counter())
        print("requests   ", dict(total))
        print("happened   ", dict(self.events))
        for fault in self.faults:
            print("fault      ", fault)
        print(
            f"{len(self.faults)} faults, {sum(len(f.lost) for f in self.fleets)} requests lost or broken off"
        )


def _rss(one: psutil.Process) -> float:
    return float(one.memory_info().rss)


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
        disk = Path(home) / "disk"
        if mounted(disk):
            storm.fleets[-1].disk = disk
        try:
            asyncio.run(storm.run(60 * given.minutes))
        finally:
            storm.end()
            if storm.fleets[-1].disk:
                subprocess.run(["umount", "-l", str(disk)], check=False)
    return int(bool(storm.faults))


if __name__ == "__main__":
    sys.exit(main())
