"""What happens to the fleets of a storm: processes killed, hung or stalled, files damaged, disks full."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import psutil

from benchmarks.storm_fleet import PROMPT, Fleet, filled

if TYPE_CHECKING:
    from benchmarks.storm import Storm

FILES = (
    "wanted.json",
    "state.json",
    "routes.json",
    "generations.json",
    "gateway.*.lock",
    "gateway.seen.*",
    "*.sock",
)
BROKEN = ("--set", 'engine.simulate.faults={fail_start: "ValueError: bad day"}')


class Weather:
    """One bad thing after another, of all that there are."""

    def __init__(self, storm: Storm) -> None:
        self.storm = storm

    async def over(self, fleet: Fleet, until: float) -> None:
        """One bad thing after another, with a pause in which a fleet may get well, or not."""
        kinds = [
            self.kill_replica,
            self.hang_replica,
            self.hang_long,
            self.stall,
            self.kill_gateway,
            self.kill_supervisor,
            self.damage,
            self.full_disk,
            self.bad_rollout,
            self.rollout,
            self.scale,
            self.restart,
            self.rollback,
            self.full_disk_verbs,
            self.again,
            self.remove,
        ]
        while time.monotonic() < until:
            kind = self.storm.rng.choice(kinds)
            self.storm.events[kind.__name__] += 1
            with contextlib.suppress(psutil.Error, OSError, IndexError):
                await kind(fleet)
            await asyncio.sleep(self.storm.rng.uniform(0.5, 6.0))

    async def kill_replica(self, fleet: Fleet) -> None:
        self.storm.rng.choice(fleet.processes("stoker.targets.simulated")).kill()

    async def hang_replica(self, fleet: Fleet) -> None:
        await self.hang(fleet, self.storm.rng.uniform(0.5, 3.0))

    async def hang_long(self, fleet: Fleet) -> None:
        """Longer than a supervisor looks on."""
        await self.hang(fleet, self.storm.rng.uniform(20.0, 40.0))

    async def hang(self, fleet: Fleet, seconds: float) -> None:
        one = self.storm.rng.choice(fleet.processes("stoker.targets.simulated"))
        one.suspend()
        await self.wait(seconds)
        one.resume()

    async def stall(self, fleet: Fleet) -> None:
        """The engine's core makes no step; its front end answers on."""
        pid = self.storm.rng.choice(fleet.processes("stoker.targets.simulated")).pid
        file = self.storm.home / f"{pid}.sim"
        file.write_text('{"faults": {"stall": true}}')
        await self.wait(self.storm.rng.uniform(1.0, 25.0))
        file.unlink()

    async def wait(self, seconds: float) -> None:
        """For so long, but hardly longer than the storm."""
        await asyncio.sleep(min(seconds, max(1.0, self.storm.until - time.monotonic())))

    async def kill_gateway(self, fleet: Fleet) -> None:
        """The answering one, or one that stands by: it has no connections."""
        one = self.storm.rng.choice(fleet.processes("stoker.targets.gateway"))
        at = time.monotonic()
        one.suspend()  # it takes no further connection
        try:
            answering = any(c.laddr.port == fleet.port and c.raddr for c in one.net_connections("tcp"))
        finally:
            one.kill()
        if answering:
            fleet.killed.append((at, at + PROMPT))
            await self.gone(one)
            fleet.killed[-1] = (at, time.monotonic())
        self.storm.events["kill_gateway that answered"] += answering

    async def gone(self, one: psutil.Process) -> None:
        """Until its connections are closed."""
        with contextlib.suppress(psutil.Error):
            for _ in range(300):
                if not one.is_running() or one.status() == psutil.STATUS_ZOMBIE:
                    return
                await asyncio.sleep(0.01)

    async def kill_supervisor(self, fleet: Fleet) -> None:
        self.storm.rng.choice(fleet.processes("stoker.targets.local.supervisor")).kill()
        await asyncio.sleep(self.storm.rng.uniform(0.0, 2.0))
        await self.storm.stoker("status", "--name", fleet.name, fleet=fleet)

    async def damage(self, fleet: Fleet) -> None:
        path = self.storm.rng.choice(
            [one for one in fleet.folder.glob(self.storm.rng.choice(FILES)) if one.is_file()]
        )
        raw = path.read_bytes()
        cut = raw[: self.storm.rng.randrange(len(raw) + 1)]
        path.write_bytes(self.storm.rng.choice([b"", cut, b"\0" * len(raw), raw[::-1], b"{}", b"[1, 2"]))

    async def full_disk(self, fleet: Fleet) -> None:
        """Nothing can be written: by a limit on its processes, or by a disk that has no room."""
        if fleet.disk is not None:
            with filled(fleet.disk):
                await self.wait(self.storm.rng.uniform(1.0, 12.0))
            return
        for one in [*fleet.processes("local.supervisor"), *fleet.processes("targets.gateway")]:
            one.rlimit(psutil.RLIMIT_FSIZE, (0, psutil.RLIM_INFINITY))
        await asyncio.sleep(self.storm.rng.uniform(1.0, 12.0))
        everything = (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY)
        for one in fleet.processes(""):
            with contextlib.suppress(psutil.Error):
                one.rlimit(psutil.RLIMIT_FSIZE, everything)

    async def full_disk_verbs(self, fleet: Fleet) -> None:
        verbs = (("status",), ("scale", "2"), ("why",))
        with filled(fleet.disk) if fleet.disk else contextlib.nullcontext():
            for verb in verbs:
                await self.storm.stoker(*verb, "--name", fleet.name, fleet=fleet, limit=fleet.disk is None)

    async def bad_rollout(self, fleet: Fleet) -> None:
        await self.storm.stoker(
            "up", "-d", "-y", "-f", str(fleet.file), *BROKEN, "--timeout", "60s", fleet=fleet
        )

    async def rollout(self, fleet: Fleet) -> None:
        wait = f"engine.simulate.ttft={self.storm.rng.choice([0.01, 0.02, 0.03])}"
        await self.storm.stoker(
            "up", "-d", "-y", "-f", str(fleet.file), "--set", wait, "--timeout", "60s", fleet=fleet
        )

    async def scale(self, fleet: Fleet) -> None:
        await self.storm.stoker(
            "scale", str(self.storm.rng.randint(1, 3)), "--name", fleet.name, "--timeout", "60s", fleet=fleet
        )

    async def restart(self, fleet: Fleet) -> None:
        await self.storm.stoker("restart", "--name", fleet.name, "--timeout", "60s", fleet=fleet)

    async def rollback(self, fleet: Fleet) -> None:
        await self.storm.stoker("rollback", "--name", fleet.name, "--timeout", "60s", fleet=fleet)

    async def again(self, fleet: Fleet) -> None:
        """Down and up."""
        fleet.down, fleet.downs = True, fleet.downs + 1
        await asyncio.sleep(0.2)
        full = self.storm.rng.random() < 0.3
        code, out = await self.storm.stoker("down", "--name", fleet.name, fleet=fleet, limit=full)
        if code not in (0, 2):
            self.storm.faults.append(f"{fleet.name} was not taken down: {out[-400:]}")
        await self.storm.up(fleet)

    async def remove(self, fleet: Fleet) -> None:
        """Somebody removes one of its files."""
        self.storm.rng.choice(list(fleet.folder.glob(self.storm.rng.choice(FILES)))).unlink()
