"""The start-up budget: seconds from when a replica is asked for until its first token, phase by phase.

What the last start of this plan on this machine measured; else a default, which says whose figure it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from stoker.planner.plan import Plan

Name = Literal["node", "image", "weights", "start", "load", "warm-up"]
GB = 1e9


@dataclass(frozen=True, slots=True)
class StartPhase:
    """One phase. node: a machine joins; image: it is pulled; weights: they come to the node; start: vLLM's
    imports, its engine core and workers; load: weights into memory; warm-up: compiled code, KV cache, first
    requests."""

    name: Name
    seconds: float
    known: Literal["measured", "default"]
    source: str


_GUIDE = "GKE's events of a scale-up by one L4 node, vllm-openai 0.5.3"
_L40S = "tensorfuse.io/docs/blogs/reducing_gpu_cold_start: Llama-3.1-8B on an L40S"
_CPU = "demo:smollm2-135m-instruct on 2 cores, vLLM 0.32"
# seconds, source
_NODE = (93.0, f"{_GUIDE}: from TriggeredScaleUp to Scheduled")
_IMAGE = (5.0, f"{_GUIDE}: 5.6 GB pulled in 4.5 s, streamed")
_DISK = (4.0, f"{_GUIDE}: a disk with the weights is attached")
_GPU_START = (34.0, f"{_L40S}, compiled code in the cache")
_GPU_WARM = (30.0, f"{_L40S}, compiled code in the cache")
_GPU_EAGER = (5.0, "no compiling and no CUDA graphs: KV cache and first requests")
_CPU_START = (10.0, f"{_CPU}: its imports, made once")
_CPU_WARM = (4.0, f"{_CPU}: KV cache and first requests")
# bytes a second, source
_DOWNLOAD = (16 * GB / 61, f"{_L40S}: 16 GB downloaded in 61 s")
_GPU_LOAD = (16 * GB / 18, f"{_L40S}: 16 GB in 18 s")
_CPU_LOAD = (0.5 * GB, f"{_CPU}: 0.5 GB in 1 s")


def startup(plan: Plan) -> tuple[StartPhase, ...]:
    """The phases of one replica's start, in their order; none where nothing is computed or sized."""
    if plan.memory is None:
        return ()
    kept = (plan.measured or {}).get("start")
    engine = _measured(kept, str((plan.measured or {}).get("date"))) if kept else _engine(plan)
    return (*_brought(plan), *engine)


def words(phases: tuple[StartPhase, ...]) -> str:
    """On one line, the sum first."""
    each = ", ".join(f"{one.name} {one.seconds:.0f}" for one in phases)
    known = {one.known for one in phases}
    sure = {"measured": "measured here", "default": "others' figures"}
    told = " and ".join(sure[one] for one in ("measured", "default") if one in known)
    return f"{sum(one.seconds for one in phases):.0f} s to the first token: {each} ({told})"


def _brought(plan: Plan) -> tuple[StartPhase, ...]:
    """What a cluster does before vLLM starts. On this machine all of that is there."""
    if plan.spec.target != "kubernetes":
        return ()
    weights = _DISK
    if plan.spec.kubernetes.weights not in (None, "disk"):
        weights = (_weights(plan) * plan.gpus_per_replica / _DOWNLOAD[0], _DOWNLOAD[1])
    return (_default("node", *_NODE), _default("image", *_IMAGE), _default("weights", *weights))


def _engine(plan: Plan) -> tuple[StartPhase, ...]:
    on_gpus = plan.hardware.gpu_type is not None or bool(plan.hardware.gpus)
    rate, source = _GPU_LOAD if on_gpus else _CPU_LOAD
    warm = _GPU_WARM if on_gpus else _CPU_WARM
    if on_gpus and plan.options.get("enforce-eager") is True:
        warm = _GPU_EAGER
    return (
        _default("start", *(_GPU_START if on_gpus else _CPU_START)),
        _default("load", _weights(plan) / rate, source),
        _default("warm-up", *warm),
    )


def _measured(kept: Mapping[str, Any], date: str) -> tuple[StartPhase, ...]:
    names: tuple[Name, ...] = ("start", "load", "warm-up")
    there = [name for name in names if name in kept]
    return tuple(StartPhase(name, float(kept[name]), "measured", f"a start of {date}") for name in there)


def _weights(plan: Plan) -> int:
    """Bytes of one rank, which loads its own."""
    return plan.memory.size("weights") if plan.memory else 0


def _default(name: Name, seconds: float, source: str) -> StartPhase:
    return StartPhase(name, seconds, "default", source)
