"""Images and videos that vLLM takes in one piece, so that a batch has to hold one.

Source: vLLM `platforms/cuda.py` (models whose media are read both ways get --disable-chunked-mm-input),
`v1/core/encoder_cache_manager.py` (a batch below one item is refused), `model_executor/models/gemma4_mm.py`.
"""

from collections.abc import Mapping
from typing import Any

from stoker.errors import UsageError
from stoker.model.shape import ModelShape


def whole_item(shape: ModelShape, options: Mapping[str, Any]) -> int:
    """Tokens of the largest item that has to fit in a batch; 0 where items may be cut, or there are none."""
    if shape.vision is None or options.get("language-model-only") is True:
        return 0
    if not shape.vision.whole and options.get("disable-chunked-mm-input") is not True:
        return 0
    limits = options.get("limit-mm-per-prompt")
    videos = not isinstance(limits, Mapping) or limits.get("video") != 0
    images = not isinstance(limits, Mapping) or limits.get("image") != 0
    return max(shape.vision.video if videos else 0, shape.vision.item if images else 0)


def check_batch(shape: ModelShape, options: Mapping[str, Any], batch: int) -> None:
    """Raises: UsageError, for batches that do not hold one item."""
    item = whole_item(shape, options)
    if batch < item and "max-num-batched-tokens" in options:
        raise UsageError(
            f"max-num-batched-tokens {batch:,} does not hold one image or video",
            at="engine.max-num-batched-tokens",
            why=f"the largest takes {item:,} tokens, and vLLM does not cut those of this model",
            fix=f"max-num-batched-tokens: {item}, or more",
            rule="media-batch",
        )
