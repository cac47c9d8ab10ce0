"""The plan against bytes that were read off vLLM's own worker: one H200, vLLM 0.26.0, each start."""

from typing import Any

import pytest
from tests import models

from stoker.planner.fit import Fit, weigh
from stoker.planner.layout import Layout
from stoker.planner.settings import resolve
from stoker.units import Bytes

GIB = 1024**3
QWEN3_8B = models.QWEN3_32B | {
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "hidden_size": 4096,
    "intermediate_size": 12288,
}
GEMMA3_12B: dict[str, Any] = models.GEMMA3_27B | {
    "text_config": models.GEMMA3_27B["text_config"]
    | {
        "num_hidden_layers": 48,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "hidden_size": 3840,
        "intermediate_size": 15360,
        "head_dim": 256,
        "rope_scaling": {"rope_type": "linear", "factor": 1.0},
    }
}
FIVE_LAYERS = models.DEEPSEEK_V3 | {"num_hidden_layers": 5, "quantization_config": None}


def start(config: dict[str, Any], length: int, *, eager: bool) -> Fit:
    shape = models.shape({key: value for key, value in config.items() if value is not None})
    options: dict[str, Any] = {
        "max-model-len": length,
        "max-num-batched-tokens": 8192,
        "max-num-seqs": 1024,
        "enforce-eager": eager,
    }
    total = Bytes(int(139.80 * GIB))
    settings = resolve(options, shape, "0.26.0", device_memory=total, device="h200-141gb")
    return weigh(shape, total, Layout(), settings)


@pytest.mark.parametrize(
    ("config", "length", "eager", "runner", "weights", "activations", "kv", "blocks"),
    [
        (QWEN3_8B, 32768, True, 2, 15.268, 0.844, 112.280, 51099),
        (models.LLAMA_8B, 32768, False, 2, 15.004, 1.104, 112.284, 57489),
        (models.LLAMA_8B, 32768, False, 2, 15.004, 0.880, 112.510, 57606),
        (GEMMA3_12B, 32768, False, 2, 22.998, 0.914, 104.480, 106987),
        (models.GPT_OSS_20B, 131072, True, 1, 13.029, 2.857, 112.506, 307216),
        (FIVE_LAYERS, 16384, True, 1, 49.616, 6.690, 72.085, 839853),
    ],
)
def test_a_start_on_an_h200(
    config: dict[str, Any],
    length: int,
    eager: bool,
    runner: int,
    weights: float,
    activations: float,
    kv: float,
    blocks: int,
) -> None:
    made = start(config, length, eager=eager)
    rank = made.tightest
    assert made.settings.runner == runner
    assert rank.size("weights") / GIB == pytest.approx(weights, rel=0.006)
    assert rank.size("activations") / GIB == pytest.approx(activations, rel=0.15)
    assert rank.size("other") / GIB == pytest.approx(0.2246, abs=0.001)
    assert rank.kv_cache / GIB == pytest.approx(kv, rel=0.002)
    assert abs(rank.kv_cache / GIB - kv) * GIB <= rank.band
    assert made.held.blocks == pytest.approx(blocks, rel=0.002)


def test_eager_layers_hold_one_tensor_more_for_each_kind_of_norm() -> None:
    """Without a compiler: Llama three of the stream's width, Qwen3 four, Gemma 3 five."""
    held = {}
    for name, config in (("llama", models.LLAMA_8B), ("qwen3", QWEN3_8B), ("gemma3", GEMMA3_12B)):
        shape = models.shape(config)
        layer = 3 * shape.kinds[0].width
        peak = start(config, 32768, eager=True).tightest.size("activations") - 32 * 1024**2
        held[name] = (peak / (8192 * 2) - layer) / shape.hidden
    assert held == pytest.approx({"llama": 3, "qwen3": 4, "gemma3": 5}, abs=0.01)


@pytest.mark.parametrize(
    ("version", "config", "expected"),
    [
        ("0.21.0", QWEN3_8B, 1),
        ("0.22.0", QWEN3_8B, 2),
        ("0.22.0", models.LLAMA_8B, 1),
        ("0.23.0", models.LLAMA_8B, 2),
        ("0.23.0", models.LLAMA_8B | {"quantization_config": {"quant_method": "fp8"}}, 1),
        ("0.24.0", models.LLAMA_8B | {"quantization_config": {"quant_method": "fp8"}}, 2),
        ("0.24.0", models.GEMMA2_9B, 1),
        ("0.25.0", models.GEMMA2_9B, 2),
        ("0.28.0", models.GPT_OSS_20B, 1),
        ("0.28.0", models.QWEN3_NEXT_80B, 1),
        ("0.29.0", models.QWEN3_NEXT_80B, 2),
        ("0.32.0", models.GPT_OSS_20B, 2),
    ],
)
def test_which_runner_serves_a_model_by_default(version: str, config: dict[str, Any], expected: int) -> None:
    assert resolve({}, models.shape(config), version).runner == expected


@pytest.mark.parametrize(
    ("version", "method", "expected"),
    [("0.28.0", "ngram", 1), ("0.32.0", "ngram", 2), ("0.32.0", "suffix", 1), ("0.32.0", "eagle3", 2)],
)
def test_what_the_second_runner_does_not_take(version: str, method: str, expected: int) -> None:
    options = {"speculative-config": {"method": method, "num_speculative_tokens": 3}}
    assert resolve(options, models.shape(models.LLAMA_8B), version).runner == expected


@pytest.mark.parametrize(
    ("version", "counted"), [("0.19.0", False), ("0.21.0", True), ("0.26.0", False), ("0.31.0", True)]
)
def test_whether_graphs_are_taken_off_the_cache(version: str, counted: bool) -> None:
    """The first runner does since 0.20, the second, which serves Llama since 0.23, since 0.29."""
    assert resolve({}, models.shape(models.LLAMA_8B), version).graphs_counted is counted
