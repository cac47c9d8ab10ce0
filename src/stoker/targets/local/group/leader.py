"""The leader: node 0's agent. It waits for the other nodes, starts all engines together, and ends all of
them."""

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import Any

from stoker.planner.group import differences, silent
from stoker.system.proc import port_free
from stoker.targets.local.group.agent import BEAT, LOOK, Agent, GroupLost, Settings, grace_for, say
from stoker.targets.local.group.channel import Channel, Refused, accept


@dataclass
class Member:
    """One other node, as the leader knows it."""

    channel: Channel
    host: str
    ranks: dict[int, int] = field(default_factory=dict)


class Leader(Agent):
    """Node 0."""

    def __init__(self, settings: Settings, argv: list[str]) -> None:
        super().__init__(settings, argv)
        self.members: dict[int, Member] = {}
        self.heard: dict[int, float] = {}
        self.fell: str | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Gathers, starts, and watches until something falls. Raises: Fell."""
        server = None
        if self.group.nodes > 1:
            server = await asyncio.start_server(self._joined, self.group.master, self.group.port, limit=65536)
        try:
            await self._gather()
            master_port = _free_port(self.group.master)
            await self._tell({"do": "start", "master_port": master_port})
            await self.start_engine(master_port)
            await self._watch()
        finally:
            if server is not None:
                server.close()

    async def _gather(self) -> None:
        deadline, said = time.monotonic() + self.group.join, ""
        while missing := [rank for rank in range(1, self.group.nodes) if rank not in self.members]:
            text = f"waiting for node{'s' * (len(missing) > 1)} {', '.join(map(str, missing))}"
            if text != said:
                say(text)
                said = text
            if self.stopping.is_set():
                raise GroupLost("asked to stop", 0)
            if time.monotonic() > deadline:
                raise GroupLost(f"{text}: not there after {self.group.join:g} s", 1)
            await asyncio.sleep(LOOK)
        if self.group.nodes > 1:
            say(f"all {self.group.nodes} nodes are here")

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        peer = str((writer.get_extra_info("peername") or ("?",))[0])
        try:
            channel = await accept(reader, writer, self.secret)
            await self._serve(channel, peer)
        except (Refused, TimeoutError) as error:
            say(f"refused {peer}: {error or 'it said nothing'}")
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _serve(self, channel: Channel, peer: str) -> None:
        hello = await channel.receive() or {}
        rank = int(hello.get("rank", -1))
        if why := self._refusal(rank, hello):
            say(f"refused node {rank} ({peer}): {why}")
            await channel.send({"do": "refuse", "why": why})
            return
        self.members[rank], self.heard[rank] = Member(channel, str(hello.get("host"))), time.monotonic()
        say(f"node {rank} is here ({hello.get('host')}, {peer})")
        try:
            while (said := await channel.receive()) is not None:
                self.heard[rank] = time.monotonic()
                self.members[rank].ranks = {int(k): v for k, v in said.get("ranks", {}).items()}
                if said.get("ended"):
                    self.fell = f"node {rank}: {said['ended']}"
        finally:
            self.members.pop(rank, None)
            self.heard.pop(rank, None)
            self.fell = self.fell or f"node {rank} has left"

    def _refusal(self, rank: int, hello: dict[str, Any]) -> str:
        if not 0 < rank < self.group.nodes:
            return f"it is node {rank} of {self.group.nodes}"
        if rank in self.members:
            return f"node {rank} is here already"
        return "; ".join(differences(self.settings.facts, hello.get("facts") or {}))

    async def _watch(self) -> None:
        ready, beat = False, 0.0
        self.fell = None if len(self.members) == self.group.nodes - 1 else self.fell or "a node has left"
        while True:
            if self.stopping.is_set():
                raise GroupLost("asked to stop", 0)
            if self.fell:
                raise GroupLost(self.fell)
            if dead := silent(self.heard, time.monotonic(), self.group.heartbeat_timeout):
                raise GroupLost(f"node {dead[0]} has been silent for {self.group.heartbeat_timeout:g} s")
            self.others = {
                rank: (member.host, pid)
                for member in self.members.values()
                for rank, pid in member.ranks.items()
            }
            self.look()
            if time.monotonic() - beat > BEAT:
                beat, ready = time.monotonic(), ready or await self.well()
                await self._tell({"do": "go on", "ready": ready})
            await asyncio.sleep(LOOK)

    async def _tell(self, body: dict[str, Any]) -> None:
        """Tells every node; one that cannot be told is noticed by its silence."""
        for member in list(self.members.values()):
            try:
                async with asyncio.timeout(BEAT):
                    await member.channel.send(body)
            except (OSError, TimeoutError):
                continue

    async def end(self, why: str) -> None:
        """Ends the group: every node is told, this node's engine stopped."""
        await self._tell({"do": "stop", "why": why})
        await self.engine.stop(grace_for(why))
        for task in list(self._tasks):
            task.cancel()


def _free_port(host: str) -> int:
    """A port for vLLM's rendezvous, outside the range of outgoing connections where one is free."""
    for _ in range(100):
        port = random.randrange(20000, 32000)
        if port_free(host, port):
            return port
    raise GroupLost(f"no port is free on {host}", 1)
