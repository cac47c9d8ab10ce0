"""What models are made of: parameters against the published counts, caches against vLLM's specs,
quantization."""

from typing import Any

import pytest
from tests import models

from stoker.errors import UsageError
from stoker.model.parts import Part
from stoker.model.quantization import Quantization, read_quantization


@pytest.mark.parametrize(
    ("config", "billions"),
    [
        (models.LLAMA_8B, 8.030),
        (models.LLAMA_70B, 70.554),
        (models.QWEN3_32B, 32.762),
        (models.GEMMA2_9B, 9.242),
        (models.GEMMA3_27B, 27.432),
        (models.GPT_OSS_20B, 20.915),
        (models.DEEPSEEK_V3, 671.026),
        (models.MIXTRAL, 46.703),
        (models.QWEN3_NEXT_80B, 79.7),
    ],
)
def test_parameters_are_the_published_ones(config: dict[str, Any], billions: float) -> None:
    shape = models.shape(config)
    assert shape.known
    assert shape.parameters / 1e9 == pytest.approx(billions, rel=0.002)


@pytest.mark.parametrize(
    ("config", "kinds"),
    [
        (models.LLAMA_8B, {"full": 32}),
        (models.GEMMA2_9B, {"sliding": 21, "full": 21}),
        (models.GEMMA3_27B, {"sliding": 52, "full": 10}),
        (models.GPT_OSS_20B, {"sliding": 12, "full": 12}),
        (models.DEEPSEEK_V3, {"mla": 61}),
        (models.QWEN3_NEXT_80B, {"state": 36, "full": 12}),
        (models.LLAMA_8B | {"attention_chunk_size": 8192}, {"chunked": 24, "full": 8}),
        (models.LLAMA_8B | {"sliding_window": 4096}, {"sliding": 32}),
        (models.QWEN3_32B | {"sliding_window": 4096}, {"full": 64}),
        (
            models.QWEN3_32B | {"sliding_window": 4096, "use_sliding_window": True, "max_window_layers": 60},
            {"full": 60, "sliding": 4},
        ),
    ],
)
def test_each_layer_keeps_what_it_needs(config: dict[str, Any], kinds: dict[str, int]) -> None:
    found: dict[str, int] = {}
    for cache in models.shape(config).caches:
        found[cache.kind] = found.get(cache.kind, 0) + 1
    assert found == kinds


def test_layers_that_read_an_earlier_cache_keep_none_and_have_no_key_weights() -> None:
    types = ["sliding_attention", "full_attention"] * 3
    shared = models.shape(
        models.GEMMA2_9B
        | {
            "architectures": ["Gemma4ForCausalLM"],
            "num_hidden_layers": 6,
            "layer_types": types,
            "num_kv_shared_layers": 2,
        }
    )
    assert [not layer.caches for layer in shared.decoder] == [False] * 4 + [True] * 2
    assert "self_attn.k_proj" not in {part.name for part in shared.decoder[5].parts}


def test_full_layers_may_have_heads_of_their_own() -> None:
    made = models.GEMMA2_9B | {"global_head_dim": 512, "num_global_key_value_heads": 2}
    by_kind = {cache.kind: (cache.kv_heads, cache.head_dim) for cache in models.shape(made).caches}
    assert by_kind == {"sliding": (8, 256), "full": (2, 512)}


@pytest.mark.parametrize(
    ("raw", "method", "bytes_each"),
    [
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, "fp8", 1.00024),
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, "awq", 0.5195),
        ({"quant_method": "gptq", "bits": 8, "group_size": -1}, "gptq", 1.0),
        ({"quant_method": "mxfp4"}, "mxfp4", 0.53125),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "bitsandbytes", 0.5625),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "modelopt_fp4", 0.5625),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"a": {"weights": {"num_bits": 8, "type": "int"}}},
            },
            "compressed-tensors",
            1.0,
        ),
    ],
)
def test_bytes_of_a_quantized_parameter(raw: dict[str, Any], method: str, bytes_each: float) -> None:
    found = read_quantization({"quantization_config": raw})
    assert found is not None
    assert (found.method, found.known) == (method, True)
    assert found.bytes_each == pytest.approx(bytes_each, rel=0.001)


def test_an_unknown_quantization_is_a_labelled_guess() -> None:
    found = read_quantization({"quantization_config": {"quant_method": "brandnew"}})
    assert found is not None
    assert not found.known


@pytest.mark.parametrize(
    ("pattern", "name", "layer", "taken"),
    [
        ("lm_head", "lm_head", None, False),
        ("model.layers.*.self_attn", "self_attn.q_proj", 3, False),
        ("model.layers.*.self_attn", "mlp", 3, True),
        ("model.language_model.layers.1.self_attn*", "self_attn.q_proj", 1, False),
        ("model.language_model.layers.1.self_attn*", "self_attn.q_proj", 2, True),
        ("re:.*self_attn.*", "self_attn.o_proj", 0, False),
        ("mlp.router", "self_attn.o_proj", 0, True),
    ],
)
def test_what_a_quantization_leaves_alone(pattern: str, name: str, layer: int | None, taken: bool) -> None:
    quantization = Quantization("fp8", 1.0, ignore=(pattern,))
    assert quantization.takes(Part(name, 1), layer) is taken


def test_embeddings_are_never_quantized() -> None:
    assert not Quantization("fp8", 1.0).takes(Part("embed_tokens", 1, "vocab", "embedding"), None)


def test_an_architecture_that_is_not_known_is_an_estimate() -> None:
    shape = models.shape(models.LLAMA_8B | {"architectures": ["BrandNewForCausalLM"]})
    assert not shape.known
    assert shape.parameters / 1e9 == pytest.approx(8.03, rel=0.01)


@pytest.mark.parametrize("value", [0, -4, "32", True, 2.5])
def test_numbers_that_make_no_sense_are_named(value: Any) -> None:
    with pytest.raises(UsageError, match="num_hidden_layers"):
        models.shape(models.LLAMA_8B | {"num_hidden_layers": value})
