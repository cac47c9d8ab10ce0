"""Room for LoRA adapters: the smallest rank that a release of vLLM takes and all of them fit in.

Source: the choices of `--max-lora-rank`, by release.
"""

from collections.abc import Mapping
from typing import Any

from stoker.catalog import vllm
from stoker.errors import UsageError

RANK = "max-lora-rank"


def lora_rank(version: str, ranks: Mapping[str, int]) -> int:
    """The rank to ask for, of adapters by name. Raises: UsageError, for one above the largest."""
    option = vllm.nearest_release(version).option(RANK)
    choices = sorted(int(one) for one in (option.choices if option else ()) if one.isdigit()) or [512]
    name, rank = max(ranks.items(), key=lambda pair: pair[1])
    fits = [choice for choice in choices if choice >= rank]
    if not fits:
        raise UsageError(
            f"the adapter {name!r} has rank {rank}",
            at="model.adapters",
            why=f"vLLM {version} takes {choices[-1]} at most",
            fix="merge it into the model's weights",
            rule="lora-rank",
        )
    return fits[0]


def check_rank(version: str, options: Mapping[str, Any], ranks: Mapping[str, int]) -> None:
    """Raises: UsageError, where the rank that the spec gives is below an adapter's."""
    given = options.get(RANK)
    if given is None or not ranks:
        return
    name, rank = max(ranks.items(), key=lambda pair: pair[1])
    if rank > int(given):
        raise UsageError(
            f"{RANK} {given} is below the rank of the adapter {name!r}",
            at=f"engine.{RANK}",
            why=f"it has rank {rank}",
            fix=f"{RANK}: {lora_rank(version, ranks)}, or leave it out",
            rule="lora-rank",
        )
