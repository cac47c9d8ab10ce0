"""Quantization: how many bytes a parameter takes, out of a checkpoint's `quantization_config` or
`--quantization`."""

import fnmatch
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from stoker.model.parts import Part

PATTERNS = 500
_REPEATS = re.compile(r"[*+]|\{\d*,")
_NESTED = re.compile(r"\)[*+{]")
_PREFIX = re.compile(r"^(?:model\.|language_model\.)+")


@dataclass(frozen=True, slots=True)
class Quantization:
    """How weights are stored. `bytes_each` counts a parameter with its scales; `known` is false for a guess.

    experts_only: only mixture-of-experts weights are compressed. ignore: modules that are left alone.
    kv: the KV cache's dtype that the checkpoint asks for, or None. pad: rows of an expert are padded to this.
    block: elements that share a scale along what a rank has a slice of, 0 where any slice does.
    """

    method: str
    bytes_each: float
    ignore: tuple[str, ...] = ()
    experts_only: bool = False
    kv: str | None = None
    pad: int = 1
    known: bool = True
    block: int = 0

    def takes(self, part: Part, layer: int | None) -> bool:
        """Whether a part of a layer is stored in the short form."""
        if part.role not in ("linear", "expert") or (self.experts_only and part.role != "expert"):
            return False
        path = part.name if layer is None else f"layers.{layer}.{part.name}"
        whole, patterns = _split(self.ignore)
        if whole and any(one in whole for one in _around(path)):
            return False
        return not any(_matches(pattern, path) for pattern in patterns)


@lru_cache(64)
def _split(ignore: tuple[str, ...]) -> tuple[frozenset[str], tuple[str, ...]]:
    """Names of modules, and patterns: a checkpoint may list thousands of the former."""
    patterns = tuple(one for one in ignore if one.startswith("re:") or any(char in one for char in "*?["))
    return frozenset(_PREFIX.sub("", one) for one in ignore) - set(patterns), patterns


def _around(path: str) -> Iterator[str]:
    """The module itself, and each one around it."""
    while path:
        yield path
        path = path.rpartition(".")[0]


def _matches(pattern: str, path: str) -> bool:
    """Whether a pattern of an ignore list (`*`, or `re:`) names the module, or a module around it."""
    if pattern.startswith("re:"):
        expression = _expression(pattern[3:])
        return expression is not None and any(expression.match(one) for one in (f"model.{path}", path))
    plain = _PREFIX.sub("", pattern)
    return any(fnmatch.fnmatch(path, form) for form in (plain, f"{plain}.*"))


@lru_cache(1024)
def _expression(text: str) -> re.Pattern[str] | None:
    """A checkpoint's regular expression; None for one that is none, or whose search could take for ever."""
    endless = len(_REPEATS.findall(text))
    if len(text) > 500 or endless > 5 or _NESTED.search(text):
        return None
    try:
        return re.compile(text)
    except (re.error, OverflowError, RecursionError):
        return None


def read_quantization(config: Mapping[str, Any]) -> Quantization | None:
    """What the checkpoint says of itself; None where it is not quantized."""
    raw = config.get("quantization_config") or config.get("compression_config")
    if not raw:
        return None
    method = str(raw.get("quant_method") or raw.get("quant_algo") or "unknown").lower()
    ignore = tuple(
        str(name)[:500]
        for key in ("ignore", "ignored_layers", "modules_to_not_convert", "exclude_modules")
        for name in raw.get(key) or ()
    )
    if sum(1 for one in ignore if "*" in one or one.startswith("re:")) > PATTERNS:
        raise ValueError(f"quantization_config ignores by more than {PATTERNS:,} patterns")
    found = _by_method(method, raw, ignore)
    if not 0 < found.bytes_each <= 16:  # NaN is in no range
        raise ValueError(f"quantization_config gives a parameter {found.bytes_each:g} bytes")
    return found


