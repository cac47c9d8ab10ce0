"""Group: the nodes of one replica, as a value; what their members compare, and who is silent."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PORT = 29400  # torchrun's own rendezvous port
HEARTBEAT_TIMEOUT = 15.0
JOIN = 600.0


@dataclass(frozen=True, slots=True)
class Group:
    """One replica over `nodes` hosts, seen from node `rank`. The master is node 0's address.

    port is where the nodes' agents speak, key_file what they prove to know. heartbeat_timeout is the seconds
    after which a node that says nothing counts as dead, join those that nodes are waited for. interface is
    the network interface that vLLM binds to, None to take the one that leads to the master.
    """

    nodes: int
    rank: int
    master: str
    port: int = PORT
    key_file: str | None = None
    heartbeat_timeout: float = HEARTBEAT_TIMEOUT
    join: float = JOIN
    interface: str | None = None

    @property
    def leads(self) -> bool:
        """Whether this node has the endpoint."""
        return self.rank == 0


def differences(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """What two nodes' plans do not have in common, as `name: this node's, the other's`."""
    names = [*mine, *(name for name in theirs if name not in mine)]
    return [
        f"{name}: {_shown(mine.get(name))} on node 0, {_shown(theirs.get(name))} there"
        for name in names
        if mine.get(name) != theirs.get(name)
    ]


def _shown(value: Any) -> str:
    return "nothing" if value is None else str(value)


def silent(heard: Mapping[int, float], now: float, heartbeat_timeout: float) -> list[int]:
    """The nodes that have said nothing for longer than `heartbeat_timeout` seconds."""
    return sorted(rank for rank, at in heard.items() if now - at > heartbeat_timeout)
