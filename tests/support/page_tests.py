"""Load tests of the pages, as they are run here: short, beside the fleet of the test, with files that are there."""

from pathlib import Path

from tests.support import pages

SHORT = ("--duration", "2s", "--warmup", "0s", "--grace", "20s")
ELSEWHERE = {"--quick", "--sweep", "--in-cluster"}  # minutes, or a cluster: they have tests of their own
PEERS = pages.ROOT / "tests" / "data" / "peers"
TRACE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,37,4
2023-11-16 18:15:47.6805900,39,10
"""


def files(folder: Path) -> None:
    """What the pages name."""
    (folder / "AzureLLMInferenceTrace_conv.csv").write_text(TRACE)
    (folder / "workload.yaml").write_text("input_len: 32\noutput_len: 8\n")
    (folder / "load.yaml").write_text("users: 2\ninput_len: 32\noutput_len: 8\n")
    (folder / "result.json").write_bytes((PEERS / "vllm-bench-0.32.0-detailed.json").read_bytes())
    (folder / "benchmarks.json").write_bytes((PEERS / "guidellm-0.8.1.json").read_bytes())


def bench(words: list[str], folder: Path, url: str) -> list[str]:
    """`stoker bench` as it is run: where a page measures into the same directory again, into another one."""
    if ELSEWHERE & set(words):
        return ["bench", "--help"]
    words = [url if word.startswith("http://") else word.replace("env:KEY", "env:SHOP_KEY") for word in words]
    if "--results" in words and (folder / words[words.index("--results") + 1]).exists():
        words = [*words, "--results", f"again-{len(list(folder.iterdir()))}"]
    words = [*words, *(("--model", "model") if "--url" in words else ())]
    short = () if "--trace" in words else ("--input-len", "32", "--output-len", "8")
    own = {"--input-len", "--output-len", "--prompts"} & set(words) or "workload.yaml" in words
    return [*words, *(() if own else short), *SHORT]


def report(words: list[str], folder: Path) -> list[str]:
    """`stoker report` of the directories that the commands before it have made."""
    if len(words) == 1 or any(word.startswith("sweep") for word in words):
        return ["report", "--help"]
    known = {"model": "before/", "stoker-runs/shop-20261128-101500": "before/", "A": "before/", "B": "after/"}
    return [known.get(word, word) for word in words]


def simulate(words: list[str], folder: Path) -> list[str]:
    """`stoker simulate` as it is run: with a profile, which engines of the test have none of, and once."""
    known = {"sweep/": "h200-llama-8b", "10m": "20s", "17m": "20s", "20m": "20s", "5m": "20s"}
    words = [known.get(word, word) for word in words]
    profile = () if "--profile" in words else ("--profile", "h200-llama-8b")
    short = () if {"--trace", "--duration"} & set(words) else ("--duration", "20s")
    seeds = () if "--seeds" in words else ("--seeds", "1")
    if "--results" in words and (folder / words[words.index("--results") + 1]).exists():
        words = [*words, "--results", f"again-{len(list(folder.iterdir()))}"]
    return [*words, *profile, *short, *seeds]
