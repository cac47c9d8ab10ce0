"""guidellm: synthetic text, profile `constant`, as many requests as are asked for."""

import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.peers.install import program
from benchmarks.peers.load import Load, Result, seconds
from benchmarks.peers.tree import run as run_tree

OFFLINE = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


def run(url: str, model: str, load: Load, tokenizer: str, core: int | None, limit: float) -> Result:
    """Its ITL is a stream's mean, what others call TPOT: it has no figures of single gaps. Raises:
    PeerFailed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ran = run_tree(argv(url, model, load, tokenizer, folder), folder, core, limit, OFFLINE)
        said = json.loads((folder / "benchmarks.json").read_text())["benchmarks"][0]["metrics"]
    totals = said["request_totals"]
    return Result(
        completed=totals["successful"],
        failed=totals["errored"] + totals["incomplete"],
        ttft_p50=seconds(_percentile(said, "time_to_first_token_ms", "p50")),
        ttft_p99=seconds(_percentile(said, "time_to_first_token_ms", "p99")),
        itl_p50=seconds(_percentile(said, "inter_token_latency_ms", "p50")),
        itl_p99=seconds(_percentile(said, "inter_token_latency_ms", "p99")),
        tpot_p50=seconds(_percentile(said, "inter_token_latency_ms", "p50")),
        streams_per_second=said["requests_per_second"]["successful"]["mean"],
        tokens_per_second=said["output_tokens_per_second"]["successful"]["mean"],
        lag_p99=_percentile(said, "request_dispatch_delay", "p99"),
        cpu=ran.cpu,
        wall=ran.wall,
        looks=ran.looks,
    )


def _percentile(said: dict[str, Any], metric: str, which: str) -> float | None:
    found = (said.get(metric) or {}).get("successful") or {}
    value = (found.get("percentiles") or {}).get(which)
    return None if value is None else float(value)


def argv(url: str, model: str, load: Load, tokenizer: str, folder: Path) -> list[str]:
    """The command."""
    words = ["run", "--backend", f"kind=openai_http,target={url},model={model}"]
    words += ["--profile", f"kind=constant,rate={load.rate}"]
    words += ["--constraint", f"kind=max_requests,count={load.streams}"]
    words += ["--tokenizer", f"kind=huggingface_auto,model={tokenizer}"]
    words += ["--data", f"kind=synthetic_text,prompt_tokens={load.prompt},output_tokens={load.output}"]
    words += ["--seed", f"kind=static,value={load.seed}", "--metrics", "kind=generative,sample_size=0"]
    words += ["--output", f"kind=json,path={folder / 'benchmarks.json'}", "--disable-console"]
    return [str(program("guidellm")), *words]
