"""Stoker's own generator, called as a command like the others."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.peers.load import Load, Result
from benchmarks.peers.tree import run as run_tree


def run(url: str, model: str, load: Load, tokenizer: str, core: int | None, limit: float) -> Result:
    """Raises: PeerFailed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        env = {"STOKER_HOME": str(folder / "home")}
        # 1: what it measured does not hold, as where streams were broken on purpose or it was late
        ran = run_tree(argv(url, model, load, folder / "run"), folder, core, limit, env, codes=(0, 1))
    found, _ = json.JSONDecoder().raw_decode(ran.said, ran.said.index("{\n"))
    return read(found, ran.cpu, ran.wall)


def argv(url: str, model: str, load: Load, results: Path) -> list[str]:
    """The command: an even rate, no warm-up, exactly `load.streams` streams."""
    words = ["bench", "--url", url, "--model", model, "--rate", f"{load.rate:.6f}", "--arrivals", "constant"]
    words += ["--requests", str(load.streams), "--warmup", "0s", "--seed", str(load.seed)]
    words += ["--input-len", str(load.prompt), "--output-len", str(load.output)]
    words += ["--results", str(results), "-o", "json"]
    return [sys.executable, "-m", "stoker", *words]


def read(said: dict[str, Any], cpu: float, wall: float) -> Result:
    """Its figures, in seconds. Times to first token from when a request was sent, as the others count."""
    found = said["summary"]
    return Result(
        completed=found["requests"] - found["failed"],
        failed=found["failed"],
        ttft_p50=found["ttft_sent"]["p50"],
        ttft_p99=found["ttft_sent"]["p99"],
        itl_p50=found["itl"]["p50"],
        itl_p99=found["itl"]["p99"],
        tpot_p50=found["tpot"]["p50"],
        streams_per_second=found["completed"],
        tokens_per_second=found["output_rate"],
        lag_p99=found["lag"]["p99"],
        cpu=cpu,
        wall=wall,
    )
