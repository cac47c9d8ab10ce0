"""MemoryItem: one use of a rank's memory, with its formula, its source and its band."""

from dataclasses import dataclass

from stoker.units import Bytes


@dataclass(frozen=True, slots=True)
class MemoryItem:
    """One use of a rank's memory. `band` is how far the real figure may be from `size`, either way, in
    bytes."""

    name: str
    size: Bytes
    band: Bytes
    formula: str
    source: str
