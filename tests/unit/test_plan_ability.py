"""What a GPU cannot run of a model, as vLLM refuses it at a start."""

from dataclasses import replace
from typing import Any

import pytest
from tests import models

from stoker.errors import DoesNotFit, UsageError
from stoker.planner.plan import Plan
from stoker.planner.requested import plan_asked
from stoker.spec import load

AWQ = models.LLAMA_8B | {"quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128}}
NVFP4 = models.LLAMA_8B | {"quantization_config": {"quant_method": "modelopt", "quant_algo": "NVFP4"}}
BNB = models.LLAMA_8B | {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}
GEMMA3 = models.GEMMA3_27B | {"model_type": "gemma3"}


def plan(config: dict[str, Any], text: str, version: str = "0.32.0") -> Plan:
    spec = load(text, "stoker.yaml")
    spec = replace(spec, engine=replace(spec.engine, version=version))
    return plan_asked(spec, models.shape(config), "/m")


@pytest.mark.parametrize(
    ("config", "text", "why"),
    [
        (models.GPT_OSS_20B, "hardware: t4", "vLLM 0.32.0 needs compute capability 8.0 for it, T4 has 7.5"),
        (AWQ, "hardware: v100-16gb", "vLLM 0.32.0 needs compute capability 7.5 for it, V100-16GB has 7.0"),
        (
            models.LLAMA_8B,
            "hardware: v100-32gb\nengine: {quantization: fp8, max-model-len: 8K}",
            "7.5 for it",
        ),
        (AWQ, "hardware: l4\nengine: {dtype: float32}", "computes it in bfloat16 or float16, not in float32"),
    ],
)
def test_a_gpu_that_cannot_run_the_quantization(config: dict[str, Any], text: str, why: str) -> None:
    with pytest.raises(DoesNotFit) as caught:
        plan(config, text)
    assert why in caught.value.finding.why
    assert caught.value.finding.rule == "gpu-quantization"


def test_the_fix_names_gpus_that_can() -> None:
    with pytest.raises(DoesNotFit) as caught:
        plan(models.GPT_OSS_20B, "hardware: t4")
    assert caught.value.finding.fix.startswith("hardware: l4, or another of a10g, a100-40gb")


@pytest.mark.parametrize(
    ("config", "gpu"),
    [(AWQ, "t4"), (NVFP4, "t4"), (models.GPT_OSS_20B, "l4"), (models.GPT_OSS_20B, "mi300x")],
)
def test_gpus_that_can(config: dict[str, Any], gpu: str) -> None:
    assert plan(config, f"hardware: {gpu}\nengine: {{max-model-len: 4K}}").fit


@pytest.mark.parametrize(
    ("config", "gpu", "dtype"),
    [(models.LLAMA_8B, "t4", "half"), (GEMMA3, "t4", "float32"), (GEMMA3, "l4", None)],
)
def test_the_dtype_where_there_is_no_bfloat16(config: dict[str, Any], gpu: str, dtype: str | None) -> None:
    made = plan(config, f"hardware: {gpu}\nengine: {{max-model-len: 4K}}")
    assert made.options.get("dtype") == dtype
    assert [why for why in made.reasons if why.startswith(f"{dtype}: T4 has no bfloat16")] or not dtype


def test_a_model_in_float32_needs_twice_the_memory() -> None:
    text = "hardware: t4\nengine: {max-model-len: 4K}"
    half, whole = plan(models.GEMMA3_27B, text), plan(GEMMA3, text)
    assert whole.memory is not None
    assert half.memory is not None
    all_of_it = whole.memory.size("weights") * whole.gpus_per_replica
    assert all_of_it > 1.9 * half.memory.size("weights") * half.gpus_per_replica
    assert whole.gpus_per_replica > half.gpus_per_replica
    assert "vLLM refuses float16 for gemma3" in " ".join(whole.reasons)


def test_float16_that_vllm_refuses_is_a_mistake_with_its_place() -> None:
    with pytest.raises(UsageError) as caught:
        plan(GEMMA3, "hardware: h100-80gb:2\nengine:\n  dtype: half\n")
    assert caught.value.finding.at == "stoker.yaml:3:3"
    assert "numerically unstable" in caught.value.finding.why


@pytest.mark.parametrize(("version", "warned"), [("0.19.0", False), ("0.20.0", True), ("0.32.0", True)])
def test_builds_that_left_a_gpu_behind(version: str, warned: bool) -> None:
    made = plan(models.LLAMA_8B, "hardware: v100-32gb\nengine: {max-model-len: 4K}", version)
    assert bool([text for text in made.warnings if "CUDA 12.9" in text]) == warned


def test_a_method_that_the_release_does_not_name_is_a_warning() -> None:
    made = plan(BNB, "hardware: l4\nengine: {max-model-len: 4K}")
    assert "vLLM 0.32.0 names no quantization bitsandbytes: it may refuse the checkpoint" in made.warnings
