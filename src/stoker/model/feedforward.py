"""One layer's feed-forward block, out of config.json: dense, mixture of experts, or both.

Sources: Hugging Face config classes; vLLM `model_executor/models/`.
"""

from stoker.model.families import Family
from stoker.model.parts import Config, Experts, Part, hidden, number


def feedforward(config: Config, family: Family, index: int) -> tuple[tuple[Part, ...], int, Experts | None]:
    """The parts of layer `index`, the width of its dense MLP (0 without one), and its experts, if any."""
    count = number(config, "num_experts", "num_local_experts", "n_routed_experts")
    if not count or not _is_sparse(config, index):
        width = _dense_width(config, index)
        return (_mlp(config, family, "mlp", width),), width, None
    experts = Experts(
        number(config, "num_experts_per_tok", "experts_per_token", "top_k_experts"), _width(config)
    )
    shared = _shared_width(config)
    parts = [
        Part(
            "mlp.experts",
            count * _matrices(family) * hidden(config) * experts.width,
            "shard",
            "expert",
            rows=experts.width,
        ),
        Part("mlp.router", count * hidden(config), "copy", "other"),
    ]
    if config.get("model_type") == "gpt_oss":
        parts.append(Part("mlp.biases", count * (2 * experts.width + hidden(config)), "shard", "other"))
    if shared:
        parts.append(_mlp(config, family, "mlp.shared_experts", shared))
    return tuple(parts), shared, experts


def _is_sparse(config: Config, index: int) -> bool:
    """Whether a layer has experts."""
    if index in (config.get("mlp_only_layers") or ()) or index < number(config, "first_k_dense_replace"):
        return False
    if config.get("enable_moe_block") is False:
        return False
    step = number(config, "decoder_sparse_step", "interleave_moe_layer_step", "moe_layer_freq", default=1)
    first = number(config, "first_k_dense_replace")
    if config.get("moe_layers"):
        return index in config["moe_layers"]
    return (index % step == 0) if first else ((index + 1) % max(1, step) == 0)


def _width(config: Config) -> int:
    return number(config, "moe_intermediate_size", "expert_intermediate_size", "intermediate_size", "ffn_dim")


def _shared_width(config: Config) -> int:
    """The width of what every token passes beside the experts."""
    if config.get("enable_moe_block"):  # Gemma 4: a dense MLP beside the experts
        return number(config, "intermediate_size")
    if "llama4" in str(config.get("model_type")):
        return number(config, "intermediate_size")
    shared = number(config, "n_shared_experts", "num_shared_experts")
    asked = number(config, "shared_expert_intermediate_size", "shared_intermediate_size")
    return asked or shared * _width(config)


def _dense_width(config: Config, index: int) -> int:
    width = number(config, "intermediate_size_mlp", "intermediate_size", "n_inner", "ffn_dim")
    width = width or 4 * hidden(config)
    first_shared = number(config, "num_hidden_layers") - number(config, "num_kv_shared_layers")
    doubles = config.get("use_double_wide_mlp") and 0 < first_shared <= index
    return 2 * width if doubles else width


def _matrices(family: Family) -> int:
    return 3 if family.gated else 2


def _mlp(config: Config, family: Family, name: str, width: int) -> Part:
    bias = width + hidden(config) if config.get("mlp_bias") or not family.gated else 0
    return Part(name, _matrices(family) * hidden(config) * width + bias)
