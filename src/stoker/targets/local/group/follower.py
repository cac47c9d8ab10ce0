"""The follower: the agent of every node but the first. It joins, starts when told, and tells what it sees."""

import asyncio
import os
import time
from typing import Any

from stoker.targets.local.group.agent import BEAT, LOOK, Agent, GroupLost, Settings, grace_for, say
from stoker.targets.local.group.channel import Channel, Refused, connect

RETRY = 0.5


class Follower(Agent):
    """Any other node."""

    def __init__(self, settings: Settings, argv: list[str]) -> None:
        super().__init__(settings, argv)
        self.channel: Channel | None = None
        self.heard = time.monotonic()
        self.ready = False
        self.told: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    async def run(self) -> None:
        """Joins, starts when told, and watches until something falls. Raises: Fell."""
        health = await asyncio.start_server(self._health, "127.0.0.1", self.settings.port)
        reading: asyncio.Task[None] | None = None
        try:
            self.channel = await self._join()
            reading = asyncio.create_task(self._read(self.channel))
            await self._watch(self.channel)
        finally:
            health.close()
            if reading is not None:
                reading.cancel()

    async def _join(self) -> Channel:
        deadline, said = time.monotonic() + self.group.join, ""
        where = f"{self.group.master}:{self.group.port}"
        while True:
            try:
                channel = await connect(self.group.master, self.group.port, self.secret)
                await channel.send(
                    {"rank": self.group.rank, "host": os.uname().nodename, "facts": self.settings.facts}
                )
                return channel
            except Refused as error:
                text = f"the master {where} refuses this node: {error}"
            except (OSError, TimeoutError):
                text = f"waiting for the master {where}"
            if text != said:
                say(text)
                said = text
            if self.stopping.is_set():
                raise GroupLost("asked to stop", 0)
            if time.monotonic() > deadline:
                raise GroupLost(f"{text}: no answer after {self.group.join:g} s", 1)
            await asyncio.sleep(RETRY)

    async def _read(self, channel: Channel) -> None:
        try:
            while (said := await channel.receive()) is not None:
                self.heard = time.monotonic()
                await self.told.put(said)
        except (Refused, OSError):
            pass
        await self.told.put(None)

    async def _watch(self, channel: Channel) -> None:
        started, beat, self.heard = False, 0.0, time.monotonic()
        say(f"joined {self.group.master}:{self.group.port}, waiting for the other nodes")
        while True:
            while not self.told.empty():
                started = await self._obey(self.told.get_nowait(), started)
            if self.stopping.is_set():
                raise GroupLost("asked to stop", 0)
            if started:
                self.look()
                if time.monotonic() - self.heard > self.group.heartbeat_timeout:
                    raise GroupLost(f"the master has been silent for {self.group.heartbeat_timeout:g} s")
            if time.monotonic() - beat > BEAT:
                beat = time.monotonic()
                await self._beat(channel)
            await asyncio.sleep(LOOK)

    async def _obey(self, said: dict[str, Any] | None, started: bool) -> bool:
        if said is None:
            raise GroupLost("the master has left")
        match said.get("do"):
            case "refuse":
                raise GroupLost(f"refused by node 0: {said.get('why')}", 2)
            case "stop":
                raise GroupLost(f"node 0 ends the group: {said.get('why')}")
            case "start":
                say("starting the engine")
                await self.start_engine(int(said["master_port"]))
                return True
        self.ready = bool(said.get("ready"))
        return started

    async def _beat(self, channel: Channel, ended: str | None = None) -> None:
        try:
            async with asyncio.timeout(BEAT):
                await channel.send({"ranks": self.engine.ranks(), "ended": ended})
        except (OSError, TimeoutError):
            return

    async def _health(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """What a supervisor asks of an engine: 200 once the whole group is ready."""
        try:
            async with asyncio.timeout(2):
                request = await reader.readuntil(b"\r\n\r\n")
            known = request.startswith((b"GET /health ", b"GET /metrics "))
            status = (
                b"404 Not Found" if not known else b"200 OK" if self.ready else b"503 Service Unavailable"
            )
            writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    async def end(self, why: str) -> None:
        """Says why, where somebody listens, and stops this node's engine."""
        if self.channel is not None:
            await self._beat(self.channel, why)
        await self.engine.stop(grace_for(why))
        if self.channel is not None:
            self.channel.close()
