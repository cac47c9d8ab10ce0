"""Settings: the engine options that bear on memory, as vLLM will resolve them on a device.

Source: vLLM `engine/arg_utils.py` get_batch_defaults, `config/`, `platforms/`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from stoker.catalog.gpus import GpuType, by_device_name, gpus
from stoker.catalog.memory import MemoryRules, memory_rules, runner_rules
from stoker.errors import UsageError
from stoker.model.parts import State
from stoker.model.quantization import Quantization, asked
from stoker.model.shape import ModelShape
from stoker.planner.cache_policy import SIZES, CachePolicy, block_size, cache_policy
from stoker.planner.runner import runner
from stoker.units import Bytes, Tokens

GIB = 1024**3

Media = Literal["profiled", "loaded", "absent"]


@dataclass(frozen=True, slots=True)
class Settings:
    """Resolved options. dtype_bytes and kv_bytes are bytes of one element of a weight and of the KV cache.

    max_loras: adapters that one batch has room for, 0 without any. runner: which of vLLM's model runners
    serves it. policy: what is kept of each request. gpu: what it runs on, None where that is not known.
    media: whether what reads images and sounds is loaded, and whether the profile run encodes some.
    float_states: whether the platform carries states in float32.
    """

    rules: MemoryRules
    dtype: str
    dtype_bytes: int
    kv_dtype: str
    kv_bytes: int
    quantization: Quantization | None
    max_model_len: int
    max_num_batched_tokens: int
    max_num_seqs: int
    utilization: float
    block_size: int
    eager: bool
    pipeline: int = 1
    cpu: bool = False
    kv_cache_memory: Bytes | None = None
    max_loras: int = 0
    max_lora_rank: int = 16
    runner: Literal[1, 2] = 1
    policy: CachePolicy = CachePolicy()
    gpu: GpuType | None = None
    media: Media = "profiled"
    float_states: bool = False

    @property
    def images(self) -> bool:
        """Whether the profile run encodes images."""
        return self.media == "profiled"

    @property
    def towers(self) -> bool:
        """Whether what reads images and sounds is loaded."""
        return self.media != "absent"

    @property
    def hopper(self) -> bool:
        """Whether the GPU is of compute capability 9; true where none is named, as most figures are of
        one."""
        return self.gpu is None or self.gpu.capability is None or self.gpu.capability == 90

    @property
    def graphs_counted(self) -> bool:
        """Whether the memory of CUDA graphs is taken off the KV cache."""
        return self.rules.graphs_counted_v2 if self.runner == 2 else self.rules.graphs_counted

    def state_bytes(self, state: State) -> int:
        """Bytes of one element of a state: as asked, else as the platform or the model fixes it, else the
        dtype's."""
        conv = self.policy.conv_bytes
        if state.recurrent:
            own = 4 if self.float_states else state.element or conv or self.dtype_bytes
            return self.policy.carried_bytes or own
        return conv or state.element or self.dtype_bytes

    @property
    def in_flight(self) -> int:
        """Tokens that may be scheduled and not yet settled, beside a sliding window: a batch, or as many as
        overlap.

        Source: vLLM `config/vllm.py`, max_concurrent_batches.
        """
        if self.rules.in_flight == "batch":
            return self.max_num_batched_tokens
        batches = self.pipeline
        if not self.cpu:  # scheduled ahead of what runs; the CPU does not
            batches = self.pipeline + 1 if self.runner == 2 else max(2, self.pipeline)
        return batches * self.max_num_batched_tokens


def resolve(
    options: Mapping[str, Any],
    shape: ModelShape,
    version: str,
    *,
    device_memory: int = 0,
    device: str = "",
    ranks: int = 1,
    pipeline: int = 1,
    cpu: bool = False,
) -> Settings:
    """What vLLM makes of the options on such a device. Raises: UsageError, for values that make no sense."""
    rules, dtype, length = memory_rules(version), _dtype(options, shape), _length(options, shape)
    tokens, rows = _batches(rules, device_memory, device, length, ranks, cpu)
    quantization = _quantization(options, shape)
    kv, kind = _kv_dtype(options, quantization, dtype), _kind(device, cpu)
    which = runner(version, shape, options, quantized=quantization is not None)
    return Settings(
        rules=rules,
        dtype=dtype,
        dtype_bytes=SIZES.get(dtype, 2),
        kv_dtype=kv,
        kv_bytes=SIZES.get(kv, 2),
        quantization=quantization,
        max_model_len=length,
        max_num_batched_tokens=_count(options, "max-num-batched-tokens", tokens),
        max_num_seqs=_count(options, "max-num-seqs", rows),
        utilization=_share(options, rules.utilization),
        block_size=_count(options, "block-size", block_size(shape, version, kind, cpu, SIZES.get(kv, 2))),
        eager=options.get("enforce-eager") is True,
        pipeline=pipeline,
        cpu=cpu,
        kv_cache_memory=_given(options),
        max_loras=_count(options, "max-loras", 1) if options.get("enable-lora") else 0,
        max_lora_rank=_count(options, "max-lora-rank", 16),
        runner=which,
        policy=cache_policy(options, shape, version, rules, cpu),
        gpu=kind,
        media=_media(options, version, which),
    )


