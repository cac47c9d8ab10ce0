"""A llama's GGUF in Hugging Face's terms: names, the rotary permutation, config and a byte-level BPE
tokenizer.

Sources: the GGUF specification; llama.cpp's convert_hf_to_gguf.py.
"""

from typing import Any

from stoker.weights.gguf_tokens import named, tokenizer_file

GLOBAL = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
LAYER = {
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


def array(name: str, values: Any, fields: dict[str, Any]) -> Any:
    """A tensor's values as Hugging Face has them."""
    if ".attn_q." not in name and ".attn_k." not in name:
        return values
    heads = fields["llama.attention.head_count" + ("_kv" if ".attn_k." in name else "")]
    return unpermuted(values, int(heads))


def unpermuted(values: Any, heads: int) -> Any:
    """Rows back in Hugging Face's order: llama.cpp interleaves the two halves that rotary embeddings pair."""
    rows = values.shape[0]
    return (
        values.reshape(heads, rows // heads // 2, 2, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)
    )


def config(fields: dict[str, Any]) -> dict[str, Any]:
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


def tokenizer(fields: dict[str, Any]) -> dict[str, Any]:
    """tokenizer.json of a byte-level BPE whose digits stand alone (`smollm`)."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return tokenizer_file(
        fields,
        normalizer=None,
        pre_tokenizer={
            "type": "Sequence",
            "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level],
        },
        post_processor=None,
        decoder={**byte_level, "add_prefix_space": True},
        model={"merges": fields["tokenizer.ggml.merges"]},
    )


def tokenizer_config(fields: dict[str, Any]) -> dict[str, Any]:
    """tokenizer_config.json, with the chat template that the file carries."""
    return {
        "tokenizer_class": "GPT2Tokenizer",
        "add_prefix_space": bool(fields.get("tokenizer.ggml.add_space_prefix", False)),
        "add_bos_token": bool(fields.get("tokenizer.ggml.add_bos_token", False)),
        "model_max_length": fields["llama.context_length"],
        "clean_up_tokenization_spaces": False,
        "chat_template": fields.get("tokenizer.chat_template"),
        **named(fields),
    }
