"""EngineProfile: how long an engine's step takes, from what the step computes.

A step takes `base` seconds, and more for each prompt token that it reads, each sequence that it gives a
token, and each token of KV cache that those look back on. Three things bend the line on a GPU: a step that
reads a prompt has a shortest time of its own, one of more tokens than its graphs were captured for (512, on
an H200) a longer one, and attention makes long prompts cost more than their tokens. `error` says by how much
it misses what was measured.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from stoker.bounds import shown
from stoker.engine.scheduler import Batch


@dataclass(frozen=True, slots=True)
class EngineProfile:
    """Seconds a step: `base`, and a `prefill_token`, a decoding `sequence`, a `kv_token` each.

    `least`: of any step, at least, where few sequences take as long as one. `overhead`: seconds that a
    request takes beside the engine's steps (its API process). `prefill_least`: of a step that reads a prompt,
    at least; `prefill_free`: prompt tokens that cost nothing, as their arithmetic
    is done while weights are read; `eager_least`: of one of more than `graph_tokens` tokens.
    `prefill_pair`: of each prompt token for each token before it. `api_token`: of each token in the API
    process, which serves one after another. `api_wait`: that a request takes longer in it for each that is
    answered meanwhile. `shared`: the share by which a step takes longer for each other
    replica of the same machine that computes meanwhile. `error`: the median share by which it misses what was
    measured; None where nobody knows. `source`: what it was measured on, and when.
    """

    base: float
    prefill_token: float = 0.0
    sequence: float = 0.0
    kv_token: float = 0.0
    overhead: float = 0.0
    prefill_least: float = 0.0
    prefill_pair: float = 0.0
    prefill_free: int = 0
    eager_least: float = 0.0
    graph_tokens: int = 0
    api_token: float = 0.0
    api_wait: float = 0.0
    least: float = 0.0
    shared: float = 0.0
    error: float | None = None
    source: str = ""

    def __post_init__(self) -> None:
        """Raises: ValueError, for what no engine can be."""
        step = (self.base, self.prefill_token, self.sequence, self.kv_token, self.overhead)
        parts = (
            *step,
            self.prefill_least,
            self.prefill_pair,
            self.eager_least,
            self.api_token,
            self.api_wait,
            self.least,
        )
        if any(not 0 <= part < 3600 for part in parts) or not any(parts):
            raise ValueError("a profile's times are seconds, none negative and not all zero")
        if not 0 <= self.shared < 100:
            raise ValueError("a profile's shared is a share of a step, such as 0.2")
        counts = (self.prefill_free, self.graph_tokens)
        if any(isinstance(one, bool) or not isinstance(one, int) or one < 0 for one in counts):
            raise ValueError("prefill_free and graph_tokens are whole numbers of tokens, none negative")
        if self.error is not None and not 0 <= self.error < math.inf:
            raise ValueError("a profile's error is a share, such as 0.05")

    def seconds(self, prefill: int, sequences: int, kv: int, pairs: float = 0.0) -> float:
        """How long a step takes that reads so many prompt tokens, and gives so many sequences a token that
        look back on `kv` tokens together; pairs: of prompt tokens with those before them."""
        took = self.linear(sequences, kv)
        if prefill:
            took += max(0, prefill - self.prefill_free) * self.prefill_token + pairs * self.prefill_pair
            took = max(took, self.prefill_least)
        took = max(took, self.least)
        return max(took, self.eager_least) if prefill + sequences > self.graph_tokens else took

    def linear(self, sequences: int, kv: int) -> float:
        """What a step takes that reads no prompt, where no least time holds."""
        return self.base + sequences * self.sequence + kv * self.kv_token

    def of(self, batch: Batch, sequences: int = 0, kv: int = 0) -> float:
        """How long a batch takes. sequences, kv: of those that decode in it without being named."""
        prefill = 0
        pairs = 0.0
        for one, count in batch.tokens.items():
            if count > 1 or one.computed < one.prompt:
                prefill += count
                pairs += count * (one.computed - count / 2)
            else:
                sequences += 1
                kv += one.computed
        return self.seconds(prefill, sequences, kv, pairs)


def to_json(profile: EngineProfile) -> dict[str, Any]:
    """The profile as plain values."""
    return asdict(profile)


def from_json(raw: Mapping[str, Any]) -> EngineProfile:
    """The profile in plain values. Raises: ValueError, naming what is unknown or no number."""
    known = {one.name for one in fields(EngineProfile)}
    for name, value in raw.items():
        if name not in known:
            raise ValueError(
                f"unknown field {shown(name)} of a profile: expected one of {', '.join(sorted(known))}"
            )
        text = name == "source"
        if isinstance(value, bool) or not isinstance(value, str if text else int | float | None):
            raise ValueError(
                f"{name} of a profile is {shown(value)}: expected {'a text' if text else 'seconds'}"
            )
    if "base" not in raw:
        raise ValueError("a profile has a base: the seconds of the shortest step")
    return EngineProfile(**raw)
