"""The image encoder of a multimodal model: its weights, and what one image is to it.

Sources: Hugging Face config classes of SigLIP, CLIP and the vision towers of Gemma, Llama, Qwen and Mistral.
"""

from collections.abc import Mapping

from stoker.model.parts import Config, Part, Vision, number


def vision(config: Config, text_width: int) -> tuple[tuple[Part, ...], Vision | None]:
    """Parts and figures of the encoder; nothing for a text model."""
    raw = config.get("vision_config")
    if not raw:
        return _audio(config, text_width), None
    width = number(raw, "hidden_size", "embed_dim", "width")
    layers = number(raw, "num_hidden_layers", "depth", "layers")
    middle = number(raw, "intermediate_size") or 4 * width
    patch = number(raw, "patch_size", default=14)
    edge, fixed = number(raw, "image_size"), bool(raw.get("image_size"))
    edge = edge or 896
    patches = (edge // patch) ** 2
    merged = number(raw, "spatial_merge_size", "pooling_kernel_size", default=2) ** 2
    tokens = number(config, "mm_tokens_per_image", "vision_soft_tokens_per_image") or _tokens(
        raw, patches, merged
    )
    table = patches * width if fixed else number(raw, "position_embedding_size") * width * 2
    matrices = 3 if raw.get("model_type") in ("gemma4_vision", "qwen2_5_vl", "pixtral") else 2
    tower = layers * (4 * width * width + matrices * width * middle) + 3 * patch * patch * width + table
    out = number(raw, "projector_output_dim", "out_hidden_size", default=width)
    parts = (
        Part("vision_tower", tower, "shard", "other"),
        Part("multi_modal_projector", out * text_width, "copy", "other"),
    )
    item, video = _largest(config, raw, tokens)
    seen = Vision(layers, width, middle, patches, tokens, edge, fixed, item, video, _both_ways(config))
    return parts + _audio(config, text_width), seen


# Model types whose images are read both ways. Source: vLLM
# `transformers_utils/model_arch_config_convertor.py`.
_BOTH_WAYS = ("bagel", "gemma3", "molmo2", "moondream3", "paligemma", "umm")
# Gemma 4's longest video: 32 frames of 70 tokens, two markers and six of a time stamp each.
_GEMMA4_VIDEO = 32 * (70 + 2 + 6)


def _both_ways(config: Config) -> bool:
    said, text = config.get("is_mm_prefix_lm"), config.get("text_config")
    if said is not None:
        return bool(said)
    if isinstance(text, Mapping) and text.get("use_bidirectional_attention") == "vision":
        return True
    return str(config.get("model_type")) in _BOTH_WAYS


def _largest(config: Config, raw: Config, tokens: int) -> tuple[int, int]:
    """Tokens of the largest image and video."""
    if not str(config.get("model_type")).startswith("gemma4"):
        return tokens, 0
    return number(raw, "default_output_length", default=280), _GEMMA4_VIDEO


def _tokens(raw: Config, patches: int, merged: int) -> int:
    ratio = raw.get("pixel_shuffle_ratio")
    return max(1, int(patches * float(ratio) ** 2) if ratio else patches // merged)


def _audio(config: Config, text_width: int) -> tuple[Part, ...]:
    """A conformer's size: two half-step MLPs, attention and a convolution a layer."""
    raw = config.get("audio_config")
    if not raw:
        return ()
    width, layers = number(raw, "hidden_size", "d_model"), number(raw, "num_hidden_layers", "encoder_layers")
    out = (raw.get("output_proj_dims") or text_width) * width
    return (Part("audio_tower", layers * 24 * width * width + int(out), "shard", "other"),)
