"""CachePolicy: what vLLM keeps of each request, and in what elements; and how many tokens a block has.

Source: vLLM `model_executor/models/config.py` (MambaModelConfig), `config/vllm.py` (the hybrid manager),
`platforms/cuda.py` (the order of attention backends).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from stoker.catalog.gpus import GpuType
from stoker.catalog.memory import MemoryRules, numbers
from stoker.model.shape import ModelShape

SIZES: Mapping[str, int] = {
    "float32": 4,
    "float": 4,
    "bfloat16": 2,
    "float16": 2,
    "half": 2,
    "fp8": 1,
    "fp8_e4m3": 1,
    "fp8_e5m2": 1,
    "fp8_inc": 1,
    "fp8_ds_mla": 1,
    "int8_per_token_head": 1,
}
Prefixes = Literal["none", "all", "align", "checkpoint"]


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """windows: kinds of attention whose blocks are freed behind their window. prefixes: what a request
    keeps of states so that its prefix is found again. conv_bytes and carried_bytes: of an element of a
    state, 0 where the model's own dtype counts. whole_graphs:
    whether batches of decodes are captured whole."""

    windows: frozenset[str] = frozenset(("sliding", "chunked"))
    prefixes: Prefixes = "none"
    conv_bytes: int = 0
    carried_bytes: int = 0
    whole_graphs: bool = True


def cache_policy(
    options: Mapping[str, Any], shape: ModelShape, version: str, rules: MemoryRules, cpu: bool = False
) -> CachePolicy:
    """What the options make of it in a release. On a CPU models with latents find no prefixes again."""
    if cpu and any(cache.kind == "mla" for cache in shape.caches):
        options = {**options, "enable-prefix-caching": False}
    return CachePolicy(
        _windows(options, version, rules),
        _prefixes(options, shape, rules),
        SIZES.get(str(options.get("mamba-cache-dtype")), 0),
        SIZES.get(str(options.get("mamba-ssm-cache-dtype")), 0),
        _whole_graphs(options),
    )


def _whole_graphs(options: Mapping[str, Any]) -> bool:
    """Whether batches of decodes are captured whole, so that each of their sequences needs a state."""
    compiled = options.get("compilation-config")
    mode = compiled.get("cudagraph_mode") if isinstance(compiled, Mapping) else None
    return mode is None or str(mode).upper() not in ("NONE", "PIECEWISE")


def _windows(options: Mapping[str, Any], version: str, rules: MemoryRules) -> frozenset[str]:
    """Kinds of attention that give blocks back: not before 0.9.2, and not where the hybrid manager is off."""
    if numbers(version) < (0, 9, 2) or options.get("disable-hybrid-kv-cache-manager") is True:
        return frozenset()
    return frozenset(("sliding", "chunked") if rules.chunked_groups else ("sliding",))


def _prefixes(options: Mapping[str, Any], shape: ModelShape, rules: MemoryRules) -> Prefixes:
    """What is kept of states. Models of states alone keep none unless asked, hybrids since 0.26."""
    asked, mode = options.get("enable-prefix-caching"), options.get("mamba-cache-mode")
    alone = all(cache.kind == "state" for cache in shape.caches)
    if asked is False or (asked is None and (alone or rules.hybrid_prefixes == "none")):
        return "none"
    if mode == "all":
        return "all"
    if mode == "align" and rules.hybrid_prefixes == "all":
        return "align"
    return "align" if rules.hybrid_prefixes == "none" else rules.hybrid_prefixes


def block_size(shape: ModelShape, version: str, kind: GpuType | None, cpu: bool, element: int) -> int:
    """Tokens a block, where nobody says: what the attention backend that vLLM prefers there takes.

    Source: vLLM `platforms/cuda.py`, _get_backend_priorities, and each backend's
    get_supported_kernel_block_sizes.
    """
    latent = [cache for cache in shape.caches if cache.kind == "mla"]
    if cpu:
        return 16 if latent else 128
    if not latent:
        return 16
    if any(cache.sparse for cache in latent):
        return 64
    capability = kind.capability if kind is not None and kind.capability else 90
    if capability >= 100 or (capability == 90 and (element == 1 or numbers(version) < (0, 19))):
        return 64
    return 16
