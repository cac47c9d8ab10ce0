"""A blueprint against the class it was read from: random configs, counted both ways."""

import random
import time
import warnings
from typing import Any

from shape_tracing import build
from shape_tracing.classes import _structural, has

TRIES = 24
WANTED = 8
SECONDS = 25.0
NULL = object()


def checked(
    cls: Any, config: Any, used: set[tuple[str, str]], count: Any, base: dict[str, Any]
) -> tuple[int, int, float, list[str]]:
    """How many configs came out exactly, of how many, the largest relative error, and what was off.

    `count` gives the parameters of a config.json by the blueprint; None where it cannot. `base` is what the
    class needs to be made at all.
    """
    warnings.simplefilter("ignore")
    rng, until = random.Random(1), time.monotonic() + SECONDS
    exact, total, worst, notes = 0, 0, 0.0, []
    for n in range(TRIES):
        given = _joined(base, {} if n == 0 else variant(config, used, rng))
        try:
            made = type(config)(**given)
            # a class that is given a part's config keeps it
            right = build.counted(cls, made)
        except Exception:  # a config that the class refuses
            continue
        texts = [{**given, "model_type": made.model_type}, as_written(made)]
        for text in texts:
            found = count(text)
            total += 1
            exact += found == right
            worst = max(worst, 0.0 if found is None else abs(found / right - 1))
            if found != right and len(notes) < 4:
                notes.append(
                    f"{'saved' if text is texts[1] else 'short'} {found} for {right}: {str(given)[:300]}"
                )
        if total >= 2 * WANTED or time.monotonic() > until:
            break
    return exact, total, worst, notes


def _joined(base: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    out = {**base, **given}
    for key, value in base.items():
        if isinstance(value, dict) and isinstance(given.get(key), dict):
            out[key] = {**value, **given[key]}
    return out


def as_written(config: Any) -> Any:
    """config.json as transformers writes it."""
    import json

    return json.loads(config.to_json_string(use_diff=False))


def variant(config: Any, used: set[tuple[str, str]], rng: random.Random) -> dict[str, Any]:
    """Some fields of a config, changed."""
    out: dict[str, Any] = {}
    for path, one in build.config_classes(config):
        table = out
        for name in path.split(".") if path else ():
            table = table.setdefault(name, {})
        if path:
            table["model_type"] = one.model_type
        for key in sorted(k for p, k in used if p == path):
            changed = other(key, one, rng)
            if changed is not None:
                table[key] = None if changed is NULL else changed
    return out


def other(key: str, config: Any, rng: random.Random) -> Any:
    """Another value for a field; None where it stays."""
    if not has(config, key):
        return rng.choice((None, None, 64, 128)) if key.endswith("head_dim") else None
    value = config.__dict__.get(key)
    if not _structural(key) or key not in getattr(type(config), "__dataclass_fields__", {}):
        return None
    if isinstance(value, bool):
        return (not value) if rng.random() < 0.25 else None
    if not isinstance(value, int) or value <= 0:
        return None
    if build.stand_in(config, key) is not None and build._optional(config, key) and rng.random() < 0.15:
        return NULL
    if "layers" in key and value > 3:
        return rng.choice((None, value + 1, max(2, value // 2))) if rng.random() < 0.7 else None
    if rng.random() < 0.5:
        return None
    return value * 2 if rng.random() < 0.6 or value % 2 else value // 2
