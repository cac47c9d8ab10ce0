"""What vLLM refuses to start with, said before: more sequences than states, an item larger than a batch,
shards through a block, a GPU without the attention's kernel."""

from dataclasses import replace
from typing import Any

import pytest
from tests import models

from stoker.errors import DoesNotFit, UsageError
from stoker.planner.plan import Plan
from stoker.planner.requested import plan_asked
from stoker.spec import load

QWEN35: dict[str, Any] = {
    "architectures": ["Qwen3_5ForConditionalGeneration"],
    "model_type": "qwen3_5",
    "torch_dtype": "bfloat16",
    "text_config": {
        "model_type": "qwen3_5_text",
        "num_hidden_layers": 64,
        "hidden_size": 5120,
        "intermediate_size": 17408,
        "num_attention_heads": 24,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "full_attention_interval": 4,
        "linear_num_key_heads": 16,
        "linear_num_value_heads": 48,
        "linear_key_head_dim": 128,
        "linear_value_head_dim": 128,
        "linear_conv_kernel_dim": 4,
        "mamba_ssm_dtype": "float32",
        "vocab_size": 248320,
        "max_position_embeddings": 262144,
        "tie_word_embeddings": False,
    },
}
GEMMA4: dict[str, Any] = {
    "architectures": ["Gemma4ForConditionalGeneration"],
    "model_type": "gemma4",
    "torch_dtype": "bfloat16",
    "text_config": {
        "model_type": "gemma4_text",
        "num_hidden_layers": 48,
        "hidden_size": 5376,
        "intermediate_size": 21504,
        "num_attention_heads": 32,
        "num_key_value_heads": 16,
        "num_global_key_value_heads": 4,
        "head_dim": 256,
        "global_head_dim": 512,
        "sliding_window": 1024,
        "layer_types": (["sliding_attention"] * 5 + ["full_attention"]) * 8,
        "use_bidirectional_attention": "vision",
        "vocab_size": 262144,
        "max_position_embeddings": 262144,
        "tie_word_embeddings": True,
    },
    "vision_config": {
        "model_type": "gemma4_vision",
        "hidden_size": 1152,
        "intermediate_size": 4304,
        "num_hidden_layers": 27,
        "num_attention_heads": 16,
        "patch_size": 16,
        "default_output_length": 280,
    },
}
BLOCKS = {"quant_method": "fp8", "weight_block_size": [128, 128]}
MOE: dict[str, Any] = {
    "architectures": ["Qwen3MoeForCausalLM"],
    "num_hidden_layers": 94,
    "hidden_size": 4096,
    "intermediate_size": 12288,
    "moe_intermediate_size": 1536,
    "num_attention_heads": 64,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "num_experts": 128,
    "num_experts_per_tok": 8,
    "decoder_sparse_step": 1,
    "vocab_size": 151936,
    "max_position_embeddings": 40960,
    "torch_dtype": "bfloat16",
    "quantization_config": BLOCKS,
}
SPARSE = models.DEEPSEEK_V3 | {
    "architectures": ["DeepseekV32ForCausalLM"],
    "index_topk": 2048,
    "index_n_heads": 64,
    "index_head_dim": 128,
}


def plan(config: dict[str, Any], text: str, version: str = "0.32.0") -> Plan:
    spec = load(text, "stoker.yaml")
    spec = replace(spec, engine=replace(spec.engine, version=version))
    return plan_asked(spec, models.shape(config), "/m")


def engine(gpu: str, options: str) -> str:
    return f"hardware: {gpu}\nengine: {{{options}}}"


def test_a_hybrid_gets_no_more_sequences_than_states() -> None:
    made = plan(QWEN35, engine("h100-80gb:1", "max-model-len: 32K"))
    assert made.fit is not None
    assert made.options["max-num-seqs"] == made.fit.settings.max_num_seqs
    assert made.options["max-num-seqs"] <= made.fit.held.blocks < 1024
    assert any(reason.startswith("max-num-seqs ") for reason in made.reasons)


def test_more_sequences_than_states_are_refused_with_the_number() -> None:
    with pytest.raises(DoesNotFit) as caught:
        plan(QWEN35, engine("h100-80gb:1", "max-model-len: 32K, max-num-seqs: 1024"))
    assert "each sequence's state takes one" in caught.value.finding.why
    rows = int(caught.value.finding.fix.split("max-num-seqs: ")[1].split(" ")[0])
    again = plan(QWEN35, engine("h100-80gb:1", f"max-model-len: 32K, max-num-seqs: {rows}"))
    assert again.fit is not None
    assert rows <= again.fit.held.blocks