def _by_method(method: str, raw: Mapping[str, Any], ignore: tuple[str, ...]) -> Quantization:
    kv = _kv(raw)
    if method == "mxfp4":
        return Quantization(method, 4.25 / 8, ignore, experts_only=True, kv=kv, pad=256)
    if method in ("fp8", "fbgemm_fp8", "ptpc_fp8"):
        block = raw.get("weight_block_size")
        each = 1.0 + (4 / (block[0] * block[1]) if block else 0)
        return Quantization(method, each, ignore, kv=kv, block=int(block[1]) if block else 0)
    if method in ("awq", "gptq", "awq_marlin", "gptq_marlin", "auto-round"):
        each = _grouped(int(raw.get("bits") or raw.get("w_bit") or 4), _group(raw))
        return Quantization(method, each, ignore, kv=kv, block=max(0, _group(raw)))
    if method == "bitsandbytes":
        double = 0.0079 if raw.get("bnb_4bit_use_double_quant") else 0.0625
        return Quantization(method, 1.0 if raw.get("load_in_8bit") else 0.5 + double, ignore, kv=kv)
    if method in ("compressed-tensors", "modelopt", "modelopt_fp4", "quark"):
        return _by_weights(method, raw, ignore, kv)
    return Quantization(method, 1.0, ignore, kv=kv, known=False)


def _by_weights(method: str, raw: Mapping[str, Any], ignore: tuple[str, ...], kv: str | None) -> Quantization:
    """Formats that describe their weights in `config_groups`, or name an algorithm."""
    algorithm = str(raw.get("quant_algo") or "").upper()
    groups = raw.get("config_groups") or {}
    weights = next((g["weights"] for g in groups.values() if g.get("weights")), None)
    if weights:
        size = int(weights.get("group_size") or 0)
        each = _grouped(int(weights["num_bits"]), size, str(weights.get("type")))
        blocks = weights.get("block_structure") if weights.get("strategy") == "block" else None
        return Quantization(method, each, ignore, kv=kv, block=int(blocks[1]) if blocks else max(0, size))
    if algorithm in ("FP8", "FP8_PER_CHANNEL_PER_TOKEN"):
        return Quantization(method, 1.0, ignore, kv=kv)
    if "NVFP4" in algorithm:
        return Quantization("modelopt_fp4" if method == "modelopt" else method, 0.5 + 1 / 16, ignore, kv=kv)
    return Quantization(method, 1.0, ignore, kv=kv, known=False)


def _group(raw: Mapping[str, Any]) -> int:
    return int(raw.get("group_size") or raw.get("q_group_size") or 128)


def _grouped(bits: int, group: int, kind: str = "int") -> float:
    """Bytes of a parameter with its share of a group's scale (and zero point, for integers)."""
    if group <= 0:
        return bits / 8
    scale = 1.0 if (bits, kind) == (4, "float") else 2.0
    zero = bits / 8 if kind == "int" and bits == 4 else 0.0
    return bits / 8 + (scale + zero) / group


def _kv(raw: Mapping[str, Any]) -> str | None:
    """The KV cache's dtype that the checkpoint asks for. Source: vLLM `utils/torch_utils.py`."""
    scheme = raw.get("kv_cache_scheme") or raw.get("kv_cache_quant_algo")
    if isinstance(scheme, Mapping):
        return "fp8" if scheme.get("num_bits") == 8 and scheme.get("type") == "float" else None
    return "fp8" if str(scheme).upper() == "FP8" else None


def asked(method: str) -> Quantization:
    """What `--quantization METHOD` does to a checkpoint that is not quantized, as it is loaded."""
    if method in ("fp8", "ptpc_fp8", "fp8_per_tensor", "fp8_per_block"):
        return Quantization(method, 1.0)
    if method in ("mxfp8",):
        return Quantization(method, 1 + 1 / 32)
    if method in ("bitsandbytes",):
        return Quantization(method, 0.5 + 0.0625)
    if method in ("int8_per_channel_weight_only", "experts_int8"):
        return Quantization(method, 1.0, experts_only=method == "experts_int8")
    return Quantization(method, 1.0, known=False)
