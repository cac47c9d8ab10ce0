"""How near the plan's KV cache comes to vLLM's own.

    python -m benchmarks.fit LOGS.tsv CONFIGS     plans against real start-up logs, one row each
    python -m benchmarks.fit --starts [NAME ...]  plans against real starts here: shrunken configs, dummy
    weights

The peer's figures beside the first are those that llm-d-planner publishes (vLLM 0.19 on H100): mean absolute
error of the KV cache 6.7 %, of the maximum concurrency 9.9 %.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from benchmarks.architectures import ARCHITECTURES
from stoker.model.files import ModelFiles
from stoker.model.shape import ModelShape, read_shape
from stoker.planner.cpu import FLOAT_STATES
from stoker.planner.fit import Fit, weigh
from stoker.planner.kv_cache import capacity, groups, pages
from stoker.planner.layout import Layout, stages
from stoker.planner.settings import resolve
from stoker.targets.local.machine import offer
from stoker.units import Bytes

GIB = 1024**3
PEER = {"kv": 6.7, "tokens": 9.9}
KV = 64 * 1024**2  # bytes of the KV cache in the starts here
LENGTH = 4096


def main() -> int:
    """Prints a row a case, and the means."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--starts", action="store_true", help="start vLLM here instead of reading logs")
    parser.add_argument("rest", nargs="*")
    asked = parser.parse_args()
    if asked.starts:
        return starts(asked.rest)
    if len(asked.rest) != 2:
        parser.error("expected the table of logs and the folder of configs, or --starts")
    return logs(Path(asked.rest[0]), Path(asked.rest[1]))


def logs(table: Path, configs: Path) -> int:
    """Every row of the table against the plan of its model, GPU, release and flags."""
    errors: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in csv.DictReader(table.open(), delimiter="\t"):
        config = configs / row["model"].replace("/", "__") / "config.json"
        if not config.exists():
            print(f"{row['id']:>3}  {row['model']:42} skipped: no config.json at hand")
            continue
        fit = planned(row, read_shape(ModelFiles(json.loads(config.read_text()), {})))
        print(f"{row['id']:>3}  {row['model']:42} {row['gpu']:16} {row['vllm_version']:8}", end="")
        for name, here, there in compared(row, fit):
            error = 100 * (here / there - 1)
            errors[f"{row['gpu']}, vLLM {row['vllm_version']}", name].append(abs(error))
            errors["all", name].append(abs(error))
            print(f"  {name} {here:,.2f} for {there:,.2f} ({error:+.2f} %)", end="")
        print()
    print("\nmean absolute error, %; the peer's: KV cache 6.7, concurrency 9.9")
    for (where, name), found in sorted(errors.items(), key=lambda item: item[0][0] == "all"):
        print(f"  {where:42} {name:7} {sum(found) / len(found):6.2f}  ({len(found)} rows)")
    for name, peer in PEER.items():
        mean = sum(errors["all", name]) / max(1, len(errors["all", name]))
        print(f"ratio to the peer's {name} error: {mean / peer:.3f}")
    return 0


def planned(row: dict[str, str], shape: ModelShape) -> Fit:
    """The plan for one row of the table."""
    options: dict[str, Any] = {
        "max-model-len": int(row["max_model_len"]),
        "gpu-memory-utilization": float(row["gpu_mem_util"]),
    }
    how = row["dtype_or_quant"]
    if found := re.match(r"--(dtype|quantization) (\w+)", how):
        options[found[1]] = found[2]
    elif how == "fp16":
        options["dtype"] = "float16"
    if row["kv_cache_dtype"] != "auto":
        options["kv-cache-dtype"] = row["kv_cache_dtype"]
    for flag in ("block-size", "max-num-seqs", "max-num-batched-tokens"):
        if found := re.search(rf"--{flag}[= ](\d+)", row["other_flags"]):
            options[flag] = int(found[1])
    for flag in ("enforce-eager", "language-model-only"):
        if f"--{flag}" in row["other_flags"]:
            options[flag] = True
    layout = Layout(1, int(row["pp"]), int(row["tp"]))
    total = Bytes(int(float(row["gpu_total_gib"]) * GIB))
    settings = resolve(
        options,
        shape,
        row["vllm_version"].split()[0],
        device_memory=total,
        device=row["gpu"].lower(),
        ranks=layout.gpus,
        pipeline=layout.pipeline,
    )
    return weigh(shape, total, layout, settings)


