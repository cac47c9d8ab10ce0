"""EngineProfile: how long an engine's step takes, from what the step computes.

A step takes `base` seconds, and more for each prompt token that it reads, each sequence that it gives a
token, and each token of KV cache that those look back on. That is a straight line; where attention over long
prompts bends it, `error` says by how much it misses.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from stoker.engine.scheduler import Batch


@dataclass(frozen=True, slots=True)
class EngineProfile:
    """Seconds a step: `base`, and a `prefill_token`, a decoding `sequence`, a `kv_token` each.

    `overhead`: seconds that a request takes beside the engine's steps (its API process). `error`: the median
    share by which it misses what was measured; None where nobody knows. `source`: what it was measured on,
    and when.
    """

    base: float
    prefill_token: float = 0.0
    sequence: float = 0.0
    kv_token: float = 0.0
    overhead: float = 0.0
    error: float | None = None
    source: str = ""

    def __post_init__(self) -> None:
        """Raises: ValueError, for what no engine can be."""
        parts = (self.base, self.prefill_token, self.sequence, self.kv_token, self.overhead)
        if any(not 0 <= part < 3600 for part in parts) or not any(parts):
            raise ValueError("a profile's times are seconds, none negative and not all zero")

    def seconds(self, prefill: int, sequences: int, kv: int) -> float:
        """How long a step takes that reads so many prompt tokens, and gives so many sequences a token that
        look back on `kv` tokens together."""
        return self.base + prefill * self.prefill_token + sequences * self.sequence + kv * self.kv_token

    def of(self, batch: Batch) -> float:
        """How long a batch takes."""
        prefill = sequences = kv = 0
        for one, count in batch.tokens.items():
            if (one.computed <= one.prompt and count > 1) or one.computed < one.prompt:
                prefill += count
            else:
                sequences += 1
                kv += one.computed
        return self.seconds(prefill, sequences, kv)


def to_json(profile: EngineProfile) -> dict[str, Any]:
    """The profile as plain values."""
    return asdict(profile)


def from_json(raw: Mapping[str, Any]) -> EngineProfile:
    """The profile in plain values. Raises: ValueError, naming what is unknown or no number."""
    known = {one.name for one in fields(EngineProfile)}
    for name, value in raw.items():
        if name not in known:
            raise ValueError(
                f"unknown field {name!r} of a profile: expected one of {', '.join(sorted(known))}"
            )
        text = name == "source"
        if isinstance(value, bool) or not isinstance(value, str if text else int | float | None):
            raise ValueError(f"{name} of a profile is {value!r}: expected {'a text' if text else 'seconds'}")
    if "base" not in raw:
        raise ValueError("a profile has a base: the seconds of the shortest step")
    return EngineProfile(**raw)
