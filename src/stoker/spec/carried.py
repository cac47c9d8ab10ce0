"""Options of the engine that name files, and where a cluster's pods find them."""

import json
from collections.abc import Mapping
from typing import Any

FILES = "/etc/stoker-files"  # in a pod
# Each names one text; a value with a brace is the text itself.
TEXTS = ("chat-template", "tool-parser-plugin", "reasoning-parser-plugin", "log-config-file")
# Each names a folder, a repository of the hub, or one of these words.
FOLDERS = {
    "tokenizer": frozenset[str](),
    "hf-config-path": frozenset[str](),
    "generation-config": frozenset({"auto", "vllm"}),
}
DRAFT = "speculative-config"  # its `model` is a folder or a repository with weights


def repositories(options: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Options that name a repository of the hub beside the model's own, with its name."""
    found = [(name, str(options[name])) for name in FOLDERS if name in options]
    given = options.get(DRAFT)
    try:
        table = json.loads(given) if isinstance(given, str) else given
    except ValueError:
        table = None
    if isinstance(table, dict) and isinstance(table.get("model"), str):
        found.append((DRAFT, table["model"]))
    return tuple((name, value) for name, value in found if is_repository(value, name))


def is_repository(value: str, name: str = "") -> bool:
    """Whether it has the form of a hub repository: one slash at most, and no path's beginning."""
    return (
        bool(value)
        and not value.startswith((".", "/", "~"))
        and value.count("/") <= 1
        and value not in FOLDERS.get(name, ())
    )
