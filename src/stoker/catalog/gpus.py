"""GPUs by name: memory as CUDA reports it, bandwidth, arithmetic, interconnect. Source: `data/gpus.toml`,
each row with its own."""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from stoker.errors import UsageError
from stoker.units import Bytes


@dataclass(frozen=True, slots=True)
class GpuType:
    """One model of GPU.

    memory is what CUDA reports as total. bandwidth in bytes/s; tflops by dtype, dense, in 10^12 operations/s.
    interconnect_bandwidth in bytes/s, both directions of one GPU. compute_capability as NVIDIA counts it, or
    AMD's target. accelerator: GKE's node label of it, None where GKE has none. unsure names the fields whose
    figure no page states as it stands.
    """

    key: str
    name: str
    aliases: tuple[str, ...]
    maker: str
    memory: Bytes
    bandwidth: float
    tflops: Mapping[str, float]
    interconnect: str
    interconnect_bandwidth: float
    compute_capability: str
    sources: tuple[str, ...]
    date: str
    unsure: tuple[str, ...] = ()
    accelerator: str | None = None

    def __str__(self) -> str:
        return self.key.upper() if self.sources else self.name

    @property
    def capability(self) -> int | None:
        """Compute capability as vLLM compares it (7.5 is 75); None where it is not NVIDIA's, or not known."""
        major, dot, minor = self.compute_capability.partition(".")
        return int(major) * 10 + int(minor) if dot and major.isdigit() and minor.isdigit() else None

    def supports(self, dtype: str) -> bool:
        """Whether it multiplies numbers of that dtype in hardware."""
        return dtype in self.tflops


@cache
def gpus() -> Mapping[str, GpuType]:
    """All GPUs of the catalog, by key."""
    raw = tomllib.loads(files("stoker.catalog").joinpath("data/gpus.toml").read_text(encoding="utf-8"))
    return {key: _gpu(key, row) for key, row in raw.items()}


def _gpu(key: str, row: Mapping[str, Any]) -> GpuType:
    return GpuType(
        key=key,
        name=row["name"],
        aliases=tuple(row["aliases"]),
        maker=row["maker"],
        memory=Bytes(int(row["memory_gib"] * 1024**3)),
        bandwidth=row["bandwidth_gbs"] * 1e9,
        tflops=row["tflops"],
        interconnect=row["interconnect"],
        interconnect_bandwidth=row["interconnect_gbs"] * 1e9,
        compute_capability=row["compute_capability"],
        sources=tuple(row["sources"]),
        date=row["date"],
        unsure=tuple(row.get("unsure", ())),
        accelerator=row.get("accelerator"),
    )


def gpu(name: str, at: str = "") -> GpuType:
    """The GPU of that name: a key (`l4`), GKE's label (`nvidia-l4`), or as people write it.

    Raises: UsageError, with the nearest names.
    """
    wanted = name.strip().lower().replace("_", "-").replace(" ", "-")
    for one in gpus().values():
        if wanted in (one.key, *one.aliases):
            return one
    names = sorted({*gpus(), *(alias for one in gpus().values() for alias in one.aliases)})
    near = difflib.get_close_matches(wanted, names, n=3, cutoff=0.5)
    near += [key for key in gpus() if key not in near and wanted and key.startswith(wanted.removeprefix("nvidia-"))]  # fmt: skip
    raise UsageError(
        f"the GPU {name!r} is not known", at=at, why=f"known: {', '.join(gpus())}",
        fix=" or ".join(near[:3]) if near else "one of these", rule="gpu-unknown",
    )  # fmt: skip


def by_device_name(name: str) -> GpuType | None:
    """The GPU that a driver calls so (`NVIDIA H100 80GB HBM3`); None where the catalog has none like it."""
    said = name.lower().replace(" ", "-").replace("geforce-", "").replace("tesla-", "")
    best: tuple[int, GpuType] | None = None
    for one in gpus().values():
        for known in (one.key, *one.aliases, one.name.lower().replace(" ", "-").replace("geforce-", "")):
            bare = known.removeprefix("nvidia-").removeprefix("amd-")
            found = f"-{bare}-" in f"-{said}-" or set(bare.split("-")) <= set(said.split("-"))
            if found and (best is None or len(bare) > best[0]):
                best = (len(bare), one)
    return best[1] if best else None
