"""The agent: one beside each node's engine. The leader's (node 0) gathers the nodes and starts them together.

One life of an agent is one life of the group: whatever goes wrong on any node ends every node's engine and
agent, and each node's supervisor starts its agent again, which gathers again. Exit code 75 says that it was
not this node's engine that failed.
"""

import asyncio
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stoker.planner.group import Group
from stoker.system.files import write_json
from stoker.system.pool import Pool, fetch
from stoker.targets.local.group import TRY_AGAIN
from stoker.targets.local.group.engine import Engine, address_towards, interface_of

LOOK = 0.25
BEAT = 1.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What an agent is told. `facts` are what all nodes must have in common; port is the engine's, for
    health."""

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


class GroupLost(Exception):
    """The group is down: why, and the exit code of this agent."""

    def __init__(self, why: str, code: int = TRY_AGAIN) -> None:
        super().__init__(why)
        self.code = code


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
            raise GroupLost(
                f"the engine of node {self.group.rank} ended with code {code}",
                code if code > 0 else TRY_AGAIN,
            )
        if (rank := self.engine.lost()) is not None:
            raise GroupLost(f"rank {rank} is gone")
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


def grace_for(why: str) -> float:
    """An engine that is asked to stop may finish what it does; one whose group has fallen has nothing to
    finish."""
    return 10.0 if why == "asked to stop" else 1.0
