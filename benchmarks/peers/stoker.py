"""Stoker's own generator, called as a command like the others: one worker, no warm-up."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.peers.load import Load, Result
from benchmarks.peers.tree import PeerFailed, Ran
from benchmarks.peers.tree import run as run_tree

UNKNOWN_VERB = "No such verb 'bench'"
SPOILT = 1  # its exit code of a run that it does not believe itself: the figures are there


class NotYet(RuntimeError):
    """This Stoker has no `stoker bench`."""


def run(url: str, model: str, load: Load, tokenizer: str, core: int | None, limit: float) -> Result:
    """Raises: PeerFailed, NotYet."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        env = {"STOKER_HOME": str(folder / "home")}
        try:
            ran = run_tree(argv(url, model, load, folder / "run"), folder, core, limit, env, (0, SPOILT))
        except PeerFailed as failed:
            if UNKNOWN_VERB in str(failed):
                raise NotYet("this Stoker has no `stoker bench`") from None
            raise
    return read(document(ran.said), ran)


def argv(url: str, model: str, load: Load, results: Path) -> list[str]:
    """The command."""
    words = ["bench", "--url", url, "--model", model, "--rate", str(load.rate), "--arrivals", "constant"]
    words += ["--duration", f"{load.seconds}s", "--warmup", "0s", "--seed", str(load.seed)]
    words += ["--input-len", str(load.prompt), "--output-len", str(load.output), "--workers", "1"]
    words += ["--results", str(results), "-o", "json"]
    return [sys.executable, "-m", "stoker", *words]


def document(said: str) -> dict[str, Any]:
    """The JSON among what it printed: its progress is there as well. Raises: PeerFailed."""
    at = said.find("\n{\n") + 1 if not said.startswith("{") else 0
    try:
        found: dict[str, Any] = json.JSONDecoder().raw_decode(said, at)[0]
    except json.JSONDecodeError:
        raise PeerFailed(f"`stoker bench` printed no figures:\n{said[-500:]}") from None
    return found


def read(said: dict[str, Any], ran: Ran) -> Result:
    """Its figures. Its time to first token counts from when a request was due; for the comparison it is the
    one from when it was sent, as the others have it: what a request was late is told beside it."""
    summary = said["summary"]
    ttft, itl, tpot, lag = (summary[name] or {} for name in ("ttft_sent", "itl", "tpot", "lag"))
    return Result(
        completed=summary["requests"] - summary["failed"],
        failed=summary["failed"],
        ttft_p50=ttft.get("p50"),
        ttft_p99=ttft.get("p99"),
        itl_p50=itl.get("p50"),
        itl_p99=itl.get("p99"),
        tpot_p50=tpot.get("p50"),
        streams_per_second=summary["completed"],
        tokens_per_second=summary["output_rate"],
        lag_p99=lag.get("p99"),
        cpu=ran.cpu,
        wall=ran.wall,
        looks=ran.looks,
    )
