"""One layer's attention, out of config.json: its weights, and what it keeps of each token.

Sources: Hugging Face config classes; vLLM `model_executor/models/` (which splits what) and
`v1/kv_cache_interface.py`.
"""

from dataclasses import dataclass

from stoker.model.families import Family
from stoker.model.parts import Cache, Config, Part, State, number


@dataclass(frozen=True, slots=True)
class Heads:
    """Query heads, KV heads and head size of one layer."""

    query: int
    kv: int
    size: int


def attention(config: Config, family: Family, index: int) -> tuple[tuple[Part, ...], Cache | None]:
    """The parts and the cache of layer `index`; no cache where it reads an earlier layer's."""
    if config.get("kv_lora_rank"):
        return _latent(config)
    kind = layer_type(config, family, index)
    if kind == "linear_attention":
        return _delta_net(config)
    if kind == "mamba":
        return _mamba(config) if _heads_of_state(config) else _mamba1(config)
    if kind == "conv":
        return _short_convolution(config)
    if kind in _NOTHING:
        return (), None
    heads = heads_of(config, kind)
    first_shared = number(config, "num_hidden_layers") - number(config, "num_kv_shared_layers")
    shared = number(config, "num_kv_shared_layers") > 0 and index >= first_shared
    parts = _grouped(config, family, heads, shared)
    return parts, None if shared else _cache(config, kind, heads)


def layer_type(config: Config, family: Family, index: int) -> str:
    """`full_attention`, `sliding_attention`, `chunked_attention`, `linear_attention`, `mamba`, `conv`; or a
    kind that keeps nothing."""
    types = config.get("layer_types") or config.get("layers_block_type")
    if types:
        return _named(config, str(types[index]))
    if str(config.get("model_type")) in _STATES_ALONE:
        return "mamba"
    if config.get("full_attention_interval"):
        every = number(config, "full_attention_interval")
        return "full_attention" if (index + 1) % every == 0 else "linear_attention"
    if config.get("attention_chunk_size"):
        return "chunked_attention" if _rotary(config, index) else "full_attention"
    return "sliding_attention" if _windowed(config, family, index) else "full_attention"


# Models whose layers all keep a state, and no key or value.
_STATES_ALONE = ("mamba", "mamba2", "falcon_mamba")
# Layers that keep nothing of a token.
_NOTHING = ("mlp", "moe", "dense", "ffn")


def _named(config: Config, name: str) -> str:
    """A layer's kind by what files call it, those of transformers 5 too, which has one name for all that
    keep a state."""
    if name == "linear_attention" and not config.get("linear_num_key_heads") and _mambas(config):
        return "mamba"
    return {"attention": "full_attention", "mamba2": "mamba"}.get(name, name)


def _mambas(config: Config) -> bool:
    return any(
        config.get(name) for name in ("mamba_d_state", "ssm_state_size", "mamba_n_heads", "state_size")
    )


def _rotary(config: Config, index: int) -> bool:
    """Llama 4: whether a layer has rotary positions, and so attends to its chunk only."""
    layers = config.get("no_rope_layers") or []
    return bool(layers[index]) if layers else (index + 1) % 4 != 0


def _windowed(config: Config, family: Family, index: int) -> bool:
    if not config.get("sliding_window"):
        return False
    match family.windows:
        case "alternate":
            return index % 2 == 0
        case "pattern":
            return (index + 1) % number(config, "sliding_window_pattern", default=6) != 0
        case "asked":
            least = number(config, "max_window_layers")
            return bool(config.get("use_sliding_window")) and index >= least
        case "none":
            return False
        case _:
            return config.get("use_sliding_window") is not False


def heads_of(config: Config, kind: str = "full_attention") -> Heads:
    """The heads of layers of a type; Gemma 4's full layers have their own."""
    query = number(config, "num_attention_heads", "n_head", "n_heads")
    kv = number(config, "num_key_value_heads", "num_kv_heads", default=query)
    if config.get("multi_query") and not config.get("num_key_value_heads"):
        kv = 1
    size = number(config, "head_dim") or hidden(config) // max(1, query)
    if kind == "full_attention":
        kv = number(config, "num_global_key_value_heads", default=kv)
        size = number(config, "global_head_dim", default=size)
    return Heads(query, kv, size)


def hidden(config: Config) -> int:
    """The width of the residual stream."""
    return number(config, "hidden_size", "n_embd", "d_model")


def _grouped(config: Config, family: Family, heads: Heads, shared: bool) -> tuple[Part, ...]:
    """Multi-head, grouped-query and multi-query attention."""
    width = hidden(config)
    bias = 1 if config.get("attention_bias") or config.get("qkv_bias") or family.qkv_bias else 0
    gate = 2 if config.get("attn_output_gate") or config.get("full_attention_interval") else 1
    q, kv = heads.query * heads.size, heads.kv * heads.size
    parts = [
        Part("self_attn.q_proj", (width + bias) * q * gate),
        Part("self_attn.o_proj", width * q + (width if config.get("attention_bias") else 0)),
    ]
    if not shared:
        parts.append(Part("self_attn.k_proj", (width + bias) * kv * 2, "kv", heads=heads.kv))
    norm = 2 * heads.size if family.qk_norm or config.get("use_qk_norm") else 0
    norm += heads.query if config.get("model_type") == "gpt_oss" else 0
    return (*parts, Part("self_attn.q_norm", norm, "copy", "other"))


def _cache(config: Config, kind: str, heads: Heads) -> Cache:
    value = number(config, "v_head_dim", default=heads.size)
    if kind == "sliding_attention" and config.get("sliding_window"):
        return Cache("sliding", heads.kv, heads.size, value, window=number(config, "sliding_window"))
    if kind == "chunked_attention":
        return Cache("chunked", heads.kv, heads.size, value, window=number(config, "attention_chunk_size"))
    return Cache("full", heads.kv, heads.size, value)


