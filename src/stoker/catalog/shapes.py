"""Blueprints: what tensors a model of an architecture has, read from its class in transformers.

Source: `data/shapes/`, a file a model class, which `tools/read_shapes.py` writes.
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

_NAME = re.compile(r"[A-Za-z0-9_]{1,100}")


@cache
def index() -> Mapping[str, Any]:
    """transformers and vLLM that were read, how each architecture of vLLM's registry came out, and the model
    class of each model_type."""
    found: Mapping[str, Any] = json.loads(_text("index") or "{}")
    return found


@cache
def blueprint(architecture: str) -> Mapping[str, Any] | None:
    """The blueprint of a model class; None where there is none."""
    name = index().get("same", {}).get(architecture, architecture)
    text = _text(name) if _NAME.fullmatch(name) and name != "index" else None
    return json.loads(text) if text else None


def of_type(model_type: str) -> str | None:
    """The class of a model that is a part of another, by its model_type."""
    found: str | None = index().get("types", {}).get(model_type)
    return found


def _text(name: str) -> str | None:
    path = files("stoker.catalog").joinpath(f"data/shapes/{name}.json")
    return path.read_text(encoding="utf-8") if path.is_file() else None


def checked(architecture: str) -> tuple[str, float]:
    """How a blueprint came out against its class: exact, within, partly; and the largest relative error."""
    name = index().get("same", {}).get(architecture, architecture)
    row = index().get("checked", {}).get(name)
    return (str(row[0]), float(row[3])) if row else ("unknown", 1.0)
