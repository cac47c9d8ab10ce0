"""Engine profiles that were measured: of which model, on what, with which release, when, and how far they are
off. Source: `data/profiles.toml`.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """One of them. architecture, parameters: the model's, as its config.json has them. hardware: a GPU's key,
    or `cpu`; ranks: of one replica. values: an EngineProfile's fields."""

    key: str
    model: str
    architecture: str
    parameters: int
    dtype: str
    hardware: str
    ranks: int
    version: str
    date: str
    note: str
    values: Mapping[str, Any]


@cache
def profiles() -> Mapping[str, ProfileRow]:
    """All rows, by key."""
    text = files("stoker.catalog").joinpath("data/profiles.toml").read_text(encoding="utf-8")
    return {key: _row(key, raw) for key, raw in tomllib.loads(text).items()}


def _row(key: str, raw: Mapping[str, Any]) -> ProfileRow:
    return ProfileRow(
        key, **{name: value for name, value in raw.items() if name != "profile"}, values=raw["profile"]
    )


def measured(architecture: str, parameters: int, dtype: str, hardware: str, ranks: int) -> ProfileRow | None:
    """The row of such a model on such hardware; None where nobody measured it."""
    for row in profiles().values():
        same = (row.architecture, row.dtype, row.hardware, row.ranks) == (
            architecture,
            dtype,
            hardware,
            ranks,
        )
        if same and abs(row.parameters / max(1, parameters) - 1) < 0.03:
            return row
    return None
