"""How large the weights of a model are, by its name or the catalog: a lower bound, or nothing.

Names say parameters (`70B`, `8x7B`) and how they are stored (`FP8`, `AWQ`).
"""

import re
from functools import lru_cache

from stoker.catalog.models import called
from stoker.errors import StokerError
from stoker.model.files import ModelFiles
from stoker.model.shape import read_shape
from stoker.units import Bytes

_COUNT = re.compile(r"(?<![A-Za-z0-9.])(?:(\d{1,3})x)?(\d{1,4}(?:\.\d{1,2})?)B(?![A-Za-z0-9])", re.I)
_HALF = re.compile(r"fp8|w8a8|w8a16|int8|8bit", re.I)
_QUARTER = re.compile(r"awq|gptq|int4|4bit|w4a16|fp4|gpt-oss|gguf|bnb", re.I)
_HUB = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


def of_hub(model: str | None) -> bool:
    """Whether a model is named as a repository of the hub, and not as a folder or a bucket."""
    return bool(model and _HUB.fullmatch(model))


@lru_cache(256)
def weights(model: str) -> Bytes | None:
    """The least that a model's weights take on disk; None where nobody knows."""
    name = model.rstrip("/").rpartition("/")[2]
    each = 0.5 if _QUARTER.search(name) else 1.0 if _HALF.search(name) else 2.0
    counts = [(int(m[1] or 1), float(m[2])) for m in _COUNT.finditer(name)]
    if counts:
        times, billions = max(counts, key=lambda row: row[0] * row[1])
        shared = 0.8 if times > 1 else 1.0  # experts share their attention
        return Bytes(int(times * billions * shared * 1e9 * each))
    known = called(name)
    if known is None:
        return None
    try:
        shape = read_shape(ModelFiles(known.config, {}))
        return Bytes(int(shape.parameters * (shape.quantization.bytes_each if shape.quantization else each)))
    except (StokerError, ArithmeticError, LookupError, TypeError, ValueError):
        return None
