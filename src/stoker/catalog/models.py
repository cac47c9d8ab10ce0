"""Shapes of well-known public models, for a plan where the hub cannot be asked.

Source: `data/models.json`, each row with its own; `tools/models.py` writes it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A repository of the hub: the fields of its config.json that bear on its shape, their source and day.

    No revision stands there: published models keep their dimensions, and a copy does not always say of which
    it is.
    """

    repo: str
    config: Mapping[str, Any]
    source: str
    date: str


@cache
def models() -> Mapping[str, KnownModel]:
    """All models of the catalog, by repository."""
    raw = json.loads(files("stoker.catalog").joinpath("data/models.json").read_text(encoding="utf-8"))
    return {
        repo: KnownModel(repo, row["config"], raw["sources"][row["source"]], raw["date"])
        for repo, row in raw["models"].items()
    }


def model(repo: str) -> KnownModel | None:
    """The model of that repository, however its letters are written; None where the catalog has none."""
    wanted = repo.lower()
    return next((one for one in models().values() if one.repo.lower() == wanted), None)


def called(name: str) -> KnownModel | None:
    """The model whose repository ends in this name, as people call it: `gemma-3-27b-it`."""
    wanted = name.lower()
    return next((one for one in models().values() if one.repo.lower().rpartition("/")[2] == wanted), None)
