"""A Gemma 3's GGUF in Hugging Face's terms: names, norms, config and a SentencePiece tokenizer as a BPE.

Sources: the GGUF specification; llama.cpp's convert_hf_to_gguf.py (Gemma3Model); transformers'
`convert_slow_tokenizer.py` (GemmaConverter) and `models/gemma3/configuration_gemma3.py`.
"""

from typing import Any

from stoker.weights.gguf_tokens import named, tokenizer_file

GLOBAL = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}
LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
PATTERN = 6  # every sixth layer attends to everything


def array(name: str, values: Any, fields: dict[str, Any]) -> Any:
    """A tensor's values as Hugging Face has them: its norms count from zero, llama.cpp's from one."""
    return values - 1.0 if name.endswith("norm.weight") else values


def config(fields: dict[str, Any]) -> dict[str, Any]:
    """config.json of a text model."""
    layers = fields["gemma3.block_count"]
    return {
        "architectures": ["Gemma3ForCausalLM"],
        "model_type": "gemma3_text",
        "hidden_activation": "gelu_pytorch_tanh",
        "hidden_size": fields["gemma3.embedding_length"],
        "intermediate_size": fields["gemma3.feed_forward_length"],
        "num_hidden_layers": layers,
        "num_attention_heads": fields["gemma3.attention.head_count"],
        "num_key_value_heads": fields["gemma3.attention.head_count_kv"],
        "head_dim": fields["gemma3.attention.key_length"],
        "query_pre_attn_scalar": fields["gemma3.attention.key_length"],
        "sliding_window": fields["gemma3.attention.sliding_window"],
        "layer_types": [
            "sliding_attention" if (n + 1) % PATTERN else "full_attention" for n in range(layers)
        ],
        "max_position_embeddings": fields["gemma3.context_length"],
        "rms_norm_eps": float(f"{fields['gemma3.attention.layer_norm_rms_epsilon']:.6g}"),
        "rope_parameters": {
            "full_attention": {"rope_type": "default", "rope_theta": float(fields["gemma3.rope.freq_base"])},
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
        },
        "vocab_size": len(fields["tokenizer.ggml.tokens"]),
        "attention_bias": False,
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
        "bos_token_id": fields["tokenizer.ggml.bos_token_id"],
        "eos_token_id": fields["tokenizer.ggml.eos_token_id"],
        "pad_token_id": fields["tokenizer.ggml.padding_token_id"],
    }


def tokenizer(fields: dict[str, Any]) -> dict[str, Any]:
    """tokenizer.json: a BPE over SentencePiece's pieces, bytes for what has none, and the BOS token in
    front."""
    tokens: list[str] = fields["tokenizer.ggml.tokens"]
    bos = fields["tokenizer.ggml.bos_token_id"]
    return tokenizer_file(
        fields,
        normalizer={"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        pre_tokenizer={
            "type": "Split",
            "pattern": {"String": " "},
            "behavior": "MergedWithPrevious",
            "invert": False,
        },
        post_processor=_starts_with(tokens[bos], bos),
        decoder={
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
            ],
        },
        model={
            "unk_token": tokens[fields["tokenizer.ggml.unknown_token_id"]],
            "fuse_unk": True,
            "byte_fallback": True,
            "merges": merges(tokens, fields["tokenizer.ggml.scores"]),
        },
    )


def _starts_with(token: str, number: int) -> dict[str, Any]:
    first = {"SpecialToken": {"id": token, "type_id": 0}}
    return {
        "type": "TemplateProcessing",
        "single": [first, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [
            first,
            {"Sequence": {"id": "A", "type_id": 0}},
            {"SpecialToken": {"id": token, "type_id": 1}},
            {"Sequence": {"id": "B", "type_id": 1}},
        ],
        "special_tokens": {token: {"id": token, "ids": [number], "tokens": [token]}},
    }


def merges(tokens: list[str], scores: list[float]) -> list[list[str]]:
    """Every way to make a piece out of two others, best pieces first: what SentencePiece's scores say as
    merges."""
    numbers = {token: i for i, token in enumerate(tokens)}
    found: list[tuple[float, str, str]] = []
    for token, score in zip(tokens, scores, strict=True):
        halves = [(token[:at], token[at:]) for at in range(1, len(token))]
        known = [(left, right) for left, right in halves if left in numbers and right in numbers]
        found += [
            (score, *pair) for pair in sorted(known, key=lambda pair: (numbers[pair[0]], numbers[pair[1]]))
        ]
    return [[left, right] for _, left, right in sorted(found, key=lambda one: one[0], reverse=True)]


def tokenizer_config(fields: dict[str, Any]) -> dict[str, Any]:
    """tokenizer_config.json; a base model has no chat template."""
    template = fields.get("tokenizer.chat_template")
    return {
        "tokenizer_class": "GemmaTokenizerFast",
        "add_bos_token": bool(fields.get("tokenizer.ggml.add_bos_token", True)),
        "add_eos_token": False,
        "model_max_length": fields["gemma3.context_length"],
        "clean_up_tokenization_spaces": False,
        **({"chat_template": template} if template else {}),
        **named(fields),
    }
