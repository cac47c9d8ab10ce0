"""`stoker up` to the first token over bare `vllm serve` with the same options to the first token, both warm.

`python -m benchmarks.start [ROUNDS]`. Target: 1.05 or less.
"""

import shutil
import sys
import tempfile
import time
from statistics import median

from benchmarks.command import fleets, stoker, with_ports
from benchmarks.load import run, together
from benchmarks.serve import BODY, folder, stokers_engine


def bare(model: str) -> float:
    """Seconds from starting vLLM to its first token."""
    begun = time.perf_counter()
    with stokers_engine(model) as port:
        assert run(together(port, 1, {**BODY, "max_tokens": 1}))[0].error is None
        return time.perf_counter() - begun


def with_stoker(home: str) -> float:
    """Seconds from `stoker up` to the first token through the endpoint."""

    def first_token(port: int) -> float:
        sets = ("--set", f"endpoint.port={port}", "--set", "name=bench", "--set", "model.served_name=m")
        begun = time.perf_counter()
        stoker("up", "-d", *sets, home=home)
        assert run(together(port, 1, {**BODY, "max_tokens": 1}))[0].error is None
        return time.perf_counter() - begun

    try:
        return with_ports(first_token)
    finally:
        if fleets(home):
            stoker("down", "--name", "bench", "--now", home=home)


def main(rounds: int) -> None:
    """The two in turn, the ratio pair by pair."""
    model = folder()
    home = tempfile.mkdtemp(prefix="stoker-bench-")
    try:
        with_stoker(home)  # the conversion, once
        pairs = []
        for _ in range(rounds):
            pairs.append((with_stoker(home), bare(model)))
            print(
                f"stoker up {pairs[-1][0]:5.1f} s   vllm serve {pairs[-1][1]:5.1f} s   ratio "
                f"{pairs[-1][0] / pairs[-1][1]:.3f}",
                flush=True,
            )
        print(f"median ratio {median(a / b for a, b in pairs):.3f} (target 1.05)")
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
