"""The plan's memory against what vLLM measured at real starts: every figure, its error, and its own band.

    python -m benchmarks.memory DATA    a folder with kv/*.tsv (start-up logs), gpu/*.tsv (one GPU's own
    figures)                                     and configs/

A row a start: what was planned and what was real, how far apart they are, the band that the plan itself
states, and whether the real figure lies within it. A plan that is right by luck and says so is worse than
one that is openly unsure: `in` counts as much as the error. Target: 2 % for releases from 0.11 on, 1 % for
one GPU whose bytes were read off the worker; nothing outside its band by more than a half of it.
"""

import argparse
import csv
import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.fit import planned
from stoker.catalog.memory import numbers
from stoker.model.files import ModelFiles
from stoker.model.shape import read_shape
from stoker.planner.fit import Fit, weigh
from stoker.planner.layout import Layout
from stoker.planner.settings import resolve
from stoker.units import Bytes

GIB = 1024**3
# Items of a plan, and the column that a table of one GPU has them in.
ITEMS = {"weights": "m_weights", "activations": "m_act", "other": "m_other"}


@dataclass(frozen=True)
class Figure:
    """One figure of one start; band as a share of what was planned."""

    start: str
    name: str
    planned: float
    real: float
    band: float
    group: str

    @property
    def error(self) -> float:
        """Planned over real, as a share."""
        return self.planned / self.real - 1

    @property
    def outside(self) -> float:
        """How far beyond the band the real figure lies, in bands; 0 within it. 0.01 GiB is a log's
        rounding."""
        beyond = abs(self.real - self.planned) - self.band * self.planned
        rounded = 0.006 if self.name == "KV cache" else 0.5
        return max(0.0, beyond - rounded) / max(1e-9, self.band * self.planned)


def main() -> int:
    """Prints a row a figure, then the sums."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    data = parser.parse_args().data
    found = [*_logs(data), *_one_gpu(data)]
    for one in found:
        held = "in" if not one.outside else f"OUT by {one.outside:.1f} bands"
        print(
            f"{one.start:58} {one.name:12} {one.planned:14,.2f} for {one.real:14,.2f}  {one.error:+7.2%}"
            f"  +-{one.band:.2%}  {held}"
        )
    _sums(found)
    return 0


def _sums(found: list[Figure]) -> None:
    groups: dict[tuple[str, str], list[Figure]] = defaultdict(list)
    for one in found:
        groups[one.group, one.name].append(one)
    print(f"\n{'':26} {'':12} {'rows':>4} {'mean error':>10} {'worst':>8} {'in':>4} {'beyond 1.5 bands':>16}")
    for (group, name), members in sorted(groups.items()):
        errors = [abs(one.error) for one in members]
        held = sum(not one.outside for one in members)
        far = sum(one.outside > 0.5 for one in members)
        print(
            f"{group:26} {name:12} {len(members):4} {sum(errors) / len(errors):10.2%} {max(errors):8.2%} "
            f"{held:4} {far:16}"
        )


def _logs(data: Path) -> Iterator[Figure]:
    for table in sorted((data / "kv").glob("*.tsv")):
        for row in csv.DictReader(table.open(encoding="utf-8"), delimiter="\t"):
            config = data / "configs" / row["model"].replace("/", "__") / "config.json"
            if config.exists():
                yield from _log_row(row, planned(row, read_shape(ModelFiles(_read(config), {}))))


def _log_row(row: dict[str, str], fit: Fit) -> Iterator[Figure]:
    version = row["vllm_version"].split()[0]
    group = "0.11 and newer" if numbers(version) >= (0, 11) else "older"
    model, gpu = row["model"].split("/")[-1], row["gpu"].split(" (")[0]
    start = f"{row['id']:>2} {model}, {gpu} x {row['n_gpu']}, {version}"
    memory = fit.ranks[0]  # whose log it is
    share = memory.band / max(1, memory.kv_cache)
    real = {
        "KV cache": (memory.kv_cache / GIB, row["kv_gib_per_gpu"]),
        "blocks": (fit.held.blocks, row["num_gpu_blocks"]),
        "tokens": (fit.held.tokens, row["kv_tokens"]),
    }
    for name, (here, there) in real.items():
        if there:
            yield Figure(start, name, here, float(there), share, group)


# The configs of a table of one GPU: the published one's folder, and what was changed in it.
_UNSCALED = {"rope_scaling": {"rope_type": "linear", "factor": 1.0}}
CASES: dict[str, tuple[str, dict[str, Any], int]] = {
    "qwen3-8b": ("Qwen__Qwen3-8B", {}, 32768),
    "llama-3.1-8b": ("meta-llama__Llama-3.1-8B-Instruct", {}, 32768),
    "gemma-3-12b": ("google__gemma-3-12b-it", _UNSCALED, 32768),
    "gemma-3-27b": ("google__gemma-3-27b-it", _UNSCALED, 32768),
    "gpt-oss-20b": ("openai__gpt-oss-20b", {}, 131072),
    "gpt-oss-120b": ("openai__gpt-oss-120b", {}, 131072),
    "phi-4": ("microsoft__phi-4", {}, 16384),
    "qwen3-30b-a3b": ("Qwen__Qwen3-30B-A3B", {}, 32768),
    "deepseek-v3-5l": (
        "deepseek-ai__DeepSeek-V3",
        {"num_hidden_layers": 5, "quantization_config": None, "num_nextn_predict_layers": 0},
        16384,
    ),
}  # fmt: skip


def _one_gpu(data: Path) -> Iterator[Figure]:
    for table in sorted((data / "gpu").glob("*.tsv")):
        version = table.stem.rpartition("vllm-")[2]
        for row in csv.DictReader(table.open(encoding="utf-8"), delimiter="\t"):
            named = row["case"].partition("(")[0].removesuffix("-eager")
            if named in CASES:
                yield from _gpu_row(row, _planned_here(data, row, CASES[named], version), version)


def _planned_here(
    data: Path, row: dict[str, str], case: tuple[str, dict[str, Any], int], version: str
) -> Fit:
    folder, changed, length = case
    config = _read(data / "configs" / folder / "config.json")
    if "text_config" in config and "rope_scaling" in changed:
        config["text_config"] |= changed
    config |= changed
    shape = read_shape(ModelFiles(config, {}))
    options = {"max-model-len": length, "max-num-batched-tokens": 8192, "max-num-seqs": 1024}
    options |= {"enforce-eager": True} if row["eager"] == "True" else {}
    total = Bytes(int(139.80 * GIB))
    settings = resolve(options, shape, version, device_memory=total, device=row["gpu"].lower())
    return weigh(shape, total, Layout(), settings)


def _gpu_row(row: dict[str, str], fit: Fit, version: str) -> Iterator[Figure]:
    memory, start, group = fit.tightest, f"{row['case']}, {row['gpu']}, {version}", f"one {row['gpu']}"
    for name, column in ITEMS.items():
        item = next(item for item in memory.items if item.name == name)
        yield Figure(start, name, item.size / GIB, float(row[column]), item.band / max(1, item.size), group)
    share = memory.band / max(1, memory.kv_cache)
    yield Figure(start, "KV cache", memory.kv_cache / GIB, float(row["m_kv"]), share, group)
    yield Figure(start, "blocks", fit.held.blocks, float(row["m_blocks"]), share, group)
    yield Figure(start, "tokens", fit.held.tokens, float(row["m_tokens"]), share, group)


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


if __name__ == "__main__":
    sys.exit(main())
