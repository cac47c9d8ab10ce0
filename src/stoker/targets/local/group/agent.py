"""The agent: one beside each node's engine. The leader's (node 0) gathers the nodes and starts them together.

One life of an agent is one life of the group: whatever goes wrong on any node ends every node's engine and agent, and
each node's supervisor starts its agent again, which gathers again. Exit code 75 says that it was not this node's
engine that failed.
"""

import asyncio
import json
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stoker.planner.group import Group, differences, silent
from stoker.system.files import write_json
from stoker.system.proc import port_free
from stoker.targets.local.gateway.upstream import Pool, fetch
from stoker.targets.local.group import TRY_AGAIN
from stoker.targets.local.group.channel import Channel, Refused, accept, connect
from stoker.targets.local.group.engine import Engine, address_towards, interface_of

LOOK = 0.25
BEAT = 1.0
RETRY = 0.5


@dataclass(frozen=True, slots=True)
class Settings:
    """What an agent is told. `facts` are what all nodes must have in common; port is the engine's, for health."""

    group: Group
    tensor: int
    port: int
    facts: dict[str, Any]
    ranks_file: str

    @classmethod
    def read(cls, text: str) -> "Settings":
        """The settings as the command line has them."""
        raw = json.loads(text)
        return cls(**{**raw, "group": Group(**raw["group"]), "port": int(raw["port"])})


def say(text: str) -> None:
    """One line in the log, which the supervisor shows."""
    print(f"{time.strftime('%H:%M:%S')} stoker group: {text}", flush=True)  # noqa: T201  # its log is its output


class Fell(Exception):
    """The group is down: why, and the exit code of this agent."""

    def __init__(self, why: str, code: int = TRY_AGAIN) -> None:
        super().__init__(why)
        self.code = code


@dataclass
class Member:
    """One other node, as the leader knows it."""

    channel: Channel
    host: str
    ranks: dict[int, int] = field(default_factory=dict)


class Agent:
    """What both kinds share: the engine, and the file that says which ranks run where."""

    def __init__(self, settings: Settings, argv: list[str]) -> None:
        self.settings, self.group, self.argv = settings, settings.group, argv
        self.engine = Engine(settings.tensor)
        self.stopping = asyncio.Event()
        self.others: dict[int, tuple[str, int]] = {}
        self._written: Any = None
        key = self.group.key_file
        self.secret = Path(key).read_text().strip() if key else ""

    async def start_engine(self, master_port: int) -> None:
        """Starts vLLM, bound to the interface that leads to the master."""
        env: dict[str, str] = {}
        if self.group.nodes > 1:
            address = self.group.master if self.group.leads else address_towards(self.group.master)
            name = self.group.interface or interface_of(address)
            env["VLLM_HOST_IP"] = address
            env |= {"GLOO_SOCKET_IFNAME": name, "NCCL_SOCKET_IFNAME": name} if name else {}
        await self.engine.start([part.replace("{master_port}", str(master_port)) for part in self.argv], env)

    def look(self) -> None:
        """Raises: Fell, where this node's engine, or one of its ranks, is gone."""
        if (code := self.engine.ended) is not None:
            raise Fell(
                f"the engine of node {self.group.rank} ended with code {code}",
                code if code > 0 else TRY_AGAIN,
            )
        if (rank := self.engine.lost()) is not None:
            raise Fell(f"rank {rank} is gone")
        self.write_ranks()

    def write_ranks(self) -> None:
        """Says which ranks run where."""
        host = os.uname().nodename
        here = {rank: (host, pid) for rank, pid in self.engine.ranks().items()}
        ranks = [{"index": n, "host": h, "pid": p} for n, (h, p) in sorted({**self.others, **here}.items())]
        if ranks != self._written:
            write_json(Path(self.settings.ranks_file), ranks)
            self._written = ranks

    async def well(self) -> bool:
        """Whether the engine's API answers."""
        try:
            status, _ = await fetch(Pool("127.0.0.1", self.settings.port), b"/health", [], 1.0)
        except (OSError, TimeoutError):
            return False
        return status == 200


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
                raise Fell("asked to stop", 0)
            if time.monotonic() > deadline:
                raise Fell(f"{text}: not there after {self.group.join:g} s", 1)
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
                raise Fell("asked to stop", 0)
            if self.fell:
                raise Fell(self.fell)
            if dead := silent(self.heard, time.monotonic(), self.group.silence):
                raise Fell(f"node {dead[0]} has been silent for {self.group.silence:g} s")
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
        await self.engine.stop(self_grace(why))
        for task in list(self._tasks):
            task.cancel()


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
                await channel.send({"rank": self.group.rank, "host": os.uname().nodename, "facts": self.settings.facts})  # fmt: skip
                return channel
            except Refused as error:
                text = f"the master {where} refuses this node: {error}"
            except (OSError, TimeoutError):
                text = f"waiting for the master {where}"
            if text != said:
                say(text)
                said = text
            if self.stopping.is_set():
                raise Fell("asked to stop", 0)
            if time.monotonic() > deadline:
                raise Fell(f"{text}: no answer after {self.group.join:g} s", 1)
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
                raise Fell("asked to stop", 0)
            if started:
                self.look()
                if time.monotonic() - self.heard > self.group.silence:
                    raise Fell(f"the master has been silent for {self.group.silence:g} s")
            if time.monotonic() - beat > BEAT:
                beat = time.monotonic()
                await self._beat(channel)
            await asyncio.sleep(LOOK)

    async def _obey(self, said: dict[str, Any] | None, started: bool) -> bool:
        if said is None:
            raise Fell("the master has left")
        match said.get("do"):
            case "refuse":
                raise Fell(f"refused by node 0: {said.get('why')}", 2)
            case "stop":
                raise Fell(f"node 0 ends the group: {said.get('why')}")
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
        await self.engine.stop(self_grace(why))
        if self.channel is not None:
            self.channel.close()


def self_grace(why: str) -> float:
    """An engine that is asked to stop may finish what it does; one whose group has fallen has nothing to finish."""
    return 10.0 if why == "asked to stop" else 1.0


def _free_port(host: str) -> int:
    """A port for vLLM's rendezvous, outside the range of outgoing connections where one is free."""
    import random

    for _ in range(100):
        port = random.randrange(20000, 32000)
        if port_free(host, port):
            return port
    raise Fell(f"no port is free on {host}", 1)


async def main(settings: Settings, argv: list[str]) -> int:
    """Runs one life of the group on this node; the exit code."""
    import signal

    agent: Leader | Follower = Leader(settings, argv) if settings.group.leads else Follower(settings, argv)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, agent.stopping.set)
    try:
        await agent.run()
    except Fell as fell:
        say(f"{fell}; the group ends" if fell.code else str(fell))
        await agent.end(str(fell))
        return fell.code
    except OSError as error:
        say(f"Error: {error}")
        await agent.end(str(error))
        return 1
    return 0


if __name__ == "__main__":
    split = sys.argv.index("--")
    sys.exit(asyncio.run(main(Settings.read(sys.argv[1]), sys.argv[split + 1 :])))
