"""Layers that keep a state instead of keys and values, out of config.json: their weights, and the state's
parts.

Sources: vLLM `layers/mamba/mamba_utils.py` (MambaStateShapeCalculator, MambaStateDtypeCalculator) and
`model_executor/models/config.py` (which models fix the dtype of what they carry).
"""

from stoker.model.parts import Cache, Config, Part, State, hidden, number

StateLayer = tuple[tuple[Part, ...], tuple[Cache, ...]]
_SIZES = {"float32": 4, "float16": 2, "bfloat16": 2}


def state_layer(config: Config, kind: str) -> StateLayer:
    """The parts and the cache of a layer of that kind."""
    match kind:
        case "linear_attention":
            return _delta_net(config)
        case "kda":
            return _kimi_delta(config)
        case "lightning":
            return _lightning(config)
        case "conv":
            return _short_convolution(config)
        case _:
            return _mamba(config) if _heads_of_state(config) else _mamba1(config)


def _own_dtype(config: Config) -> int:
    """Bytes of an element of what is carried, where the model fixes them: Qwen3.5 and Nemotron-H do."""
    said = config.get("mamba_ssm_dtype") or config.get("mamba_ssm_cache_dtype")
    if said is None and str(config.get("model_type")).startswith("nemotron_h"):
        said = "float32"
    return _SIZES.get(str(said), 0)


def _chunk(config: Config) -> int:
    return number(config, "mamba_chunk_size", "chunk_size", default=2048)


def _delta_net(config: Config) -> tuple[tuple[Part, ...], tuple[Cache, ...]]:
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
    states = (State(mixed * (kernel - 1)), State(temporal, True, _own_dtype(config)))
    return parts, (Cache("state", states=states),)


def _heads_of_state(config: Config) -> int:
    return number(config, "mamba_n_heads", "mamba_num_heads", "num_heads")


def _mamba1(config: Config) -> tuple[tuple[Part, ...], tuple[Cache, ...]]:
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
    states = (State(inner * (kernel - 1)), State(inner * state, True))
    return parts, (Cache("state", states=states, chunk=_chunk(config)),)


def _short_convolution(config: Config) -> tuple[tuple[Part, ...], tuple[Cache, ...]]:
    """A gated convolution over a few tokens, as in LFM2. Source: vLLM `layers/mamba/mamba_utils.py`,
    short_conv_state_shape."""
    width, kernel = hidden(config), number(config, "conv_L_cache", default=3)
    parts = (
        Part("conv.in_proj", 3 * width * width),
        Part("conv.conv", width * kernel, "shard", "other"),
        Part("conv.out_proj", width * width),
    )
    return parts, (Cache("state", states=(State(width * (kernel - 1)),)),)


def _mamba(config: Config) -> tuple[tuple[Part, ...], tuple[Cache, ...]]:
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
    states = (
        State(inner * (kernel - 1), groups=groups, each=2 * state * (kernel - 1)),
        State(heads * size * state, True, _own_dtype(config)),
    )
    return parts, (Cache("state", states=states, marks=True, chunk=_chunk(config)),)


def _kimi_delta(config: Config) -> StateLayer:
    """Kimi's delta attention; what it carries is float32. Source: kda_state_shape, kda_state_dtype."""
    own = config["linear_attn_config"]
    width, heads = hidden(config), number(own, "num_heads")
    size, kernel = number(own, "head_dim"), number(own, "short_conv_kernel_size", default=4)
    inner = heads * size
    parts = (
        Part("self_attn.qkv_proj", 3 * width * inner),
        Part("self_attn.conv1d", 3 * inner * kernel, "shard", "other"),
        Part("self_attn.gates", 2 * (width * size + size * inner) + width * heads),
        Part("self_attn.o_proj", inner * width),
        Part("self_attn.norms", 2 * heads + inner + size, "copy", "other"),
    )
    states = (State(3 * inner * (kernel - 1)), State(heads * size * size, True, 4))
    return parts, (Cache("state", states=states),)


def _lightning(config: Config) -> StateLayer:
    """Lightning attention, as in MiniMax-Text-01: a matrix a head. Source: linear_attention_state_shape."""
    width, heads = hidden(config), number(config, "num_attention_heads")
    size = number(config, "head_dim") or width // max(1, heads)
    inner = heads * size
    parts = (
        Part("self_attn.qkv_proj", 3 * width * inner),
        Part("self_attn.output_gate", width * inner),
        Part("self_attn.out_proj", inner * width),
        Part("self_attn.norm", inner, "copy", "other"),
    )
    return parts, (Cache("state", states=(State(heads * size * size),)),)