@pytest.mark.parametrize(
    "options",
    ["enforce-eager: true", "max-num-seqs: 64", "compilation-config: {cudagraph_mode: PIECEWISE}"],
)
def test_where_every_sequence_has_a_state_nothing_is_added(options: str) -> None:
    made = plan(QWEN35, engine("h100-80gb:1", f"max-model-len: 32K, {options}"))
    assert str(made.options.get("max-num-seqs", 64)) == "64"


@pytest.mark.parametrize(
    ("gpu", "options", "batch"),
    [
        ("l40s:4", "max-model-len: 8K", 2496),  # below one video by default
        ("l40s:4", "max-model-len: 8K, language-model-only: true", None),
        ("l40s:4", "max-model-len: 8K, limit-mm-per-prompt: {video: 0}", None),
        ("h100-80gb:2", "max-model-len: 8K", None),  # 8,192 by default
        ("h100-80gb:1", "max-model-len: 128K", 2496),  # made smaller, and no smaller than a video
    ],
)
def test_a_batch_holds_the_largest_item(gpu: str, options: str, batch: int | None) -> None:
    made = plan(GEMMA4, engine(gpu, options))
    assert made.options.get("max-num-batched-tokens") == batch


def test_a_batch_below_one_video_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        plan(GEMMA4, engine("h100-80gb:2", "max-model-len: 8K, max-num-batched-tokens: 2048"))
    assert caught.value.finding.fix == "max-num-batched-tokens: 2496, or more"
    free = dict(GEMMA4["text_config"], use_bidirectional_attention=None)
    assert plan(GEMMA4 | {"text_config": free}, engine("h100-80gb:2", "max-num-batched-tokens: 2048")).fit


def test_the_length_named_as_a_fix_is_the_longest_that_the_planner_serves() -> None:
    with pytest.raises(DoesNotFit) as caught:
        plan(GEMMA4, engine("h100-80gb:1", "max-model-len: 200000"))
    length = int(caught.value.finding.fix.split("max-model-len: ")[1].split(" ")[0])
    assert plan(GEMMA4, engine("h100-80gb:1", f"max-model-len: {length}")).fit
    with pytest.raises(DoesNotFit):
        plan(GEMMA4, engine("h100-80gb:1", f"max-model-len: {length + 1024}"))


@pytest.mark.parametrize(
    ("config", "version", "said"),
    [
        (MOE, "0.19.0", "experts of 1,536 into 192"),
        (
            MOE
            | {
                "quantization_config": {
                    "quant_method": "compressed-tensors",
                    "config_groups": {
                        "g": {
                            "weights": {
                                "num_bits": 8,
                                "type": "float",
                                "strategy": "block",
                                "block_structure": [128, 128],
                            }
                        }
                    },
                }
            },
            "0.32.0",
            "experts of 1,536 into 192",
        ),
        (
            models.LLAMA_8B
            | {
                "intermediate_size": 29568,
                "quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 128},
            },
            "0.32.0",
            "an MLP of 29,568 into 3696",
        ),
    ],
)
def test_a_size_that_cuts_through_a_block_is_refused(config: dict[str, Any], version: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        plan(config, engine("h100-80gb:8", "max-model-len: 4K, tensor-parallel-size: 8"), version)
    assert said in caught.value.finding.why
    assert "one of 1" in caught.value.finding.fix


@pytest.mark.parametrize(
    ("version", "options"),
    [
        ("0.32.0", "tensor-parallel-size: 8"),
        ("0.19.0", "tensor-parallel-size: 8, enable-expert-parallel: true"),
        ("0.19.0", "tensor-parallel-size: 4"),
    ],
)
def test_what_vllm_refines_or_keeps_whole_is_planned(version: str, options: str) -> None:
    gpus = 4 if options.endswith("4") else 8
    assert plan(MOE, engine(f"h200-141gb:{gpus}", options), version).fit


def test_a_layout_that_is_chosen_cuts_through_no_block() -> None:
    chosen = plan(MOE, engine("h100-80gb", "max-model-len: 4K"), "0.19.0")
    assert chosen.tensor_parallel_size == 4


def test_sparse_attention_over_latents_needs_hopper() -> None:
    with pytest.raises(DoesNotFit) as caught:
        plan(SPARSE, engine("a100-80gb:16", "max-model-len: 16K"))
    assert caught.value.finding.rule == "gpu-attention"
    made = plan(SPARSE, engine("h200-141gb:8", "max-model-len: 16K"))
    assert made.fit is not None
    assert sum(group.size() for group in made.fit.groups) == 61 * (1152 + 132) * 64
