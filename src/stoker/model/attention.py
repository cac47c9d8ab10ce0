"""One layer's attention, out of config.json: its weights, and what it keeps of each token.

Sources: Hugging Face config classes; vLLM `model_executor/models/` (which splits what) and
`v1/kv_cache_interface.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from stoker.model.families import Family
from stoker.model.latent import latent
from stoker.model.parts import Cache, Config, Part, hidden, number
from stoker.model.states import state_layer


@dataclass(frozen=True, slots=True)
class Heads:
    """Query heads, KV heads and head size of one layer."""

    query: int
    kv: int
    size: int


Attention = tuple[tuple[Part, ...], tuple[Cache, ...]]


def attention(config: Config, family: Family, index: int) -> Attention:
    """The parts and the caches of layer `index`; no cache where it reads an earlier layer's."""
    config = _of_layer(config, index)
    kind = layer_type(config, family, index)
    if kind in _STATES:
        return state_layer(config, kind)
    if kind in _NOTHING:
        return (), ()
    if config.get("kv_lora_rank"):
        return latent(config)
    heads = heads_of(config, kind)
    first_shared = number(config, "num_hidden_layers") - number(config, "num_kv_shared_layers")
    shared = number(config, "num_kv_shared_layers") > 0 and index >= first_shared
    parts = _grouped(config, family, heads, shared)
    caches = () if shared else (_cache(config, kind, heads),)
    if str(config.get("model_type")) in _STATE_BESIDE:
        more, beside = state_layer(config, "mamba")
        return (*parts, *more), (*caches, *beside)
    return parts, caches


def _of_layer(config: Config, index: int) -> Config:
    """The fields as layer `index` has them: transformers 5 writes those that differ under the layer's
    number."""
    own = config.get("per_layer_config")
    if not isinstance(own, Mapping) or not own:
        return config
    found = next((own[key] for key in own if str(key).isdigit() and int(key) == index), None)
    return {**config, **found, "global_head_dim": None} if isinstance(found, Mapping) else config


def layer_type(config: Config, family: Family, index: int) -> str:
    """`full_attention`, `sliding_attention`, `chunked_attention`; a kind that keeps a state
    (`linear_attention`, `kda`, `lightning`, `mamba`, `conv`), or one that keeps nothing."""
    stated = _stated(config, index)
    if stated:
        return stated
    if str(config.get("model_type")) in _STATES_ALONE:
        return "mamba"
    if config.get("full_attention_interval"):
        every = number(config, "full_attention_interval")
        return "full_attention" if (index + 1) % every == 0 else "linear_attention"
    if config.get("attention_chunk_size"):
        return "chunked_attention" if _rotary(config, index) else "full_attention"
    return "sliding_attention" if _windowed(config, family, index) else "full_attention"


def _stated(config: Config, index: int) -> str:
    """What config.json says of layer `index`, in any of the ways there are; empty where it says nothing."""
    delta = config.get("linear_attn_config")
    if isinstance(delta, Mapping) and delta.get("kda_layers"):
        return "kda" if index + 1 in delta["kda_layers"] else "full_attention"
    types = config.get("layer_types") or config.get("layers_block_type")
    if types:
        return _named(config, str(types[index]))
    if config.get("attn_type_list"):
        return "full_attention" if config["attn_type_list"][index] else "lightning"
    if config.get("hybrid_override_pattern"):
        return _PATTERN.get(str(config["hybrid_override_pattern"])[index], "mlp")
    if config.get("attn_layer_indices"):
        return "full_attention" if index in config["attn_layer_indices"] else "mamba"
    if config.get("attn_layer_period"):
        offset = number(config, "attn_layer_offset")
        return "full_attention" if index % number(config, "attn_layer_period") == offset else "mamba"
    return ""


# What the letters of a pattern mean, one a layer.
_PATTERN = {"M": "mamba", "*": "full_attention", "-": "mlp", "E": "moe"}
# Models whose layers have attention and a state side by side.
_STATE_BESIDE = ("falcon_h1",)
# Layers that keep a state.
_STATES = ("linear_attention", "kda", "lightning", "mamba", "conv")
# Models whose layers all keep a state, and no key or value.
_STATES_ALONE = ("mamba", "mamba2", "falcon_mamba")
# Layers that keep nothing of a token.
_NOTHING = ("mlp", "moe", "dense", "ffn")


def _named(config: Config, name: str) -> str:
    """A layer's kind by what files call it, those of transformers 5 too, which has one name for all that
    keep a state."""
    if name == "linear_attention" and not config.get("linear_num_key_heads"):
        return "mamba" if _mambas(config) else "lightning"
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
    if kind == "sliding_attention":
        query = number(config, "swa_num_attention_heads", default=query)
        kv = number(config, "swa_num_key_value_heads", default=kv)
        size = number(config, "swa_head_dim", default=size)
    return Heads(query, kv, size)


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
    if kind == "sliding_attention":
        value = number(config, "swa_v_head_dim", default=value)
    if kind == "sliding_attention" and config.get("sliding_window"):
        return Cache("sliding", heads.kv, heads.size, value, window=number(config, "sliding_window"))
    if kind == "chunked_attention":
        return Cache("chunked", heads.kv, heads.size, value, window=number(config, "attention_chunk_size"))
    return Cache("full", heads.kv, heads.size, value)
