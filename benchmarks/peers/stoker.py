"""Stoker's own generator, called as a command like the others.

ADAPTER TO BE FILLED IN, in two places marked so: the flags of `stoker bench`, and where the figures stand
in what it prints. Until then, and where this Stoker has no such verb, `NotYet` says so and the benchmarks
go on without it.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.peers.load import Load, Result
from benchmarks.peers.tree import PeerFailed
from benchmarks.peers.tree import run as run_tree

UNKNOWN_VERB = "No such verb 'bench'"


class NotYet(RuntimeError):
    """This Stoker has no `stoker bench`."""


def run(url: str, model: str, load: Load, tokenizer: str, core: int | None, limit: float) -> Result:
    """Raises: PeerFailed, NotYet."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        env = {"STOKER_HOME": str(folder / "home")}
        try:
            ran = run_tree(argv(url, model, load, folder / "run"), folder, core, limit, env)
        except PeerFailed as failed:
            if UNKNOWN_VERB in str(failed):
                raise NotYet("this Stoker has no `stoker bench` yet") from None
            raise
    return read(json.loads(ran.said[ran.said.index("{") :]), ran.cpu, ran.wall)


def argv(url: str, model: str, load: Load, output: Path) -> list[str]:
    """The command. FILL IN (1): the real flags; an even rate, no warm-up, exactly `load.streams` streams."""
    words = ["bench", "--url", url, "--model", model, "--rate", str(load.rate)]
    words += ["--duration", f"{load.seconds}s", "--arrivals", "constant", "--seed", str(load.seed)]
    words += ["--prompt-tokens", str(load.prompt), "--output-tokens", str(load.output)]
    words += ["--output", str(output), "-o", "json"]
    return [sys.executable, "-m", "stoker", *words]


def read(said: dict[str, Any], cpu: float, wall: float) -> Result:
    """Its figures, in seconds. FILL IN (2): the real keys."""
    return Result(
        completed=said["completed"],
        failed=said["failed"],
        ttft_p50=said["ttft"]["p50"],
        ttft_p99=said["ttft"]["p99"],
        itl_p50=said["itl"]["p50"],
        itl_p99=said["itl"]["p99"],
        tpot_p50=said["tpot"]["p50"],
        streams_per_second=said["requests_per_second"],
        tokens_per_second=said["output_tokens_per_second"],
        lag_p99=said["lag"]["p99"],
        cpu=cpu,
        wall=wall,
    )