def _latent(config: Config) -> tuple[tuple[Part, ...], Cache]:
    """Multi-head latent attention: one latent a token, which every rank holds whole.

    vLLM keeps the up-projection twice: as it is for prefill, and split in the model's dtype to be absorbed in
    decode.
    """
    width, heads = hidden(config), number(config, "num_attention_heads")
    latent, rope = number(config, "kv_lora_rank"), number(config, "qk_rope_head_dim")
    nope, value = number(config, "qk_nope_head_dim"), number(config, "v_head_dim")
    low = number(config, "q_lora_rank")
    query = heads * (nope + rope)
    queries = (
        (
            Part("self_attn.q_a_proj", width * low, "copy"),
            Part("self_attn.q_b_proj", low * query),
        )
        if low
        else (Part("self_attn.q_proj", width * query),)
    )
    up = latent * heads * (nope + value)
    parts = (
        *queries,
        Part("self_attn.kv_a_proj_with_mqa", width * (latent + rope), "copy"),
        Part("self_attn.kv_b_proj", up),
        Part("self_attn.absorbed", up, "shard", "other"),
        Part("self_attn.o_proj", heads * value * width),
        Part("self_attn.norms", low + latent, "copy", "other"),
    )
    return parts, Cache("mla", 1, latent + rope)


def _delta_net(config: Config) -> tuple[tuple[Part, ...], Cache]:
    """Gated delta net, as in Qwen3-Next. Source: vLLM `layers/mamba/mamba_utils.py`,
    gated_delta_net_state_shape."""
    width = hidden(config)
    keys = number(config, "linear_num_key_heads") * number(config, "linear_key_head_dim")
    value_heads, value = number(config, "linear_num_value_heads"), number(config, "linear_value_head_dim")
    values, kernel = value_heads * value, number(config, "linear_conv_kernel_dim", default=4)
    mixed = 2 * keys + values
    parts = (
        Part("linear_attn.in_proj_qkvz", width * (mixed + values)),
        Part("linear_attn.in_proj_ba", width * 2 * value_heads),
        Part("linear_attn.conv1d", mixed * kernel, "shard", "other"),
        Part("linear_attn.out_proj", values * width),
        Part("linear_attn.norms", 2 * value_heads + value, "copy", "other"),
    )
    temporal = value_heads * value * number(config, "linear_key_head_dim")
    states = (State(mixed * (kernel - 1)), State(temporal, 4))
    return parts, Cache("state", states=states, kept=2)


def _heads_of_state(config: Config) -> int:
    return number(config, "mamba_n_heads", "mamba_num_heads", "num_heads")


def _mamba1(config: Config) -> tuple[tuple[Part, ...], Cache]:
    """Mamba 1, as in Jamba. Source: vLLM `layers/mamba/mamba_utils.py`, mamba1_state_shape."""
    width = hidden(config)
    inner = number(config, "mamba_expand", "expand", default=2) * width
    if str(config.get("model_type")) == "falcon_mamba":
        inner = number(config, "intermediate_size", default=inner)
    state = number(config, "mamba_d_state", "state_size", default=16)
    kernel = number(config, "mamba_d_conv", "conv_kernel", default=4)
    rank = number(config, "mamba_dt_rank", "time_step_rank", default=-(-width // 16))
    parts = (
        Part("mamba.in_proj", 2 * width * inner),
        Part("mamba.conv1d", inner * (kernel + 1), "shard", "other"),
        Part("mamba.x_proj", inner * (rank + 2 * state)),
        Part("mamba.dt_proj", (rank + 1) * inner),
        Part("mamba.out_proj", inner * width),
        Part("mamba.A", inner * (state + 1), "shard", "other"),
    )
    return parts, Cache("state", states=(State(inner * (kernel - 1)), State(inner * state)), kept=2)


def _short_convolution(config: Config) -> tuple[tuple[Part, ...], Cache]:
    """A gated convolution over a few tokens, as in LFM2. Source: vLLM `layers/mamba/mamba_utils.py`,
    short_conv_state_shape."""
    width, kernel = hidden(config), number(config, "conv_L_cache", default=3)
    parts = (
        Part("conv.in_proj", 3 * width * width),
        Part("conv.conv", width * kernel, "shard", "other"),
        Part("conv.out_proj", width * width),
    )
    return parts, Cache("state", states=(State(width * (kernel - 1)),), kept=2)


def _mamba(config: Config) -> tuple[tuple[Part, ...], Cache]:
    """Mamba 2, as in Granite 4. Source: vLLM `layers/mamba/mamba_utils.py`, mamba2_state_shape."""
    width = hidden(config)
    heads, size = (
        _heads_of_state(config),
        number(config, "mamba_d_head", "mamba_head_dim", "head_dim"),
    )
    groups, state = (
        number(config, "mamba_n_groups", "n_groups", default=1),
        number(config, "mamba_d_state", "ssm_state_size", "state_size"),
    )
    kernel = number(config, "mamba_d_conv", "conv_kernel", default=4)
    inner = heads * size
    mixed = inner + 2 * groups * state
    parts = (
        Part("mamba.in_proj", width * (inner + mixed + heads)),
        Part("mamba.conv1d", mixed * (kernel + 1), "shard", "other"),
        Part("mamba.out_proj", inner * width),
        Part("mamba.norms", inner + 3 * heads, "copy", "other"),
    )
    states = (State(mixed * (kernel - 1)), State(heads * size * state, 4))
    return parts, Cache("state", states=states, kept=3)
