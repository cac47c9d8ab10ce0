"""The endpoint's choice of a replica against round robin and against vllm-router's cache-aware policy.

`python -m benchmarks.routing [--rounds N] [--seconds S]`: conversations of several turns that share
beginnings, sent by `stoker bench` over three simulated engines with a profile in which reading a prompt costs
most; each way in turn, on engines that have just started. Targets: time to first token and tokens/s 1.3 times
better than round robin, at least equal to the cache-aware policy.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.gateway import ROUTER
from benchmarks.load import answers, free_port, gateway, process

PROFILE = {"base": 0.01, "prefill_token": 0.0001, "sequence": 0.0004, "kv_token": 2e-8}
KV_BLOCKS = 2500  # of 16 tokens: 40,000 tokens a replica, a third of what all conversations hold
REPLICAS = 3
WORDS = {
    "users": "18",
    "prefix": "8x1024",
    "input_len": "1200..1600",
    "output_len": "30..90",
    "turns": "3..7",
    "think_time": "0.5s",
    "warmup": "5s",
    "seed": "7",
}


@contextlib.contextmanager
def engines() -> Iterator[list[int]]:
    """Three simulated engines that have seen nothing yet."""
    with contextlib.ExitStack() as stack:
        ports = []
        for _ in range(REPLICAS):
            port = free_port()
            told = {"start_seconds": 0.0, "kv_blocks": KV_BLOCKS, "profile": PROFILE}
            argv = [sys.executable, "-m", "stoker.targets.simulated", "m", "--port", str(port)]
            argv += ["--max-model-len", "16000", "--simulate", json.dumps(told)]
            stack.enter_context(process(argv, VLLM_API_KEY="k"))
            ports.append(port)
        for port in ports:
            answers(port)
        yield ports


@contextlib.contextmanager
def router(ports: list[int], policy: str) -> Iterator[int]:
    """vllm-router with a policy."""
    port = free_port()
    options = [policy if word == "round_robin" else word for word in ROUTER]
    argv = [str(Path(sys.executable).with_name("vllm-router")), *options, "--port", str(port)]
    argv += [
        "--prometheus-port",
        str(free_port()),
        "--worker-urls",
        *(f"http://127.0.0.1:{one}" for one in ports),
    ]
    with process(argv):
        answers(port, "/readiness")
        yield port


@contextlib.contextmanager
def way(name: str, ports: list[int]) -> Iterator[int]:
    """The way in to the engines: the endpoint's, or vllm-router's with a policy."""
    if name == "stoker":
        with gateway(ports) as (port, _):
            yield port
    else:
        with router(ports, name) as port:
            yield port


def measured(name: str, seconds: float, round_: int) -> dict[str, Any]:
    """One test by one way, on new engines."""
    with engines() as ports, way(name, ports) as port, tempfile.TemporaryDirectory() as folder:
        words = {**WORDS, "duration": f"{seconds:g}s", "seed": str(7 + round_)}
        argv = [sys.executable, "-m", "stoker", "bench", "--url", f"http://127.0.0.1:{port}", "--model", "m"]
        argv += [part for key, value in words.items() for part in (f"--{key.replace('_', '-')}", value)]
        argv += ["--key", "env:BENCH_KEY", "-o", "json", "--results", f"{folder}/run"]
        env = {
            "PATH": "/usr/bin:/bin",
            "BENCH_KEY": "k",
            "STOKER_HOME": folder,
            "PYTHONPATH": ":".join(sys.path),
        }
        done = subprocess.run(argv, capture_output=True, text=True, env=env, check=False)
        if not done.stdout:
            raise SystemExit(f"stoker bench ended with {done.returncode}: {done.stderr[-2000:]}")
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def main() -> None:
    """Prints each way's median, and the ratios."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=float, default=40.0)
    given = options.parse_args()
    ways = ("stoker", "round_robin", "cache_aware")
    ttft: dict[str, list[float]] = {name: [] for name in ways}
    rate: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(given.rounds):
        for name in ways:
            found = measured(name, given.seconds, number)
            summary, cached = found["summary"], found["server"]["prefix_hit_share"]
            ttft[name].append(summary["ttft"]["mean"])
            rate[name].append(summary["output_rate"])
            print(
                f"{name:<12} ttft mean {1000 * summary['ttft']['mean']:6.0f} ms  p99 "
                f"{1000 * summary['ttft']['p99']:6.0f} ms  {summary['output_rate']:6.0f} tokens/s  "
                f"{summary['requests']} requests, {summary['failed']} failed"
                + (f", {cached:.0%} found in caches" if cached is not None else ""),
                flush=True,
            )
    for other in ways[1:]:
        print(
            f"stoker over {other}: ttft {median(ttft[other]) / median(ttft['stoker']):.2f} times better, "
            f"tokens/s {median(rate['stoker']) / median(rate[other]):.2f}"
        )


if __name__ == "__main__":
    main()
