"""An engine's profile out of the catalog alone, for hardware that nobody measured: how fast weights and KV
cache can be read, and how fast arithmetic is done (the roofline model). An estimate, with a wide band.

The shares of a GPU's figures that are really had come from one H200 with vLLM 0.26 (Llama-3.1-8B): reading
weights 0.70, KV cache 0.98, prefill arithmetic 0.64; a step that reads a prompt is bound by its launches
below, by layer.
"""

from __future__ import annotations

from stoker.catalog.gpus import GpuType, by_device_name
from stoker.engine.profile import EngineProfile
from stoker.model.shape import ModelShape
from stoker.planner.plan import Plan

BAND = 0.35
WEIGHTS, CACHE, ARITHMETIC = 0.70, 0.98, 0.64
SEQUENCE = 20e-6  # seconds: sampling and the batch's own tables
LAYER_GRAPHED, LAYER_EAGER = 0.49e-3, 1.0e-3  # seconds a layer of a step that reads a prompt, at least
GRAPHED = 512  # tokens that graphs are captured for
OVERHEAD = 0.004
HOPS = {"nvlink": 12e-6, "nvswitch": 12e-6}  # seconds of one all-reduce of a decoding step
HOP = 45e-6  # over PCIe or between hosts
SEEN = 32  # sequences of a batch for which a mixture's experts are counted as read


def estimated(plan: Plan) -> EngineProfile | None:
    """The profile of one replica of the plan; None where the plan is for no GPU that is known."""
    gpu, shape, fit = _gpu(plan), plan.shape, plan.fit
    if gpu is None or shape is None or fit is None:
        return None
    settings = fit.settings
    speed = _arithmetic(gpu, settings.dtype_bytes, settings.quantization is not None)
    if not speed or not gpu.bandwidth:
        return None
    ranks = plan.tensor_parallel_size
    weights = fit.tightest.size("weights") * plan.pipeline_parallel_size
    active, touched = _active(shape)
    talk = 2 * shape.layers * HOPS.get(gpu.interconnect, HOP) if ranks > 1 else 0.0
    base = weights * touched / (WEIGHTS * gpu.bandwidth) + talk
    token = 2 * shape.parameters * active / ranks / (ARITHMETIC * speed)
    pairs = 4 * shape.heads * shape.head_dim * shape.layers / ranks / (0.8 * speed)
    kept = shape.kv_bytes_per_token(settings.kv_bytes) / min(ranks, max(1, shape.kv_heads))
    return EngineProfile(
        base,
        token,
        SEQUENCE,
        kept / (CACHE * gpu.bandwidth),
        OVERHEAD,
        max(base, shape.layers * LAYER_GRAPHED),
        pairs,
        int(base / token),
        max(base, shape.layers * (LAYER_EAGER if not settings.eager else LAYER_GRAPHED)),
        GRAPHED,
        error=BAND,
        source=f"estimated from the catalog's {gpu.name}: bandwidth and arithmetic, nothing measured",
    )


def _gpu(plan: Plan) -> GpuType | None:
    hardware = plan.hardware
    if hardware.gpu_type is not None:
        return hardware.gpu_type
    return by_device_name(hardware.gpus[0].name) if hardware.gpus else None


def _arithmetic(gpu: GpuType, bytes_: int, quantized: bool) -> float:
    """Operations a second."""
    wanted = ["fp8", "int8"] if quantized else []
    wanted += ["fp32"] if bytes_ == 4 else ["bf16", "fp16", "fp32"]
    return next((gpu.tflops[name] * 1e12 for name in wanted if name in gpu.tflops), 0.0)


def _active(shape: ModelShape) -> tuple[float, float]:
    """Of all parameters, the share that computes a token, and the share that a batch reads."""
    total = computes = reads = 0.0
    for layer in shape.decoder:
        for part in layer.parts:
            share = seen = 1.0
            if part.role == "expert" and layer.experts is not None and shape.hidden:
                count = max(1.0, part.parameters / max(1, 3 * shape.hidden * layer.experts.width))
                share = min(1.0, layer.experts.per_token / count)
                seen = 1 - (1 - share) ** SEEN
            total += part.parameters
            computes += part.parameters * share
            reads += part.parameters * seen
    rest = max(0.0, shape.parameters - total)
    whole = total + rest or 1.0
    return (computes + rest) / whole, (reads + rest) / whole
