"""A GGUF file as a Hugging Face folder: tensors dequantized to float32, config and tokenizer written out.

Sources: the GGUF specification; llama.cpp's convert_hf_to_gguf.py for the names and the rotary permutation.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stoker.errors import WeightsFailed

_GLOBAL = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
CONTROL, USER_DEFINED = 3, 4  # token types that stand alone


def convert(gguf_file: Path, folder: Path) -> None:
    """Writes the folder: model.safetensors, config.json, generation_config.json and the tokenizer's files.

    Raises: WeightsFailed, for an architecture that has no mapping here.
    """
    from gguf import GGUFReader
    from safetensors.numpy import save_file

    reader = GGUFReader(str(gguf_file))
    fields = {name: field.contents() for name, field in reader.fields.items()}
    if fields["general.architecture"] != "llama":
        raise WeightsFailed(
            f"{gguf_file.name} is of the architecture {fields['general.architecture']}",
            why="only llama's tensors have a mapping", fix="use the model's safetensors",
        )  # fmt: skip
    save_file(dict(_tensors(reader, fields)), str(folder / "model.safetensors"), metadata={"format": "pt"})
    for name, value in {
        "config.json": llama_config(fields),
        "generation_config.json": _generation(fields),
        "tokenizer.json": bpe_tokenizer(fields),
        "tokenizer_config.json": tokenizer_config(fields),
    }.items():
        (folder / name).write_text(json.dumps(value, indent=1, ensure_ascii=False), encoding="utf-8")


def _tensors(reader: Any, fields: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    import numpy as np
    from gguf.quants import dequantize

    for tensor in reader.tensors:
        array = dequantize(tensor.data, tensor.tensor_type).astype(np.float32, copy=False)
        array = array.reshape(tuple(int(size) for size in reversed(tensor.shape)))
        if ".attn_q." in tensor.name or ".attn_k." in tensor.name:
            heads = fields["llama.attention.head_count" + ("_kv" if ".attn_k." in tensor.name else "")]
            array = unpermuted(array, int(heads))
        yield hugging_face_name(tensor.name), np.ascontiguousarray(array)


def hugging_face_name(name: str) -> str:
    """`blk.3.attn_q.weight` is `model.layers.3.self_attn.q_proj.weight`. Raises: WeightsFailed."""
    if name in _GLOBAL:
        return _GLOBAL[name]
    parts = name.split(".")
    if len(parts) == 4 and parts[0] == "blk" and parts[2] in _LAYER:
        return f"model.layers.{parts[1]}.{_LAYER[parts[2]]}.{parts[3]}"
    raise WeightsFailed(f"the tensor {name} has no name in Hugging Face's scheme", why="the mapping lacks it")


def unpermuted(array: Any, heads: int) -> Any:
    """Rows back in Hugging Face's order: llama.cpp interleaves the two halves that rotary embeddings pair."""
    rows = array.shape[0]
    return array.reshape(heads, rows // heads // 2, 2, *array.shape[1:]).swapaxes(1, 2).reshape(array.shape)


def llama_config(fields: dict[str, Any]) -> dict[str, Any]:
    """config.json. Embeddings are tied where the file has no output matrix; this one ties them."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": fields["llama.embedding_length"],
        "intermediate_size": fields["llama.feed_forward_length"],
        "num_hidden_layers": fields["llama.block_count"],
        "num_attention_heads": fields["llama.attention.head_count"],
        "num_key_value_heads": fields["llama.attention.head_count_kv"],
        "max_position_embeddings": fields["llama.context_length"],
        "rms_norm_eps": float(f"{fields['llama.attention.layer_norm_rms_epsilon']:.6g}"),
        "rope_theta": float(fields["llama.rope.freq_base"]),
        "vocab_size": fields["llama.vocab_size"],
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
        "bos_token_id": fields["tokenizer.ggml.bos_token_id"],
        "eos_token_id": fields["tokenizer.ggml.eos_token_id"],
        "pad_token_id": fields["tokenizer.ggml.padding_token_id"],
    }


def _generation(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        key: fields[f"tokenizer.ggml.{name}_token_id"]
        for key, name in (("bos_token_id", "bos"), ("eos_token_id", "eos"), ("pad_token_id", "padding"))
    }


def bpe_tokenizer(fields: dict[str, Any]) -> dict[str, Any]:
    """tokenizer.json of a byte-level BPE whose digits stand alone (`smollm`)."""
    tokens: list[str] = fields["tokenizer.ggml.tokens"]
    types: list[int] = fields["tokenizer.ggml.token_type"]
    special = [i for i, kind in enumerate(types) if kind in (CONTROL, USER_DEFINED)]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": i,
                "content": tokens[i],
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": types[i] == CONTROL,
            }
            for i in special
        ],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level],
        },
        "post_processor": None,
        "decoder": {**byte_level, "add_prefix_space": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: i for i, token in enumerate(tokens)},
            "merges": fields["tokenizer.ggml.merges"],
        },
    }


def tokenizer_config(fields: dict[str, Any]) -> dict[str, Any]:
    """tokenizer_config.json, with the chat template that the file carries."""
    tokens: list[str] = fields["tokenizer.ggml.tokens"]
    named = {
        key: tokens[fields[f"tokenizer.ggml.{name}_token_id"]]
        for key, name in (
            ("bos_token", "bos"),
            ("eos_token", "eos"),
            ("unk_token", "unknown"),
            ("pad_token", "padding"),
        )
    }
    return {
        "tokenizer_class": "GPT2Tokenizer",
        "add_prefix_space": bool(fields.get("tokenizer.ggml.add_space_prefix", False)),
        "add_bos_token": bool(fields.get("tokenizer.ggml.add_bos_token", False)),
        "model_max_length": fields["llama.context_length"],
        "clean_up_tokenization_spaces": False,
        "chat_template": fields.get("tokenizer.chat_template"),
        **named,
    }
