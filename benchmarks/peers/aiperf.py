"""aiperf: synthetic prompts, arrival pattern `constant`, summaries alone."""

import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.peers.install import program
from benchmarks.peers.load import Load, Result, seconds
from benchmarks.peers.tree import run as run_tree

# With HF_HUB_OFFLINE set, to whatever, it refuses a tokenizer in a folder.
ONLINE = {"HF_HUB_OFFLINE": None, "TRANSFORMERS_OFFLINE": None}


def run(url: str, model: str, load: Load, tokenizer: str, core: int | None, limit: float) -> Result:
    """Its ITL is a stream's mean; `inter_chunk_latency` are the single gaps, and what is taken here.

    Raises: PeerFailed.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ran = run_tree(argv(url, model, load, tokenizer, folder), folder, core, limit, ONLINE)
        said = json.loads(next(folder.rglob("profile_export_aiperf.json")).read_text())
    return Result(
        completed=round(_figure(said, "request_count", "avg") or 0),
        failed=round(_figure(said, "error_request_count", "avg") or 0),
        ttft_p50=seconds(_figure(said, "time_to_first_token", "p50")),
        ttft_p99=seconds(_figure(said, "time_to_first_token", "p99")),
        itl_p50=seconds(_figure(said, "inter_chunk_latency", "p50")),
        itl_p99=seconds(_figure(said, "inter_chunk_latency", "p99")),
        tpot_p50=seconds(_figure(said, "inter_token_latency", "p50")),
        streams_per_second=_figure(said, "request_throughput", "avg"),
        tokens_per_second=_figure(said, "output_token_throughput", "avg"),
        lag_p99=None,
        cpu=ran.cpu,
        wall=ran.wall,
        looks=ran.looks,
    )


def _figure(said: dict[str, Any], metric: str, which: str) -> float | None:
    value = (said.get(metric) or {}).get(which)
    return None if value is None else float(value)


def argv(url: str, model: str, load: Load, tokenizer: str, folder: Path) -> list[str]:
    """The command."""
    words = ["profile", "--model", model, "--tokenizer", tokenizer, "--url", url]
    words += ["--endpoint-type", "chat", "--streaming", "--extra-inputs", "ignore_eos:true"]
    words += ["--request-rate", str(load.rate), "--arrival-pattern", "constant"]
    words += ["--request-count", str(load.streams), "--isl", str(load.prompt), "--osl", str(load.output)]
    words += ["--random-seed", str(load.seed), "--output-artifact-dir", str(folder)]
    words += ["--export-level", "summary", "--ui", "none", "--no-server-metrics", "--no-gpu-telemetry"]
    return [str(program("aiperf")), *words]
