"""config.json before it is read: fields that bear on the shape hold what they may, in numbers that a model
can have."""

from collections.abc import Mapping, Sequence
from typing import Any

from stoker.bounds import finite, shown
from stoker.errors import UsageError
from stoker.model.parts import Cache, Layer, Part

LAYERS = 2_000
# Fields that a loop or a power is made of, and the most that any model could have of each.
_MOST = {
    "num_hidden_layers": LAYERS,
    "n_layer": LAYERS,
    "n_layers": LAYERS,
    "num_layers": LAYERS,
    "depth": LAYERS,
    "layers": LAYERS,
    "encoder_layers": LAYERS,
    "num_attention_heads": 65_536,
    "n_head": 65_536,
    "n_heads": 65_536,
    "num_key_value_heads": 65_536,
    "num_kv_heads": 65_536,
    "vocab_size": 2**31,
    "max_position_embeddings": 2**31,
    "n_positions": 2**31,
    **dict.fromkeys(
        (
            "hidden_size",
            "n_embd",
            "d_model",
            "intermediate_size",
            "moe_intermediate_size",
            "ffn_dim",
            "n_inner",
            "head_dim",
            "global_head_dim",
            "v_head_dim",
            "qk_nope_head_dim",
            "qk_rope_head_dim",
            "kv_lora_rank",
            "q_lora_rank",
            "num_experts",
            "num_local_experts",
            "n_routed_experts",
            "num_experts_per_tok",
            "n_shared_experts",
            "shared_expert_intermediate_size",
            "image_size",
            "patch_size",
            "num_global_key_value_heads",
        ),
        2**24,
    ),
}
_TABLES = (
    "text_config",
    "llm_config",
    "vision_config",
    "audio_config",
    "quantization_config",
    "compression_config",
    "rope_scaling",
    "rope_parameters",
)
_LISTS = (
    "architectures",
    "layer_types",
    "layers_block_type",
    "no_rope_layers",
    "mlp_only_layers",
    "moe_layers",
)
_PER_LAYER = ("layer_types", "layers_block_type", "no_rope_layers")
# Models of Mamba layers alone have no attention heads.
_STATES = ("state_size", "ssm_state_size")
_NEEDED = (
    ("num_hidden_layers", "n_layer", "n_layers", "num_layers"),
    ("num_attention_heads", "n_head", "n_heads"),
    ("hidden_size", "n_embd", "d_model"),
    ("vocab_size",),
)


def text_of(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of config.json that describes the decoder. Raises: UsageError, where it is no table."""
    for name in _TABLES:
        _table(config, name)
    inner = config.get("thinker_config")
    if inner is not None and not config.get("text_config"):
        _table(config, "thinker_config")
        return text_of(inner) if "thinker_config" not in inner else inner
    return config.get("text_config") or config.get("llm_config") or config


def architecture(config: Mapping[str, Any]) -> str:
    """The first architecture that config.json names; `unknown` where it names none. Raises: UsageError."""
    named = config.get("architectures")
    if named is not None and not isinstance(named, list):
        raise _wrong("architectures", named, "expected a list")
    return str(named[0])[:200] if named else "unknown"


def check(config: Mapping[str, Any], text: Mapping[str, Any]) -> None:
    """Raises: UsageError, naming the field of config.json that is missing or makes no sense."""
    _needed(text)
    inner = (config.get("vision_config"), config.get("audio_config"))
    for part in (config, text, *(one for one in inner if one)):
        _numbers(part)
        for name in _TABLES:
            _table(part, name)
        for name in _LISTS:
            if part.get(name) is not None and not isinstance(part[name], list):
                raise _wrong(name, part[name], "expected a list")
    layers = next(text[name] for name in _NEEDED[0] if text.get(name) is not None)
    for name in _PER_LAYER:
        if text.get(name) and len(text[name]) < layers:
            raise _wrong(name, text[name], f"it has {len(text[name])} entries for {layers} layers")


def _needed(text: Mapping[str, Any]) -> None:
    heads = () if any(text.get(name) for name in _STATES) else _NEEDED[1:2]
    for names in (*_NEEDED[:1], *heads, *_NEEDED[2:]):
        found = next((name for name in names if text.get(name) is not None), None)
        if found is None:
            raise UsageError(
                f"config.json has no {names[0]}",
                why="the model's shape cannot be read",
                fix="is this a Hugging Face model folder?",
                rule="model-config",
            )
        value = text[found]
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise _wrong(found, value, "expected a whole number above zero")


def _numbers(part: Mapping[str, Any]) -> None:
    """Raises: UsageError, for a size that no model has."""
    for name, value in part.items():
        most = _MOST.get(name)
        if most is None or isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if not finite(value) or not 0 <= value <= most:
            raise _wrong(name, value, f"expected a number from 0 to {most:,}")


def _table(part: Mapping[str, Any], name: str) -> None:
    if part.get(name) is not None and not isinstance(part[name], Mapping):
        raise _wrong(name, part[name], "expected a table")


def _wrong(name: str, value: Any, why: str) -> UsageError:
    return UsageError(
        f"{name} in config.json is {shown(value)}",
        why=why,
        fix="take config.json as the model's publisher ships it",
        rule="model-config",
    )


def check_layers(decoder: Sequence[Layer], ends: Sequence[Part]) -> None:
    """Raises: ValueError, for layers that keep nothing of a token or have a negative size: no model is like
    that."""
    for layer in {id(one): one for one in decoder}.values():
        for cache in layer.caches:
            if not _keeps(cache):
                raise ValueError(f"its layers of {cache.kind} attention would keep nothing of a token")
        _check_parts(layer.parts)
    _check_parts(ends)


def hollow(decoder: Sequence[Layer]) -> bool:
    """Whether some layers' state has no size, since config.json has it under names that are not known
    here."""
    caches = [cache for one in decoder for cache in one.caches if cache.kind == "state"]
    return any(not any(state.elements for state in cache.states) for cache in caches)


def _keeps(cache: Cache) -> bool:
    if cache.kind == "state":
        return all(state.elements >= 0 for state in cache.states)
    windowed = cache.kind not in ("sliding", "chunked") or cache.window > 0
    return windowed and cache.kv_heads > 0 and cache.head_dim > 0 and cache.value_dim >= 0


def _check_parts(parts: Sequence[Part]) -> None:
    for part in parts:
        if not 0 <= part.parameters < 2**60:
            raise ValueError(f"{part.name} would have {part.parameters:,} parameters")


def not_a_model(error: Exception, architecture: str) -> UsageError:
    """What is said where a field that nobody has checked is of another shape than every model's."""
    return UsageError(
        f"config.json is not shaped as one of {shown(architecture)[1:-1]}",
        why=f"{type(error).__name__}: {shown(str(error), 120)[1:-1]}",
        fix="take config.json as the model's publisher ships it",
        rule="model-config",
    )