def _kind(device: str, cpu: bool) -> GpuType | None:
    return None if cpu or not device else gpus().get(device) or by_device_name(device)


def _given(options: Mapping[str, Any]) -> Bytes | None:
    given = options.get("kv-cache-memory-bytes")
    return None if given is None else Bytes(int(Tokens.parse(given)))


def _media(options: Mapping[str, Any], version: str, which: int) -> Media:
    """Whether what reads images and sounds is loaded, and whether the profile run encodes some: not where
    it is skipped, nor in the second runner's first releases."""
    if options.get("language-model-only") is True:
        return "absent"
    rules = runner_rules(version)
    profiled = which == 1 or rules is None or rules.images
    return "profiled" if profiled and options.get("skip-mm-profiling") is not True else "loaded"


def _dtype(options: Mapping[str, Any], shape: ModelShape) -> str:
    """`auto` keeps the checkpoint's, and makes float16 or bfloat16 of float32 as vLLM does."""
    given = str(options.get("dtype") or "auto")
    if given != "auto":
        return given
    return "bfloat16" if shape.dtype in ("float32", "float") else shape.dtype


def _quantization(options: Mapping[str, Any], shape: ModelShape) -> Quantization | None:
    """The checkpoint's; of one that has none, what the options ask for."""
    given = options.get("quantization")
    return asked(str(given)) if given and shape.quantization is None else shape.quantization


def _kv_dtype(options: Mapping[str, Any], quantization: Quantization | None, dtype: str) -> str:
    """`auto` is what the quantization says, else the weights'."""
    given = str(options.get("kv-cache-dtype") or "auto")
    if given != "auto":
        return given
    return (quantization.kv if quantization else None) or dtype


def _length(options: Mapping[str, Any], shape: ModelShape) -> int:
    given = options.get("max-model-len")
    if given is None or str(given).lower() in ("auto", "-1"):
        return shape.max_len
    return _count(options, "max-model-len", shape.max_len)


def _batches(
    rules: MemoryRules, memory: int, device: str, length: int, ranks: int, cpu: bool
) -> tuple[int, int]:
    """The defaults of `max_num_batched_tokens` and `max_num_seqs` of `vllm serve`."""
    if cpu:
        return 2048 * ranks, 128 * ranks  # of the API server; a library has twice as much
    if rules.whole_prompts:
        return (rules.long_batch if length > 32768 else max(2048, length)), 256
    if memory >= 160 * GIB and rules.huge_batches:
        return 16384, 1024
    large = memory >= 70 * GIB and (rules.large_on_a100 or "a100" not in device)
    return (8192, 1024) if large and rules.large_batches else (2048, 256)


def default_requests(version: str, device: GpuType) -> int:
    """`max_num_seqs` of `vllm serve` on a GPU, where nobody sets it."""
    return _batches(memory_rules(version), int(device.memory), device.key, 0, 1, False)[1]


def _count(options: Mapping[str, Any], name: str, default: int) -> int:
    value = options.get(name)
    if value is None:
        return default
    try:
        count = int(Tokens.parse(value))
    except ValueError:
        count = 0
    if count < 1:
        raise UsageError(
            f"{name} is {value}",
            at=f"engine.{name}",
            why="expected a whole number above zero",
            fix=f"leave it out for {default}",
        )
    return count


def _share(options: Mapping[str, Any], default: float) -> float:
    value = options.get("gpu-memory-utilization")
    share = default if value is None else float(value)
    if not 0 < share <= 1:
        raise UsageError(
            f"gpu-memory-utilization is {value}",
            at="engine.gpu-memory-utilization",
            why="it is a share of the GPU's memory, above 0 and at most 1",
            fix=f"leave it out for {default}",
        )
    return share
