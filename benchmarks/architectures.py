"""Shrunken configs, one an architecture: the layers and caches of the real thing, small enough to start here."""

from __future__ import annotations

from typing import Any

_BASE: dict[str, Any] = {
    "num_hidden_layers": 6, "hidden_size": 256, "intermediate_size": 512, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 1024, "max_position_embeddings": 16384, "rms_norm_eps": 1e-6,
    "torch_dtype": "bfloat16", "hidden_act": "silu", "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
_ALTERNATE = ["sliding_attention", "full_attention"] * 3
_PATTERN = ["sliding_attention"] * 5 + ["full_attention"]
_MIXED = ["linear_attention"] * 3 + ["full_attention"]


def _config(architecture: str, model_type: str, **more: Any) -> dict[str, Any]:
    return {**_BASE, "architectures": [architecture], "model_type": model_type, **more}


ARCHITECTURES: dict[str, dict[str, Any]] = {
    "llama": _config("LlamaForCausalLM", "llama", head_dim=64),
    "llama, multi-head": _config("LlamaForCausalLM", "llama", head_dim=64, num_key_value_heads=4),
    "mistral, sliding": _config("MistralForCausalLM", "mistral", head_dim=64, sliding_window=1024),
    "mixtral": _config(
        "MixtralForCausalLM", "mixtral", head_dim=64, sliding_window=None, num_local_experts=4,
        num_experts_per_tok=2,
    ),
    "qwen2": _config("Qwen2ForCausalLM", "qwen2", use_sliding_window=False),
    "qwen3": _config("Qwen3ForCausalLM", "qwen3", head_dim=128),
    "qwen3 moe": _config(
        "Qwen3MoeForCausalLM", "qwen3_moe", head_dim=128, num_experts=8, num_experts_per_tok=2,
        moe_intermediate_size=128, decoder_sparse_step=1, norm_topk_prob=True, mlp_only_layers=[],
    ),
    "gemma": _config("GemmaForCausalLM", "gemma", head_dim=64, hidden_activation="gelu_pytorch_tanh"),
    "gemma2": _config(
        "Gemma2ForCausalLM", "gemma2", head_dim=64, sliding_window=1024, query_pre_attn_scalar=64,
        hidden_activation="gelu_pytorch_tanh", layer_types=_ALTERNATE,
    ),
    "gemma3": _config(
        "Gemma3ForCausalLM", "gemma3_text", head_dim=64, sliding_window=512, num_hidden_layers=18,
        query_pre_attn_scalar=64, hidden_activation="gelu_pytorch_tanh", layer_types=_PATTERN * 3,
    ),
    "gemma3, uneven": _config(
        "Gemma3ForCausalLM", "gemma3_text", head_dim=64, sliding_window=512, num_hidden_layers=10,
        query_pre_attn_scalar=64, hidden_activation="gelu_pytorch_tanh",
        layer_types=[*_PATTERN, *["sliding_attention"] * 4],
    ),
    "gpt-oss": _config(
        "GptOssForCausalLM", "gpt_oss", head_dim=64, sliding_window=128, num_local_experts=4,
        num_experts_per_tok=2, layer_types=_ALTERNATE, attention_bias=True,
    ),
    "deepseek v2": _config(
        "DeepseekV2ForCausalLM", "deepseek_v2", kv_lora_rank=512, q_lora_rank=None, qk_nope_head_dim=128,
        qk_rope_head_dim=64, v_head_dim=128, n_routed_experts=4, num_experts_per_tok=2, n_shared_experts=1,
        moe_intermediate_size=128, first_k_dense_replace=1, moe_layer_freq=1, num_key_value_heads=4,
        topk_method="greedy", scoring_func="softmax", routed_scaling_factor=1.0, norm_topk_prob=False,
    ),
    "phi3": _config("Phi3ForCausalLM", "phi3", sliding_window=None, pad_token_id=0),
    "granite": _config(
        "GraniteForCausalLM", "granite", embedding_multiplier=12.0, logits_scaling=16.0,
        attention_multiplier=0.1, residual_multiplier=0.2,
    ),
    "smollm3": _config("SmolLM3ForCausalLM", "smollm3", pad_token_id=0, no_rope_layers=[1, 1, 1, 0, 1, 1]),
    "olmo2": _config("Olmo2ForCausalLM", "olmo2"),
    "gemma4": _config(
        "Gemma4ForCausalLM", "gemma4_text", head_dim=64, global_head_dim=128, num_global_key_value_heads=1,
        sliding_window=512, num_hidden_layers=12, layer_types=_PATTERN * 2, attention_k_eq_v=True,
        hidden_size_per_layer_input=0, hidden_activation="gelu_pytorch_tanh", enable_moe_block=False,
        num_kv_shared_layers=0,
        rope_parameters={
            "full_attention": {"partial_rotary_factor": 0.25, "rope_theta": 1e6, "rope_type": "proportional"},
            "sliding_attention": {"rope_theta": 1e4, "rope_type": "default"},
        },
    ),
    "gemma4, shared": _config(
        "Gemma4ForCausalLM", "gemma4_text", head_dim=64, global_head_dim=128, num_key_value_heads=1,
        sliding_window=512, num_hidden_layers=15, layer_types=(["sliding_attention"] * 4 + ["full_attention"]) * 3,
        attention_k_eq_v=False, hidden_size_per_layer_input=32, vocab_size_per_layer_input=1024,
        hidden_activation="gelu_pytorch_tanh", enable_moe_block=False, num_kv_shared_layers=5, use_double_wide_mlp=True,
        rope_parameters={
            "full_attention": {"partial_rotary_factor": 0.25, "rope_theta": 1e6, "rope_type": "proportional"},
            "sliding_attention": {"rope_theta": 1e4, "rope_type": "default"},
        },
    ),
    "qwen3 next": _config(
        "Qwen3NextForCausalLM", "qwen3_next", head_dim=128, num_hidden_layers=8, layer_types=_MIXED * 2,
        full_attention_interval=4, linear_num_key_heads=4, linear_num_value_heads=8, linear_key_head_dim=64,
        linear_value_head_dim=64, linear_conv_kernel_dim=4, num_experts=8, num_experts_per_tok=2,
        moe_intermediate_size=128, shared_expert_intermediate_size=128, decoder_sparse_step=1,
        norm_topk_prob=True, mlp_only_layers=[], partial_rotary_factor=0.25,
    ),
    "granite hybrid": _config(
        "GraniteMoeHybridForCausalLM", "granitemoehybrid", num_hidden_layers=8,
        layer_types=(["mamba"] * 3 + ["attention"]) * 2, mamba_n_heads=8, mamba_d_head=64, mamba_d_state=64,
        mamba_n_groups=1, mamba_d_conv=4, mamba_expand=2, mamba_chunk_size=64, num_local_experts=0, num_experts_per_tok=0,
        shared_intermediate_size=512, embedding_multiplier=12.0, logits_scaling=16.0, attention_multiplier=0.1,
        residual_multiplier=0.2, position_embedding_type="nope", mamba_conv_bias=True, mamba_proj_bias=False,
    ),
    "llama4": _config(
        "Llama4ForCausalLM", "llama4_text", head_dim=64, attention_chunk_size=2048, num_local_experts=4,
        num_experts_per_tok=1, intermediate_size_mlp=512, interleave_moe_layer_step=1, num_hidden_layers=8,
        no_rope_layers=[1, 1, 1, 0] * 2, use_qk_norm=True,
    ),
    "cohere2": _config(
        "Cohere2ForCausalLM", "cohere2", sliding_window=1024, sliding_window_pattern=3, layer_norm_eps=1e-5,
        logit_scale=0.0625, layer_types=["sliding_attention", "sliding_attention", "full_attention"] * 2,
    ),
}  # fmt: skip
