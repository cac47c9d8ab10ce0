"""What runs against what was planned: vLLM's own figures of a start beside the plan's, and whether the band
held."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stoker.planner.plan import Plan
from stoker.units import Bytes

if TYPE_CHECKING:
    from stoker.engine.log import StartLog

GIB = 1024**3
PRINTED = Bytes(int(0.01 * GIB))  # vLLM prints GiB with two places


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure: planned and measured, in bytes or tokens, and how far they may be apart."""

    name: str
    planned: int
    measured: int
    band: int
    tokens: bool = False

    @property
    def within(self) -> bool:
        """Whether the measured figure is within the band."""
        return abs(self.measured - self.planned) <= self.band

    def __str__(self) -> str:
        if self.tokens:
            return f"{self.measured:,} {self.name} of {self.planned:,} planned"
        return f"{self.name} {Bytes(self.measured)} of {Bytes(self.planned)} planned (+-{Bytes(self.band)})"


def compared(plan: Plan, log: "StartLog") -> tuple[Compared, ...]:
    """Every figure that both the plan and the log have."""
    memory, fit = plan.memory, plan.fit
    if memory is None or fit is None:
        return ()
    out = []
    for name, said in (
        ("weights", log.weights_gib or log.model_gib),
        ("activations", log.activations_gib),
        ("other", log.other_gib),
        ("KV cache", log.kv_gib),
    ):
        item = next((item for item in memory.items if item.name == name), None)
        planned = memory.kv_cache if name == "KV cache" else item.size if item else None
        band = memory.band if item is None else item.band
        if fit.settings.kv_cache_memory is not None and name == "KV cache":
            band = Bytes(int(0.06 * GIB))  # the CPU back-end prints one place
        if said is not None and planned is not None:
            out.append(Compared(name, planned, int(said * GIB), band + PRINTED))
    if log.kv_tokens is not None:
        share = band_share(plan)
        out.append(
            Compared("tokens", fit.held.tokens, log.kv_tokens, int(share * fit.held.tokens), tokens=True)
        )
    return tuple(out)


def band_share(plan: Plan) -> float:
    """How far the KV cache may be off, as a share of it; tokens go with it."""
    memory, fit = plan.memory, plan.fit
    if memory is None or fit is None or fit.settings.kv_cache_memory is not None:
        return 0.0
    return memory.band / max(1, memory.kv_cache)


def key(plan: Plan) -> str:
    """The same for the same model, hardware, release, layout and options: what a measurement holds for."""
    shape, hardware = plan.shape, plan.hardware
    assert shape is not None
    what: dict[str, Any] = {
        "architecture": shape.architecture,
        "layers": shape.layers,
        "hidden": shape.hidden,
        "parameters": shape.counted,
        "on": str(hardware) if hardware.gpus or hardware.gpu_type else "cpu",
        "layout": (plan.tensor_parallel_size, plan.pipeline_parallel_size, plan.nodes),
        "version": plan.spec.engine.version,
        "options": {name: str(value) for name, value in sorted(plan.options.items())},
    }
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]


def in_words(record: Mapping[str, Any]) -> str:
    """A kept measurement, for the next plan."""
    parts = []
    if record.get("kv_gib") is not None:
        parts.append(f"KV cache {record['kv_gib']:.2f} GiB")
    if record.get("kv_tokens") is not None:
        parts.append(f"{record['kv_tokens']:,} tokens")
    if record.get("model_gib") is not None:
        parts.append(f"weights {record['model_gib']:.2f} GiB")
    return f"{', '.join(parts)} (a start of {record['date']})"
