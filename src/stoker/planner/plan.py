"""Plan: what was decided, as a value to print, compare, save and apply; and the Hardware it is for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stoker.catalog.gpus import GpuType
from stoker.catalog.machines import Machine
from stoker.model.shape import ModelShape
from stoker.planner.fit import Fit
from stoker.planner.group import Group
from stoker.planner.memory import RankMemory
from stoker.spec.nouns import ServeSpec
from stoker.units import Bytes, Tokens


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU as the machine names it."""

    index: int
    name: str
    memory: Bytes


@dataclass(frozen=True, slots=True)
class Hardware:
    """What a target offers, or what a spec asks for.

    features are the CPU's flags that matter; preload faster libraries, if any. gpu_type and machine stand
    where
    the hardware is asked of a catalog rather than found: `per_node` GPUs a node, as many nodes as it takes.
    """

    cores: tuple[int, ...] = ()
    memory: Bytes = Bytes(0)
    memory_free: Bytes = Bytes(0)
    gpus: tuple[Gpu, ...] = ()
    features: frozenset[str] = frozenset()
    preload: tuple[str, ...] = ()
    system: str = ""
    gpu_type: GpuType | None = None
    machine: Machine | None = None
    per_node: int = 0

    def __str__(self) -> str:
        if self.gpu_type is not None:
            return str(self.gpu_type)
        if self.gpus:
            return f"{len(self.gpus)} x {self.gpus[0].name}"
        return f"{len(self.cores)} CPU cores, {self.memory.gib:.0f} GiB"


@dataclass(frozen=True, slots=True)
class Share:
    """What one replica gets: cores or GPUs of its own, or all of them shared."""

    name: str
    cores: tuple[int, ...] = ()
    gpus: tuple[int, ...] = ()
    shared: bool = False

    def __str__(self) -> str:
        if self.gpus:
            return "GPU " + ",".join(map(str, self.gpus))
        cores = ",".join(map(str, self.cores))
        return f"cores {cores}{' (shared)' if self.shared else ''}" if cores else "any core"


@dataclass(frozen=True, slots=True)
class Adapter:
    """A staged LoRA adapter: its folder and its rank."""

    folder: str
    rank: int


@dataclass(frozen=True, slots=True)
class Plan:
    """One decided fleet. `options` are vLLM's, as they will stand on the command line; `reasons` say why.

    fit is the layout weighed: memory a rank and what the KV cache holds, None where nothing is computed;
    rejected are the smaller layouts that do not do. shares are a machine's; a plan for hardware that is only
    asked has none. cost_per_hour is one replica's, in dollars; None where no page states a price. measured is
    what vLLM printed at the last start of this very plan on this machine. group is this node's place among
    the nodes of one replica. files are texts of this machine that a cluster's engine is to find in its pods.
    """

    spec: ServeSpec
    shape: ModelShape | None
    hardware: Hardware
    model_dir: str
    shares: tuple[Share, ...]
    options: Mapping[str, Any]
    env: Mapping[str, str]
    fit: Fit | None = None
    strategy: str = "single-gpu"
    tensor_parallel_size: int = 1
    pipeline_parallel_size: int = 1
    nodes: int = 1
    rejected: tuple[Fit, ...] = ()
    cost_per_hour: float | None = None
    adapters: Mapping[str, Adapter] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    measured: Mapping[str, Any] | None = None
    group: Group | None = None
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def replicas(self) -> int:
        """How many replicas run, or would at least."""
        return len(self.shares) if self.hardware.gpu_type is None else self.spec.replicas.low

    @property
    def gpus_per_replica(self) -> int:
        """Ranks of one replica: GPUs, or processes on a CPU."""
        return self.tensor_parallel_size * self.pipeline_parallel_size

    @property
    def max_model_len(self) -> int | None:
        """The longest request, prompt and answer together; None where vLLM decides it."""
        asked = self.options.get("max-model-len")
        if asked is None or str(asked).lower() in ("auto", "-1"):
            return self.shape.max_len if self.shape and asked is None else None
        return int(Tokens.parse(asked))

    @property
    def memory(self) -> RankMemory | None:
        """The memory of the rank that decides; None where it is not sized here."""
        return self.fit.tightest if self.fit else None

    @property
    def kv_cache_tokens(self) -> int | None:
        """Tokens the KV cache of one replica holds, as vLLM's log will count them; None where it is not sized
        here."""
        return self.fit.held.tokens if self.fit else None

    @property
    def kv_cache_blocks(self) -> int | None:
        """Blocks of the KV cache."""
        return self.fit.held.blocks if self.fit else None

    @property
    def max_concurrency(self) -> float | None:
        """Requests of the longest length that it holds at once."""
        return self.fit.held.concurrency if self.fit else None
