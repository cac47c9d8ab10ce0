"""Machine types of GKE with GPUs: how many, host memory, network, and the on-demand price where a page states
it.

Source: `data/machines.toml`, each row with its own.
"""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from stoker.errors import UsageError
from stoker.units import Bytes

HYPERDISK_ONLY = ("a3-ultragpu", "a4-", "a4x-", "g4-")


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine type. price is in dollars an hour for the whole machine, on demand; None where no page
    states it."""

    key: str
    machine: str
    gpu: str
    gpus: int
    vcpus: int
    memory: Bytes
    local_ssd: Bytes
    network_gbps: float
    price: float | None
    price_source: str
    price_date: str
    sources: tuple[str, ...]
    date: str

    @property
    def disks(self) -> tuple[str, ...]:
        """Types of disk that it can attach, as far as weights are concerned.

        Sources: https://cloud.google.com/compute/docs/disks/hyperdisks#machine-type-support and
        https://cloud.google.com/compute/docs/disks/persistent-disks#machine-type-support
        """
        if self.machine.startswith(HYPERDISK_ONLY):
            return ("hyperdisk-ml", "hyperdisk-balanced")
        return ("pd-ssd",) if self.machine.startswith("n1-") else ("pd-ssd", "hyperdisk-ml")

    def __str__(self) -> str:
        return self.machine


@cache
def machines() -> Mapping[str, Machine]:
    """All machine types of the catalog, by key."""
    raw = tomllib.loads(files("stoker.catalog").joinpath("data/machines.toml").read_text(encoding="utf-8"))
    return {key: _machine(key, row) for key, row in raw.items()}


def _machine(key: str, row: Mapping[str, Any]) -> Machine:
    price = row.get("price_per_hour")
    return Machine(
        key=key,
        machine=row.get("machine", key),
        gpu=row["gpu"],
        gpus=row["gpus"],
        vcpus=row["vcpus"],
        memory=Bytes(int(row["memory_gib"] * 1024**3)),
        local_ssd=Bytes(int(row.get("local_ssd_gib", 0) * 1024**3)),
        network_gbps=row.get("network_gbps", 0),
        price=float(price) if price not in ("", None) else None,
        price_source=row.get("price_source", ""),
        price_date=row.get("price_date", ""),
        sources=tuple(row["sources"]),
        date=row["date"],
    )


def machine(name: str, at: str = "") -> Machine:
    """The machine type of that name. Raises: UsageError, with the nearest names."""
    wanted = name.strip().lower()
    found = machines().get(wanted) or next((m for m in machines().values() if m.machine == wanted), None)
    if found is not None:
        return found
    near = difflib.get_close_matches(wanted, machines(), n=3, cutoff=0.5)
    raise UsageError(
        f"the machine type {name!r} is not known", at=at,
        why="it is none of the catalog's machine types with GPUs", rule="machine-unknown",
        fix=" or ".join(near) if near else f"one of {', '.join(machines())}",
    )  # fmt: skip


def smallest_with(gpu: str, count: int, memory: Bytes | None = None) -> Machine | None:
    """The machine type with at least so many of a GPU and no more than needed; of equals the cheapest.

    memory: what the host should have, where any machine type has it.
    """
    fits = [m for m in machines().values() if m.gpu == gpu and m.gpus >= count]
    roomy = [m for m in fits if memory is None or m.memory >= memory]
    unknown = float("inf")
    return min(
        roomy or fits,
        key=lambda m: (m.gpus, m.price if m.price is not None else unknown, m.vcpus),
        default=None,
    )


def most_in_one(gpu: str) -> int:
    """GPUs of that kind in the largest machine of the catalog; 8 where it has none."""
    return max((m.gpus for m in machines().values() if m.gpu == gpu), default=8)
