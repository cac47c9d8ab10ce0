"""What an engine's time goes to, by its profile: what bounds it."""

from collections.abc import Mapping

from stoker.engine.profile import EngineProfile
from stoker.traffic.measures import Summary


def spent(profile: EngineProfile, found: Summary, replicas: float) -> Mapping[str, float]:
    """Shares of a replica's computing time, the largest first: a step's fixed part, what each sequence and
    each token of KV cache adds, and prompts. Empty where nothing was answered."""
    if not found.output.count or not found.concurrency or replicas <= 0:
        return {}
    tokens = found.output_rate / replicas
    at_once = max(1.0, found.concurrency / replicas)
    looked_at = found.input.mean + found.output.mean / 2
    parts = {
        "a step's fixed part": tokens / at_once * profile.base,
        "sequences": tokens * profile.sequence,
        "KV cache": tokens * looked_at * profile.kv_token,
        "prompts": found.input_rate / replicas * profile.prefill_token,
    }
    whole = sum(parts.values())
    if not whole:
        return {}
    return dict(
        sorted(((name, part / whole) for name, part in parts.items() if part), key=lambda one: -one[1])
    )
