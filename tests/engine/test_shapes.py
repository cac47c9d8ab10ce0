"""The blueprints that are shipped against the classes of the transformers that is installed, on the meta
device."""

import json

import pytest

pytestmark = pytest.mark.engine
transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")

from stoker.catalog import shapes  # noqa: E402
from stoker.model.blueprint import drawn  # noqa: E402


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("LlamaForCausalLM", {"num_hidden_layers": 3, "num_key_value_heads": 4, "mlp_bias": True}),
        ("Qwen3MoeForCausalLM", {"num_hidden_layers": 4, "mlp_only_layers": [1], "head_dim": 64}),
        ("DeepseekV2ForCausalLM", {"num_hidden_layers": 3, "first_k_dense_replace": 1, "q_lora_rank": None}),
        ("GPT2LMHeadModel", {"n_layer": 2, "n_embd": 96, "n_head": 4, "n_inner": 100}),
        ("FalconForCausalLM", {"num_hidden_layers": 2, "bias": True, "multi_query": False}),
        ("NemotronHForCausalLM", {"hybrid_override_pattern": "M*-E"}),
        ("Gemma4ForCausalLM", {"num_hidden_layers": 7, "num_kv_shared_layers": 2, "attention_k_eq_v": True}),
        ("Qwen2VLForConditionalGeneration", {"vision_config": {"depth": 2, "embed_dim": 160}}),
        ("LlavaForConditionalGeneration", {"text_config": {"model_type": "qwen2", "num_hidden_layers": 2}}),
        ("WhisperForConditionalGeneration", {"d_model": 192, "encoder_layers": 3, "decoder_layers": 2}),
    ],
)
def test_a_blueprint_counts_what_the_class_makes(name: str, fields: dict) -> None:
    cls = getattr(transformers, name)
    config = cls.config_class(**fields)
    with torch.device("meta"):
        right = sum(one.numel() for one in cls._from_config(config).parameters())
    for text in (
        {**fields, "model_type": config.model_type},
        json.loads(config.to_json_string(use_diff=False)),
    ):
        found = drawn(text, name)
        assert found is not None
        assert found.parameters == right


def test_the_blueprints_are_of_the_release_that_is_installed() -> None:
    assert shapes.index()["transformers"] == transformers.__version__
