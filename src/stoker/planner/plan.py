"""Plan: what was decided, as a value to print, compare, save and apply; and the Hardware it is for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stoker.model.shape import ModelShape
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
    """What a target offers. `features` are the CPU's flags that matter; `preload` faster libraries, if any."""

    cores: tuple[int, ...] = ()
    memory: Bytes = Bytes(0)
    memory_free: Bytes = Bytes(0)
    gpus: tuple[Gpu, ...] = ()
    features: frozenset[str] = frozenset()
    preload: tuple[str, ...] = ()
    system: str = ""

    def __str__(self) -> str:
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
    """One decided fleet. `options` are vLLM's, as they will stand on the command line; `reasons` say why."""

    spec: ServeSpec
    shape: ModelShape | None
    hardware: Hardware
    model_dir: str
    shares: tuple[Share, ...]
    options: Mapping[str, Any]
    env: Mapping[str, str]
    memory: tuple[tuple[str, Bytes], ...] = ()
    strategy: str = "single-gpu"
    tensor_parallel_size: int = 1
    pipeline_parallel_size: int = 1
    adapters: Mapping[str, Adapter] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def replicas(self) -> int:
        """How many replicas run."""
        return len(self.shares)

    @property
    def max_model_len(self) -> int | None:
        """The longest request, prompt and answer together; None where vLLM decides it."""
        asked = self.options.get("max-model-len")
        if asked is None or str(asked).lower() in ("auto", "-1"):
            return self.shape.max_len if self.shape and asked is None else None
        return int(Tokens.parse(asked))

    @property
    def kv_cache_tokens(self) -> int | None:
        """Tokens the KV cache of one replica holds, estimated; None where it is not sized here."""
        size = dict(self.memory).get("KV cache")
        if size is None or self.shape is None:
            return None
        element = 4 if self.options.get("dtype") in ("float32", "float") else 2
        return int(size // self.shape.kv_bytes_per_token(element))
