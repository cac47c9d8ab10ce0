"""Locust: a closed loop of users, each at a constant rate; what is timed of a stream is in
`locustfile.py`."""

import json
import math
import tempfile
from pathlib import Path

from benchmarks.peers.install import program
from benchmarks.peers.load import Load, Result, seconds
from benchmarks.peers.tree import run as run_tree

FILE = Path(__file__).with_name("locustfile.py")
READY = 4.0  # seconds that it is given to load and to start its users: its clock runs meanwhile


def run(url: str, model: str, load: Load, tokenizer: str, core: int | None, limit: float) -> Result:
    """Single gaps are not timed: an event of Locust's own a token would cost more than the token.

    Raises: PeerFailed.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asked = {"model": model, "prompt": load.prompt, "output": load.output, "rate": load.rate}
        asked |= {"users": users(load), "streams": load.streams, "answer": load.answer}
        env = {"KNOWN_LOAD": json.dumps(asked), "KNOWN_SAID": str(folder / "said.json")}
        ran = run_tree(argv(url, load), folder, core, limit, env)
        said = json.loads((folder / "said.json").read_text())
    whole, first, token = (said.get(name, {}) for name in ("chat", "first token", "time per output token"))
    return Result(
        completed=whole.get("requests", 0) - whole.get("failures", 0),
        failed=whole.get("failures", 0),
        ttft_p50=seconds(first.get("p50")),
        ttft_p99=seconds(first.get("p99")),
        itl_p50=None,
        itl_p99=None,
        tpot_p50=seconds(token.get("p50")),
        streams_per_second=whole.get("rate"),
        tokens_per_second=None,
        lag_p99=None,
        cpu=ran.cpu,
        wall=ran.wall,
        looks=ran.looks,
    )


def users(load: Load) -> int:
    """So many that none has to wait for its own answer."""
    return math.ceil(load.rate * load.answer)


def argv(url: str, load: Load) -> list[str]:
    """The command: all users at once; the file spreads their first requests and ends the run."""
    limit = f"{math.ceil(load.seconds + 2 * load.answer + READY)}s"
    count = str(users(load))
    words = ["--headless", "--locustfile", str(FILE), "--host", url, "--users", count, "--spawn-rate", count]
    words += ["--run-time", limit, "--loglevel", "WARNING", "--exit-code-on-error", "0"]
    return [str(program("locust")), *words]
