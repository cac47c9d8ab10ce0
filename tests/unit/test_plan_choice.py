"""The choice of a layout: situations with the expected decision, its reasons, and what would mend it."""

from typing import Any

import pytest
from tests import models

from stoker.errors import DoesNotFit, UsageError
from stoker.planner.explain import explain
from stoker.planner.plan import Plan
from stoker.planner.requested import plan_asked
from stoker.spec import load


def plan(config: dict[str, Any], text: str, concurrency: float = 1.0) -> Plan:
    return plan_asked(load(text, "stoker.yaml"), models.shape(config), "/m", concurrency=concurrency)


def layout(made: Plan) -> tuple[int, int, int]:
    return made.tensor_parallel_size, made.pipeline_parallel_size, made.nodes


@pytest.mark.parametrize(
    ("config", "text", "strategy", "expected"),
    [
        (models.LLAMA_8B, "hardware: l4\nengine: {max-model-len: 8K}", "single-gpu", (1, 1, 1)),
        (models.LLAMA_8B, "hardware: l4\nengine: {max-model-len: 128K}", "tensor-parallel", (2, 1, 1)),
        (models.LLAMA_70B, "hardware: l4\nengine: {max-model-len: 8K}", "tensor-parallel", (8, 1, 1)),
        (
            models.LLAMA_70B,
            "hardware: h100-80gb\nengine: {max-model-len: 128K}",
            "tensor-parallel",
            (4, 1, 1),
        ),
        (models.QWEN3_32B, "hardware: h100-80gb\nengine: {max-model-len: 32K}", "single-gpu", (1, 1, 1)),
        (models.GPT_OSS_20B, "hardware: h100-80gb\nengine: {max-model-len: 32K}", "single-gpu", (1, 1, 1)),
        (models.DEEPSEEK_V3, "hardware: h100-80gb\nengine: {max-model-len: 32K}", "multi-node", (8, 2, 2)),
        (
            models.DEEPSEEK_V3,
            "hardware: h200-141gb\nengine: {max-model-len: 32K}",
            "tensor-parallel",
            (8, 1, 1),
        ),
        (models.LLAMA_8B, "hardware: l4:4", "tensor-parallel", (4, 1, 1)),
        (models.LLAMA_70B, "hardware: h100-80gb:16", "multi-node", (8, 2, 2)),
        (models.LLAMA_8B, "hardware: l4\nstrategy: tensor-parallel", "tensor-parallel", (2, 1, 1)),
        (models.LLAMA_8B, "hardware: l4:2\nstrategy: multi-node", "multi-node", (1, 2, 2)),
        (
            models.LLAMA_8B,
            "hardware: l4\nengine: {tensor-parallel-size: 2, pipeline-parallel-size: 2}",
            "tensor-parallel",
            (2, 2, 1),
        ),
        (
            models.LLAMA_8B,
            "hardware: {machine: g2-standard-24}\nengine: {max-model-len: 128K}",
            "tensor-parallel",
            (2, 1, 1),
        ),
        (
            models.LLAMA_8B | {"num_attention_heads": 9, "num_key_value_heads": 3, "hidden_size": 4608},
            "hardware: l4:2",
            "tensor-parallel",
            (1, 2, 1),
        ),
    ],
)
def test_the_smallest_layout_that_serves_what_was_asked(
    config: dict[str, Any], text: str, strategy: str, expected: tuple[int, int, int]
) -> None:
    made = plan(config, text)
    assert (made.strategy, layout(made)) == (strategy, expected)
    assert made.max_concurrency is not None
    assert made.max_concurrency >= 1


def test_every_smaller_layout_is_refused_with_figures() -> None:
    made = plan(models.LLAMA_70B, "hardware: h100-80gb\nengine: {max-model-len: 128K}")
    assert [fit.layout.gpus for fit in made.rejected] == [1, 2]
    assert made.reasons[0].startswith("1 x H100-80GB: weights 131.")
    assert "tokens of one request < 131,072" in made.reasons[1]


def test_more_requests_at_once_need_more() -> None:
    text = "hardware: l4\nengine: {max-model-len: 8K}"
    assert layout(plan(models.LLAMA_8B, text)) == (1, 1, 1)
    crowded = plan(models.LLAMA_8B, text, concurrency=20)
    assert crowded.gpus_per_replica > 1
    assert crowded.max_concurrency is not None
    assert crowded.max_concurrency >= 20
    assert "requests of 8,192 at once < 20" in crowded.reasons[0]


def test_a_length_nobody_asked_for_is_cut_to_what_fits() -> None:
    made = plan(models.LLAMA_8B, "hardware: l4:1")
    assert made.max_model_len is not None
    assert 16384 < made.max_model_len < 131072
    assert made.options["max-model-len"] == made.max_model_len
    assert any("the model's own is 131,072" in reason for reason in made.reasons)


def test_smaller_batches_before_more_gpus() -> None:
    made = plan(models.GEMMA3_27B, "hardware: h100-80gb\nengine: {max-model-len: 128K}")
    assert made.gpus_per_replica == 1
    assert made.options["max-num-batched-tokens"] == 2048
    asked = plan(
        models.GEMMA3_27B, "hardware: h100-80gb\nengine: {max-model-len: 128K, max-num-batched-tokens: 8192}"
    )
    assert asked.gpus_per_replica == 2


def test_a_gpu_without_bfloat16_takes_half() -> None:
    made = plan(models.LLAMA_8B, "hardware: t4:2\nengine: {max-model-len: 4K}")
    assert made.options["dtype"] == "half"
    assert "half: T4 has no bfloat16" in made.reasons


