"""`vllm bench serve` of the engine that stands beside Stoker: random prompts, an even rate (`inf`)."""

import json
import tempfile
from pathlib import Path

from benchmarks.peers.install import program
from benchmarks.peers.load import CHAT, Load, Result, seconds
from benchmarks.peers.tree import run as run_tree

OFFLINE = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "ERROR"}


def run(url: str, model: str, load: Load, tokenizer: str, core: int | None, limit: float) -> Result:
    """Raises: PeerFailed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ran = run_tree(argv(url, model, load, tokenizer, folder), folder, core, limit, OFFLINE)
        said = json.loads((folder / "result.json").read_text())
    return Result(
        completed=said["completed"],
        failed=said["failed"],
        ttft_p50=seconds(said["p50_ttft_ms"]),
        ttft_p99=seconds(said["p99_ttft_ms"]),
        itl_p50=seconds(said["p50_itl_ms"]),
        itl_p99=seconds(said["p99_itl_ms"]),
        tpot_p50=seconds(said["p50_tpot_ms"]),
        streams_per_second=said["request_throughput"],
        tokens_per_second=said["output_throughput"],
        lag_p99=None,
        cpu=ran.cpu,
        wall=ran.wall,
        looks=ran.looks,
    )


def argv(url: str, model: str, load: Load, tokenizer: str, folder: Path) -> list[str]:
    """The command. No request of its own before the load: the server's log has the load alone."""
    words = ["bench", "serve", "--backend", "openai-chat", "--base-url", url, "--endpoint", CHAT]
    words += ["--model", tokenizer, "--served-model-name", model, "--tokenizer", tokenizer]
    words += ["--dataset-name", "random", "--random-input-len", str(load.prompt)]
    words += ["--random-output-len", str(load.output), "--num-prompts", str(load.streams)]
    words += ["--request-rate", str(load.rate), "--burstiness", "inf", "--seed", str(load.seed)]
    words += ["--ready-check-timeout-sec", "0", "--disable-tqdm"]
    words += ["--percentile-metrics", "ttft,tpot,itl", "--metric-percentiles", "50,99"]
    words += ["--save-result", "--result-dir", str(folder), "--result-filename", "result.json"]
    return [str(program("vllm")), *words]
