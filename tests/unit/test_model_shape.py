"""A model's shape out of config.json and headers, and weights that are not its own."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from stoker.errors import UsageError
from stoker.model.agreement import check_weights
from stoker.model.files import ModelFiles, TensorInfo
from stoker.model.shape import read_shape
from stoker.spec.nouns import LocalDir
from stoker.units import Bytes
from stoker.weights import adapter_rank, fetch

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "hidden_size": 64,
    "vocab_size": 100,
    "max_position_embeddings": 512,
    "torch_dtype": "float16",
}


def files(
    config: dict[str, Any] | None = None, embedding: tuple[int, ...] = (100, 64), layers: int = 2
) -> ModelFiles:
    tensors = {"model.embed_tokens.weight": TensorInfo("F16", embedding, Bytes(1))}
    tensors |= {
        f"model.layers.{n}.mlp.up_proj.weight": TensorInfo("F16", (8, 64), Bytes(1)) for n in range(layers)
    }
    return ModelFiles({**CONFIG, **(config or {})}, {}, tensors)


def checked(made: ModelFiles) -> None:
    check_weights(made, read_shape(made), "/m")


def test_the_shape_of_a_small_model() -> None:
    shape = read_shape(files())
    assert (shape.layers, shape.heads, shape.kv_heads, shape.head_dim, shape.max_len) == (2, 4, 2, 16, 512)
    assert shape.parameters == 100 * 64 + 2 * 8 * 64
    assert shape.kv_bytes_per_token(2) == 2 * 2 * 2 * 16 * 2


def test_a_multimodal_model_is_read_from_its_text_part() -> None:
    config = {"architectures": ["Gemma3ForConditionalGeneration"], "text_config": CONFIG}
    assert read_shape(ModelFiles(config, {})).layers == 2


def test_a_missing_field_is_named() -> None:
    with pytest.raises(UsageError, match="num_hidden_layers"):
        read_shape(ModelFiles({k: v for k, v in CONFIG.items() if k != "num_hidden_layers"}, {}))


def test_weights_that_belong_to_the_config_pass() -> None:
    checked(files())
    checked(files(embedding=(128, 64)))  # padded
    checked(files(layers=3))  # a layer for multi-token prediction
    checked(ModelFiles(CONFIG, {}))  # config.json alone


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (files(layers=1), "lack layer 1"),
        (files({"num_hidden_layers": 5}), "lack layer 2 and 2 more"),
        (files(embedding=(100, 32)), "hidden_size 64"),
        (files(embedding=(90, 64)), "vocab_size 100"),
    ],
)
def test_weights_of_another_model_are_refused(made: ModelFiles, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        checked(made)
    assert why in caught.value.finding.why


def adapter(folder: Path, **config: Any) -> Path:
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 8, **config}))
    body = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (folder / "adapter_model.safetensors").write_bytes(struct.pack("<Q", len(body)) + body + b"\0" * 4)
    return folder


def test_an_adapter_is_staged_without_a_config_or_tokenizer_of_its_own(tmp_path: Path) -> None:
    made = adapter(tmp_path / "tuned")
    assert fetch(LocalDir(str(made)), cache=tmp_path, adapter=True) == made
    assert adapter_rank(made) == 8


def test_what_is_no_lora_adapter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no LoRA adapter"):
        adapter_rank(adapter(tmp_path / "prompt", peft_type="PROMPT_TUNING", r=None))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"has no adapter_config\.json"):
        fetch(LocalDir(str(tmp_path / "empty")), cache=tmp_path, adapter=True)


def test_other_safetensors_beside_an_adapter_do_not_let_its_pickle_in(tmp_path: Path) -> None:
    made = adapter(tmp_path / "tuned")
    (made / "adapter_model.safetensors").rename(made / "other.safetensors")
    (made / "adapter_model.bin").write_bytes(b"a pickle")
    with pytest.raises(UsageError, match="as pickles"):
        fetch(LocalDir(str(made)), cache=tmp_path, adapter=True)
