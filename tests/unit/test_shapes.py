"""Parameters out of config.json by the blueprints of classes: against true counts, by family, and what is
openly unknown."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from benchmarks.shapes import rows
from tests import models

from stoker.catalog import shapes
from stoker.errors import StokerError, UsageError
from stoker.model.blueprint import drawn
from stoker.model.files import ModelFiles
from stoker.model.shape import read_shape
from stoker.planner.architecture import check_architecture
from stoker.planner.explain import explain
from stoker.planner.requested import plan_asked
from stoker.spec import load

DATA = Path(__file__).parents[1] / "data" / "architectures"
ROWS = rows(DATA)


def config(name: str, **changed: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DATA / name / "config.json").read_text(encoding="utf-8"))
    return {
        **{k: v for k, v in found.items() if k not in changed},
        **{k: v for k, v in changed.items() if v != "gone"},
    }


def parameters(config: dict[str, Any]) -> int:
    return read_shape(ModelFiles(config, {})).parameters


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_parameters_are_those_of_the_class(row: Any) -> None:
    assert row.why == ""
    assert row.near, f"{row.planned:,} for {row.true:,}"
    assert row.inside, f"{row.planned:,} +-{row.band:.1%} for {row.true:,}"


def test_most_are_exact_and_said_to_be_sure() -> None:
    assert len(ROWS) == 42
    assert sum(row.planned == row.true for row in ROWS) >= 0.9 * len(ROWS)
    assert sum(row.band <= 0.01 for row in ROWS) >= 0.9 * len(ROWS)


@pytest.mark.parametrize(
    ("name", "changed", "difference"),
    [
        # what a file leaves out is what its class has
        ("Qwen3-235B-A22B", {"decoder_sparse_step": "gone", "mlp_only_layers": "gone"}, 0),
        ("Qwen3-235B-A22B", {"tie_word_embeddings": "gone"}, 0),
        ("Qwen3-235B-A22B", {"tie_word_embeddings": True}, -151936 * 4096),
        ("command-r7b", {"tie_word_embeddings": "gone"}, 0),
        ("command-r7b", {"tie_word_embeddings": False}, 256000 * 4096),
        # a size that the class does not list, and its code asks for
        ("Qwen3-235B-A22B", {"head_dim": "gone"}, -94 * (2 * 64 * 64 * 4096 + 2 * 4 * 64 * 4096 + 2 * 64)),
        # experts under every name
        ("Qwen3-235B-A22B", {"num_experts": "gone", "num_local_experts": 128}, 0),
        ("Qwen3-235B-A22B", {"mlp_only_layers": [0]}, 3 * 4096 * 12288 - 128 * (3 * 4096 * 1536 + 4096)),
        ("ERNIE-4.5-21B-A3B", {"moe_num_experts": 63}, -27 * (3 * 2560 * 1536 + 2560 + 1)),
        # layers that only a list or a pattern names
        (
            "Bamba-9B",
            {"attn_layer_indices": [9, 18, 27, 31]},
            2 * 4096 * 4096 + 2 * 4096 * 1024 - (4096 * 16768 + 8448 * 5 + 3 * 128 + 8192 + 8192 * 4096),
        ),
        # a tower's own names
        ("Qwen2-VL-7B", {"tie_word_embeddings": True}, -152064 * 3584),
    ],
)
def test_a_field_changes_what_it_means(name: str, changed: dict[str, Any], difference: int) -> None:
    assert parameters(config(name, **changed)) - parameters(config(name)) == difference


def test_a_null_is_what_the_class_makes_of_it() -> None:
    none, all_heads = (models.LLAMA_8B | {"num_key_value_heads": n} for n in (None, 32))
    assert parameters(none) == parameters(all_heads)


def test_a_model_whose_parts_are_of_other_classes_is_read_by_theirs() -> None:
    base = config("llava-1.5-7b")
    text = {**base["text_config"], "model_type": "qwen2", "num_key_value_heads": 8}
    other = parameters({**base, "text_config": text})
    llama = {**base["text_config"], "num_key_value_heads": 8}
    biases = text.get("num_hidden_layers", 32) * (4096 + 2 * 1024)
    assert other - parameters({**base, "text_config": llama}) == biases


def test_layers_of_their_own_sizes_are_counted_as_such() -> None:
    base = config("Gemma4ForConditionalGeneration")
    text = {**base["text_config"]}
    one = {"per_layer_config": {"0": {"head_dim": 2 * text["head_dim"]}}}
    plain = parameters({**base, "text_config": {**text, "per_layer_config": {}}})
    heads = text["num_attention_heads"] * 2 + text["num_key_value_heads"] * 2
    grown = parameters({**base, "text_config": text | one}) - plain
    assert grown == text["head_dim"] * (heads * text["hidden_size"] + 2)


def test_the_parts_are_all_the_parameters() -> None:
    for row in ROWS:
        shape = read_shape(ModelFiles(config(row.name), {}))
        assert shape.counted == pytest.approx(shape.parameters, rel=0.011), row.name


def test_a_known_shape_costs_little_time() -> None:
    assert max(row.seconds for row in ROWS) < 0.2


# --- what is not known


def planned(config: dict[str, Any], **spec: Any) -> Any:
    text = json.dumps({"model": "/m", "name": "m", "hardware": "h100-80gb", "target": "kubernetes", **spec})
    return plan_asked(load(text), read_shape(ModelFiles(config, {})), "m")


def test_an_architecture_that_nobody_read_is_openly_unknown_and_never_fits() -> None:
    brand_new = models.LLAMA_8B | {"architectures": ["BrandNewForCausalLM"]}
    plan = planned(brand_new, engine={"trust-remote-code": True})
    assert plan.shape.band == 1.0
    lines = explain(plan).splitlines()
    assert "the architecture BrandNewForCausalLM is not known" in lines[1]
    assert lines[1].lstrip().startswith("unsure")
    assert any(line.lstrip().startswith("holds") and "not known" in line for line in lines)


def test_a_known_one_says_nothing_of_the_kind() -> None:
    text = explain(planned(models.LLAMA_8B))
    assert "unsure" not in text
    assert "not known" not in text


def test_a_config_unlike_all_that_its_class_was_seen_with_is_doubted() -> None:
    name = "ERNIE-4.5-21B-A3B"
    whole = drawn(config(name, architectures=["Ernie4_5_MoeForCausalLM"]), "Ernie4_5_MoeForCausalLM")
    assert whole is not None
    assert whole.doubts == []


# --- what a release does not have


@pytest.mark.parametrize(
    ("architecture", "version", "said"),
    [
        ("MptForCausalLM", "0.32.0", "0.28.0 was the last release that had it"),
        ("NonsenseForCausalLM", "0.32.0", "neither its own classes nor its transformers back-end take it"),
    ],
)
def test_an_architecture_that_the_release_has_not_is_refused(
    architecture: str, version: str, said: str
) -> None:
    with pytest.raises(UsageError) as caught:
        planned(models.LLAMA_8B | {"architectures": [architecture]}, engine={"version": version})
    assert said in caught.value.finding.why
    assert caught.value.finding.rule == "architecture"


def test_an_architecture_is_taken_by_the_release_that_had_it() -> None:
    shape = read_shape(ModelFiles(models.LLAMA_8B | {"architectures": ["MptForCausalLM"]}, {}))
    spec = load("model: /m")
    for version in ("0.27.0", "0.28.0"):
        check_architecture(replace(spec, engine=replace(spec.engine, version=version)), shape)


# --- what is no config.json of a model


@pytest.mark.parametrize(
    "bad",
    [
        {"name": "left-pad", "version": "1.0.0", "dependencies": {}},
        {"architectures": ["Qwen2VLForConditionalGeneration"], "text_config": []},
        {"architectures": ["LlavaForConditionalGeneration"], "text_config": {"text_config": {"a": {}}}},
        {"architectures": ["LlamaForCausalLM"]},
        models.LLAMA_8B | {"num_hidden_layers": 10**9},
        {"architectures": ["../index"], "hidden_size": 1},
        {"architectures": [["LlamaForCausalLM"]], "model_type": {"a": 1}},
    ],
)
def test_what_is_no_model_is_said_plainly(bad: dict[str, Any]) -> None:
    with pytest.raises(StokerError):
        read_shape(ModelFiles(bad, {}))


def test_auto_map_is_not_followed() -> None:
    loop = {"AutoConfig": "me/model--configuration.Config", "AutoModelForCausalLM": "me/model--config.json"}
    assert parameters(models.LLAMA_8B | {"auto_map": loop}) == parameters(models.LLAMA_8B)


def test_fields_by_the_hundred_thousand_take_no_time() -> None:
    many: dict[str, Any] = {f"field_{n}": list(range(10)) for n in range(40_000)}
    many["layer_types"] = ["full_attention"] * 40_000
    began = time.process_time()
    assert parameters(models.LLAMA_8B | many) == parameters(models.LLAMA_8B)
    assert time.process_time() - began < 2


def test_sizes_that_no_model_has_end_in_an_error() -> None:
    sizes = ("num_local_experts", "intermediate_size", "hidden_size")
    with pytest.raises(UsageError):
        parameters(config("GptOssForCausalLM", **dict.fromkeys(sizes, 2**24)))


def test_the_index_says_how_each_architecture_of_the_registry_came_out() -> None:
    known = shapes.index()
    states = list(known["served"].values())
    assert set(states) <= {"exact", "within", "partly", "unknown"}
    assert states.count("exact") > 120
    assert known["gone"]["MptForCausalLM"] == "0.28.0"
