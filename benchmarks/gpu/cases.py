"""Engines that are started on a GPU: shapes of well-known models, cut to a few layers where that says as
much."""

from dataclasses import dataclass, field
from typing import Any

_COMMON: dict[str, Any] = {
    "torch_dtype": "bfloat16",
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "max_position_embeddings": 32768,
    "tie_word_embeddings": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
LLAMA_8B = _COMMON | {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "num_hidden_layers": 32,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "rope_theta": 500000.0,
}
QWEN3_30B_A3B = _COMMON | {
    "architectures": ["Qwen3MoeForCausalLM"],
    "model_type": "qwen3_moe",
    "num_hidden_layers": 24,
    "hidden_size": 2048,
    "intermediate_size": 6144,
    "moe_intermediate_size": 768,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "num_experts": 128,
    "num_experts_per_tok": 8,
    "norm_topk_prob": True,
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
    "vocab_size": 151936,
    "rope_theta": 1000000.0,
}
QWEN3_NEXT = QWEN3_30B_A3B | {
    "architectures": ["Qwen3NextForCausalLM"],
    "model_type": "qwen3_next",
    "num_hidden_layers": 12,
    "moe_intermediate_size": 512,
    "shared_expert_intermediate_size": 512,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "head_dim": 256,
    "num_experts": 64,
    "full_attention_interval": 4,
    "layer_types": (["linear_attention"] * 3 + ["full_attention"]) * 3,
    "linear_num_key_heads": 16,
    "linear_num_value_heads": 32,
    "linear_key_head_dim": 128,
    "linear_value_head_dim": 128,
    "linear_conv_kernel_dim": 4,
    "partial_rotary_factor": 0.25,
}
GRANITE_HYBRID = _COMMON | {
    "architectures": ["GraniteMoeHybridForCausalLM"],
    "model_type": "granitemoehybrid",
    "num_hidden_layers": 12,
    "hidden_size": 4096,
    "intermediate_size": 12288,
    "shared_intermediate_size": 12288,
    "num_local_experts": 0,
    "num_experts_per_tok": 0,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "layer_types": (["mamba"] * 5 + ["attention"]) * 2,
    "mamba_n_heads": 128,
    "mamba_d_head": 64,
    "mamba_d_state": 128,
    "mamba_n_groups": 1,
    "mamba_d_conv": 4,
    "mamba_expand": 2,
    "mamba_chunk_size": 256,
    "mamba_conv_bias": True,
    "mamba_proj_bias": False,
    "embedding_multiplier": 12.0,
    "logits_scaling": 8.0,
    "attention_multiplier": 0.0078125,
    "residual_multiplier": 0.22,
    "position_embedding_type": "nope",
    "vocab_size": 100352,
}
GEMMA2 = _COMMON | {
    "architectures": ["Gemma2ForCausalLM"],
    "model_type": "gemma2",
    "num_hidden_layers": 26,
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "query_pre_attn_scalar": 256,
    "hidden_activation": "gelu_pytorch_tanh",
    "sliding_window": 4096,
    "attn_logit_softcapping": 50.0,
    "final_logit_softcapping": 30.0,
    "tie_word_embeddings": True,
    "vocab_size": 256000,
}
DEEPSEEK = _COMMON | {
    "architectures": ["DeepseekV3ForCausalLM"],
    "model_type": "deepseek_v3",
    "num_hidden_layers": 4,
    "hidden_size": 7168,
    "intermediate_size": 18432,
    "moe_intermediate_size": 2048,
    "num_attention_heads": 128,
    "num_key_value_heads": 128,
    "q_lora_rank": 1536,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "n_routed_experts": 64,
    "n_shared_experts": 1,
    "num_experts_per_tok": 8,
    "first_k_dense_replace": 2,
    "moe_layer_freq": 1,
    "n_group": 8,
    "topk_group": 4,
    "topk_method": "noaux_tc",
    "scoring_func": "sigmoid",
    "norm_topk_prob": True,
    "routed_scaling_factor": 2.5,
    "vocab_size": 129280,
    "rope_theta": 10000.0,
}


@dataclass(frozen=True)
class Case:
    """One engine: its config.json, its options, and the seconds that it may take."""

    name: str
    config: dict[str, Any]
    options: dict[str, Any] = field(default_factory=dict)
    cap: float = 60.0


CASES = (
    Case("llama-cold", LLAMA_8B, {"max-model-len": 32768}, 100.0),
    Case("llama-warm", LLAMA_8B, {"max-model-len": 32768}, 60.0),
    Case("experts-compiled", QWEN3_30B_A3B, {"max-model-len": 32768}, 110.0),
    Case("delta-net-eager", QWEN3_NEXT, {"max-model-len": 16384, "enforce-eager": True}),
    Case("mamba2-eager", GRANITE_HYBRID, {"max-model-len": 16384, "enforce-eager": True}),
    Case("windows-eager", GEMMA2, {"max-model-len": 8192, "enforce-eager": True}),
    Case("latent-eager", DEEPSEEK, {"max-model-len": 16384, "enforce-eager": True}),
)
# Options that every engine gets: vLLM's defaults for the server on large GPUs, which the library has not.
EVERY: dict[str, Any] = {"max-num-batched-tokens": 8192, "max-num-seqs": 1024}
