"""What a GPU can run of a model: dtypes and quantization methods, as vLLM checks them at a start.

Source: vLLM `config/vllm.py`, `_get_quantization_config`, and `config/model.py`, `_check_valid_dtype`.
"""

from collections.abc import Mapping
from typing import Any

from stoker.catalog import vllm
from stoker.catalog.gpus import GpuType, gpus
from stoker.catalog.memory import numbers
from stoker.errors import DoesNotFit, UsageError
from stoker.model.shape import ModelShape
from stoker.spec.nouns import ServeSpec
from stoker.spec.places import any_of


def lesser_dtype(spec: ServeSpec, shape: ModelShape, kind: GpuType) -> str | None:
    """The dtype of a bfloat16 model on a GPU without bfloat16; None where the model's own is taken."""
    if shape.dtype != "bfloat16" or kind.supports("bf16"):
        return None
    release = vllm.nearest_release(spec.engine.version)
    return "float32" if shape.model_type in release.not_in_float16 else "half"


def check_gpu(spec: ServeSpec, shape: ModelShape, kind: GpuType, options: Mapping[str, Any]) -> None:
    """Raises: DoesNotFit, for a GPU on which vLLM refuses the model's quantization or dtype."""
    release = vllm.nearest_release(spec.engine.version)
    dtype = _PLAIN.get(str(options.get("dtype")), shape.dtype)
    if dtype == "float16" and shape.model_type in release.not_in_float16:
        raise UsageError(
            f"dtype {options['dtype']} does not do for {shape.model_type}",
            at="engine.dtype",
            why=f"vLLM {release.version} refuses it: the model is numerically unstable in float16",
            fix="dtype: bfloat16, or float32 where the GPU has no bfloat16",
            rule="dtype",
        )
    _check_attention(shape, kind)
    name = _quantization(shape, options)
    method = release.quantizations.get(name or "")
    if method is None:
        return
    if kind.capability is not None and kind.capability < method.capability:
        able = [one.key for one in gpus().values() if (one.capability or 0) >= method.capability]
        raise DoesNotFit(
            f"{kind} cannot run the quantization {name}",
            at="hardware",
            why=f"vLLM {release.version} needs compute capability {method.capability / 10:.1f} for it, "
            f"{kind} has {kind.compute_capability}",
            fix=f"hardware: {able[0]}, or another of {', '.join(able[1:5])}; or a checkpoint that is not "
            f"quantized",
            rule="gpu-quantization",
        )
    if dtype not in method.dtypes:
        raise DoesNotFit(
            f"{kind} cannot run the quantization {name}"
            if not kind.supports("bf16")
            else f"the quantization {name} does not go with {dtype}",
            at=any_of("engine.dtype", "hardware"),
            why=f"vLLM {release.version} computes it in {' or '.join(method.dtypes)}, not in {dtype}",
            fix="another dtype, a GPU that has it, or a checkpoint that is not quantized",
            rule="gpu-quantization",
        )


SPARSE = 90  # the least compute capability that vLLM has sparse attention over latents for


def _check_attention(shape: ModelShape, kind: GpuType) -> None:
    """Raises: DoesNotFit, for a GPU that no attention back-end of the model runs on. Source: vLLM
    `platforms/cuda.py`, _get_backend_priorities, and each back-end's supports_compute_capability."""
    sparse = any(cache.sparse for cache in shape.caches)
    if not sparse or kind.capability is None or kind.capability >= SPARSE:
        return
    able = [one.key for one in gpus().values() if (one.capability or 0) >= SPARSE]
    raise DoesNotFit(
        f"{kind} has no attention kernel for {shape.architecture}",
        at="hardware",
        why=f"vLLM's sparse attention over latents needs compute capability {SPARSE / 10:.1f}, {kind} has "
        f"{kind.compute_capability}",
        fix=f"hardware: {able[0]}, or another of {', '.join(able[1:5])}",
        rule="gpu-attention",
    )


_PLAIN = {
    "half": "float16",
    "float16": "float16",
    "bfloat16": "bfloat16",
    "float": "float32",
    "float32": "float32",
}


def _quantization(shape: ModelShape, options: Mapping[str, Any]) -> str | None:
    """The method's name as vLLM resolves it."""
    name = shape.quantization.method if shape.quantization else options.get("quantization")
    return {"auto-round": "inc"}.get(str(name), str(name)) if name else None


def gpu_warning(
    spec: ServeSpec, shape: ModelShape, kind: GpuType, options: Mapping[str, Any]
) -> tuple[str, ...]:
    """What to say of a GPU that the published builds have left behind, and of a method that vLLM does not
    name."""
    release = vllm.nearest_release(spec.engine.version)
    out: tuple[str, ...] = ()
    if kind.capability is not None and kind.capability < 75 and numbers(spec.engine.version) >= (0, 20, 0):
        out += (
            f"vLLM's image is built with CUDA 13 since 0.20.0, which has no kernels for {kind} (compute "
            f"capability {kind.compute_capability}): take its CUDA 12.9 build",
        )
    name = _quantization(shape, options)
    if name and name not in release.quantizations:
        out += (f"vLLM {release.version} names no quantization {name}: it may refuse the checkpoint",)
    return out
