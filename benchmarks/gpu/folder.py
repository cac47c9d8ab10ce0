"""A model's folder out of nothing: config.json, weights of one small number, a tokenizer of bytes.

What it answers means nothing; everything that an engine loads, compiles and serves is there.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.gpu.cases import LLAMA_8B

ONE_B = LLAMA_8B | {
    "num_hidden_layers": 16,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 1024,
}
SMALL = ONE_B | {
    "num_hidden_layers": 2,
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
# 0.01 and -0.01 in bfloat16, as often as makes a piece to write.
_PIECE = bytes([0x24, 0x3C, 0x24, 0xBC]) * (1 << 18)
_END = "<|end|>"
_TEMPLATE = "{% for m in messages %}{{ m['content'] }}{% endfor %}"


def write(folder: Path, config: dict[str, Any]) -> None:
    """Writes the folder of a Llama of that config."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    _weights(folder / "model.safetensors", dict(_tensors(config)))
    _tokenizer(folder, config["vocab_size"])


def _tensors(config: dict[str, Any]) -> Iterator[tuple[str, list[int]]]:
    """Names and shapes of a Llama's tensors."""
    wide, middle = config["hidden_size"], config["intermediate_size"]
    kv = wide // config["num_attention_heads"] * config["num_key_value_heads"]
    yield "model.embed_tokens.weight", [config["vocab_size"], wide]
    for n in range(config["num_hidden_layers"]):
        for name, shape in {
            "self_attn.q_proj": [wide, wide], "self_attn.k_proj": [kv, wide], "self_attn.v_proj": [kv, wide],
            "self_attn.o_proj": [wide, wide], "mlp.gate_proj": [middle, wide], "mlp.up_proj": [middle, wide],
            "mlp.down_proj": [wide, middle], "input_layernorm": [wide], "post_attention_layernorm": [wide],
        }.items():  # fmt: skip
            yield f"model.layers.{n}.{name}.weight", shape
    yield "model.norm.weight", [wide]
    yield "lm_head.weight", [config["vocab_size"], wide]


def _weights(path: Path, tensors: dict[str, list[int]]) -> None:
    """A safetensors file: eight bytes of length, a JSON header, the elements."""
    header, at = {}, 0
    for name, shape in tensors.items():
        size = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _ in range(at // len(_PIECE)):
            file.write(_PIECE)
        file.write(_PIECE[: at % len(_PIECE)])


def _tokenizer(folder: Path, size: int) -> None:
    """A tokenizer that has one token a byte, and as many unused ones as the vocabulary is larger."""
    vocabulary = {_END: 0} | {char: n + 1 for n, char in enumerate(_byte_characters())}
    vocabulary |= {f"<|unused{n}|>": n for n in range(len(vocabulary), size)}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    tokenizer: dict[str, Any] = {
        "version": "1.0",
        "added_tokens": [{
            "id": 0, "content": _END, "special": True, "single_word": False, "lstrip": False, "rstrip": False,
            "normalized": False,
        }],
        "normalizer": None,
        "pre_tokenizer": level,
        "post_processor": None,
        "decoder": level,
        "model": {"type": "BPE", "vocab": vocabulary, "merges": [], "unk_token": None},
    }  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    about = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": _END, "chat_template": _TEMPLATE}
    (folder / "tokenizer_config.json").write_text(json.dumps(about), encoding="utf-8")


def _byte_characters() -> list[str]:
    """The character that stands for each byte: itself where it can be printed, else one above 255."""
    printed = {*range(33, 127), *range(161, 173), *range(174, 256)}
    above = iter(range(256, 512))
    return [chr(byte) if byte in printed else chr(next(above)) for byte in range(256)]
