"""The kinds of input: what a case is made of, and what reads it. A further kind is a further row of KINDS."""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.fuzz import folders, specs, states, texts
from stoker.errors import StokerError


@dataclass(frozen=True)
class Kind:
    """make: a case by its chance; read: whatever reads it, which may raise StokerErrors alone."""

    make: Callable[[random.Random], Any]
    read: Callable[[Any], None]


# the name of a kind, and how it is made and read
KINDS: Mapping[str, Kind] = {
    "spec": Kind(specs.make, specs.read),
    "manifest": Kind(texts.make_manifest, texts.read_manifest),
    "dashboard": Kind(texts.make_dashboard, texts.read_dashboard),
    "model": Kind(folders.make, folders.read),
    "state": Kind(states.make, states.read),
}


def run(name: str, number: int) -> str | None:
    """One case: None, or what was wrong with how it ended."""
    kind = KINDS[name]
    case = kind.make(random.Random(f"{name}:{number}"))
    try:
        kind.read(case)
    except StokerError:
        return None
    except Exception as error:  # whatever it is, it is a find
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{place.filename.rpartition('/src/')[2]}:{place.lineno}"
        return f"{type(error).__name__}: {str(error)[:300]} at {where}"
    return None