def compared(row: dict[str, str], fit: Fit) -> list[tuple[str, float, float]]:
    """What is in both: name, the plan's, the log's."""
    pairs = (
        ("kv", fit.ranks[0].kv_cache / GIB, row["kv_gib_per_gpu"]),
        ("blocks", fit.held.blocks, row["num_gpu_blocks"]),
        ("tokens", fit.held.tokens, row["kv_tokens"]),
        ("at once", fit.held.concurrency, row["max_concurrency"].rstrip("x")),
    )
    return [(name, float(here), float(there)) for name, here, there in pairs if there]


_START = """
import sys, logging
from vllm import LLM
llm = LLM(model=sys.argv[1], skip_tokenizer_init=True, load_format="dummy", enforce_eager=True,
          dtype="bfloat16", max_model_len=int(sys.argv[2]), kv_cache_memory_bytes=int(sys.argv[3]))
config = llm.llm_engine.vllm_config.cache_config
print("BLOCKS", config.num_gpu_blocks, "of", config.block_size, flush=True)
"""


def starts(names: list[str]) -> int:
    """Starts each architecture here, and compares blocks and tokens."""
    exact = refused = 0
    chosen = names or list(ARCHITECTURES)
    for name in chosen:
        config = ARCHITECTURES[name]
        out = started(config)
        blocks = re.search(r"BLOCKS (\d+) of (\d+)", out)
        tokens = re.search(r"KV cache size: ([\d,]+) tokens", out)
        if not blocks or not tokens:
            refused += 1
            print(f"{name:20} refused: {last_error(out)}", flush=True)
            continue
        held = predicted(config, float_states=FLOAT_STATES in offer().features)
        real = (int(blocks[1]), int(tokens[1].replace(",", "")))
        same = held == real
        exact += same
        print(
            f"{name:20} blocks {held[0]:,} for {real[0]:,}, tokens {held[1]:,} for "
            f"{real[1]:,}{'' if same else '   DIFFERS'}",
            flush=True,
        )
    print(f"{exact} of {len(chosen) - refused} exact, {refused} refused by the CPU back-end")
    return 0


def predicted(config: dict[str, Any], *, float_states: bool = False) -> tuple[int, int]:
    """Blocks and tokens, as the plan has them. float_states: on a CPU that carries states in float32."""
    shape = read_shape(ModelFiles(config, {}))
    settings = resolve(
        {"max-model-len": LENGTH, "kv-cache-memory-bytes": KV, "dtype": "bfloat16"}, shape, "0.32.0", cpu=True
    )
    # The library's defaults, not the server's: twice the tokens a batch.
    settings = dataclasses.replace(settings, max_num_batched_tokens=4096, float_states=float_states)
    laid = groups(pages(shape.decoder, settings, 1))
    held = capacity(laid, [(stages(shape.layers, 1)[0], Bytes(KV))], settings)
    return held.blocks, held.tokens


def started(config: dict[str, Any]) -> str:
    """Everything that vLLM says of a start."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.json").write_text(json.dumps(config))
        env = os.environ | {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "INFO"}
        done = subprocess.run(
            [sys.executable, "-c", _START, folder, str(LENGTH), str(KV)],
            env=env,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    return done.stdout + done.stderr


def last_error(out: str) -> str:
    """The line that says why."""
    lines = [line for line in out.splitlines() if re.search(r"\w(Error|Exception): ", line)]
    lines = [line for line in lines if "See root cause above" not in line] or lines
    return (lines[-1] if lines else out.strip().splitlines()[-1])[:200]


if __name__ == "__main__":
    sys.exit(main())