@pytest.mark.parametrize(
    ("config", "text", "fixes"),
    [
        (models.QWEN3_32B, "hardware: l4:1", ["hardware: l4:4", "h100-94gb:1"]),
        (models.QWEN3_32B, "hardware: l4:2\nengine: {max-model-len: 4K}", ["quantization: fp8"]),
        (
            models.LLAMA_8B,
            "hardware: l4:1\nengine: {max-model-len: 128K}",
            ["max-model-len: ", "hardware: l4:2"],
        ),
        (models.DEEPSEEK_V3, "hardware: rtx-4090:8", ["h200-141gb:8"]),
    ],
)
def test_what_does_not_fit_names_the_nearest_that_does(
    config: dict[str, Any], text: str, fixes: list[str]
) -> None:
    with pytest.raises(DoesNotFit) as caught:
        plan(config, text)
    assert caught.value.exit_code == 3
    assert caught.value.finding.at.startswith("stoker.yaml:1")
    for fix in fixes:
        assert fix in caught.value.finding.fix


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hardware: l4:4\nengine: {tensor-parallel-size: 8}", "hardware asks for 4 GPUs"),
        ("hardware: l4:2\nstrategy: single-gpu", "strategy single-gpu does not go with 2 x L4"),
        ("hardware: l4:1\nstrategy: tensor-parallel", "strategy tensor-parallel does not go with 1 x L4"),
        ("hardware: l4:16\nstrategy: tensor-parallel", "strategy tensor-parallel does not go with 16 x L4"),
        ("hardware: l4:1\nstrategy: multi-node", "strategy multi-node does not go with 1 x L4"),
        ("hardware: l4\nengine: {tensor-parallel-size: 3}", "does not divide the model's 32 attention heads"),
        ("hardware: {gpu: l4, machine: a3-highgpu-8g}", "machine a3-highgpu-8g has no L4"),
        ("hardware: l4\nengine: {max-model-len: 1M}", "above the model's 131072"),
        ("name: x", "the plan needs hardware"),
        ("hardware: l4:9", "9 x L4 cannot be laid out"),
    ],
)
def test_fields_that_contradict_each_other(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        plan(models.LLAMA_8B, text)
    assert said in str(caught.value)
    assert caught.value.finding.fix


def test_the_price_is_the_machines_or_the_specs_or_unknown() -> None:
    listed = plan(models.LLAMA_8B, "hardware: l4:1")
    assert listed.cost_per_hour is not None
    assert str(listed.hardware.machine).startswith("g2-standard")
    own = plan(models.LLAMA_8B, "hardware: {gpu: l4, count: 2, price: 0.5}")
    assert own.cost_per_hour == 1.0
    assert "your price" in explain(own)
    unknown = plan(models.LLAMA_8B, "hardware: rtx-4090:1")
    assert unknown.cost_per_hour is None
    assert "cost       unknown" in explain(unknown)


def test_the_table() -> None:
    text = (
        "name: shop\nhardware: l4\nreplicas: 1..3\nscaling: {metrics: {queue-depth: 5}}\nengine: "
        "{max-model-len: 32K}"
    )
    made = plan(models.QWEN3_32B, text)
    said = explain(made, "vllm serve /m").splitlines()
    assert said[0] == "shop   smollm2-135m-instruct (32.8 B, bf16) on 4 x L4, vLLM 0.32.0"
    assert said[1] == "  strategy   tensor parallel 4 on one node (g2-standard-48)"
    assert said[2].startswith("  why        1 x L4: weights 61.0 GiB a GPU > 20.3 GiB usable")
    assert any(line.startswith("  per GPU    weights 15.5 ####") for line in said)
    assert any(line.startswith("  replicas   1..3 on queue-depth 5") for line in said)
    assert explain(made)


def test_an_unknown_architecture_is_said_and_its_band_is_wider() -> None:
    remote = "hardware: l4:1\nengine: {trust-remote-code: true}"
    strange = plan(models.LLAMA_8B | {"architectures": ["NewForCausalLM"]}, remote)
    usual = plan(models.LLAMA_8B, "hardware: l4:1")
    assert "NewForCausalLM is not known" in strange.warnings[0]
    assert strange.memory is not None
    assert usual.memory is not None
    assert strange.memory.band > 2 * usual.memory.band


def test_adapters_take_memory_of_their_own() -> None:
    plain = plan(models.LLAMA_8B, "hardware: l4:1\nengine: {max-model-len: 8K}")
    text = (
        "model: {source: ./m, adapters: {a: ./a, b: ./b}}\nhardware: l4:1\nengine: {max-model-len: 8K, "
        "max-lora-rank: 64}"
    )
    tuned = plan(models.LLAMA_8B, text)
    assert (tuned.options["enable-lora"], tuned.options["max-loras"]) == (True, 2)
    assert tuned.memory is not None
    assert plain.memory is not None
    # Rank 64 of Llama 8B: 4096+4096, 2 x (4096+1024), 4096+4096 and 3 x (4096+14336) columns and rows a
    # layer, in bf16.
    each = 64 * 32 * (8192 + 2 * 5120 + 8192 + 3 * 18432) * 2
    assert tuned.memory.size("lora") == 2 * each
    assert tuned.memory.kv_cache == plain.memory.kv_cache - 2 * each


def test_tensor_parallel_over_pcie_is_said() -> None:
    assert any("no NVLink" in warning for warning in plan(models.LLAMA_8B, "hardware: l4:2").warnings)
    assert not any("NVLink" in warning for warning in plan(models.LLAMA_8B, "hardware: h100-80gb:2").warnings)
    assert not any("NVLink" in warning for warning in plan(models.LLAMA_8B, "hardware: l4:1").warnings)
