"""The endpoint against vllm-router and against no proxy at all, in front of the same simulated engine.

`python -m benchmarks.gateway`: what is compared, each round with both in turn, medians at the end. Added time
to the first token of one client (target: at most half the router's), the p99 of the first token at 1,000
streams of 20 events/s (at most the router's), events a second and core (at least 1.6 times the router's).
`--rounds N`: how often. `--bodies`: what a body of 100 MB costs at its peak, and what aborted ones leave.
`--soak N`: so many requests, and the memory after each tenth of them.
"""

import argparse
import contextlib
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import psutil

from benchmarks.bodies import bodies
from benchmarks.load import answers, free_port, gateway, process, quantile, raise_open_files, run, together

BODY = {
    "model": "m",
    "messages": [{"role": "user", "content": "one two three four"}],
    "stream": True,
    "ignore_eos": True,
}
ROUTER = [
    "--host",
    "127.0.0.1",
    "--policy",
    "round_robin",
    "--health-check-interval-secs",
    "1",
    "--health-check-timeout-secs",
    "1",
    "--health-failure-threshold",
    "1",
    "--health-success-threshold",
    "1",
    "--log-level",
    "warning",
]
STREAMS, EVENTS, ITL = 1000, 60, 0.05


@contextlib.contextmanager
def engine(**simulate: float) -> Iterator[int]:
    """A simulated engine with set timings."""
    port = free_port()
    argv = [
        sys.executable,
        "-m",
        "stoker.targets.simulated",
        "m",
        "--port",
        str(port),
        "--max-num-seqs",
        "2048",
    ]
    argv += ["--simulate", json.dumps({"start_seconds": 0.0, "kv_blocks": 10_000_000, **simulate})]
    with process(argv, VLLM_API_KEY="k"):
        answers(port)
        yield port


@contextlib.contextmanager
def router(engine_port: int) -> Iterator[tuple[int, psutil.Process] | None]:
    """vllm-router, where it is installed."""
    found = shutil.which("vllm-router") or str(Path(sys.executable).with_name("vllm-router"))
    if not Path(found).exists():
        yield None
        return
    port = free_port()
    argv = [found, *ROUTER, "--port", str(port), "--prometheus-port", str(free_port())]
    with process([*argv, "--worker-urls", f"http://127.0.0.1:{engine_port}"]) as started:
        answers(port, "/readiness")
        yield port, started


def ways(engine_port: int, stack: contextlib.ExitStack) -> dict[str, tuple[int, psutil.Process | None]]:
    """The ways to the engine that are compared."""
    out: dict[str, tuple[int, psutil.Process | None]] = {"direct": (engine_port, None)}
    out["gateway"] = stack.enter_context(gateway([engine_port]))
    peer = stack.enter_context(router(engine_port))
    if peer is not None:
        out["router"] = peer
    else:
        print("vllm-router is not installed: no peer in this run")
    return out


def first_token(rounds: int = 300) -> dict[str, float]:
    """One client, one token: the ways in turn, so that a noisy moment hits all of them. Milliseconds
    added."""
    with contextlib.ExitStack() as stack:
        found = ways(stack.enter_context(engine(ttft=0.002, itl=0.0)), stack)
        times: dict[str, list[float]] = {name: [] for name in found}
        for _ in range(rounds):
            for name, (port, _) in found.items():
                done = run(together(port, 1, {**BODY, "max_tokens": 1}, "k"))[0]
                assert done.error is None, done.error
                times[name].append(done.ttft * 1000)
    base = median(times["direct"])
    for name, values in times.items():
        print(
            f"first token, 1 client    {name:<8} p50 {median(values):6.2f} ms   p99 "
            f"{quantile(values, 0.99):6.2f} ms   added {median(values) - base:+.2f} ms"
        )
    return {name: median(values) - base for name, values in times.items()}


def many_streams() -> dict[str, float]:
    """A thousand streams at once: the p99 of the time to the first token, in milliseconds."""
    tails: dict[str, float] = {}
    with contextlib.ExitStack() as stack:
        found = ways(stack.enter_context(engine(ttft=0.02, itl=ITL)), stack)
        for name, (port, _) in found.items():
            done = run(together(port, STREAMS, {**BODY, "max_tokens": EVENTS}, "k"))
            bad = [one.error for one in done if one.error]
            ttft = [one.ttft for one in done if one.ttft]
            gaps = [gap for one in done for gap in one.late]
            tails[name] = quantile(ttft, 0.99) * 1000
            print(
                f"{STREAMS} streams, 20/s       {name:<8} ttft p50 {median(ttft) * 1000:5.0f} ms  p99 "
                f"{tails[name]:5.0f} ms   "
                f"gap p99 {quantile(gaps, 0.99) * 1000:4.0f} ms   errors "
                f"{len(bad)}{f' ({bad[0]})' if bad else ''}"
            )
    return tails


def events_a_core() -> dict[str, float]:
    """As many events as go through, by the proxy's own CPU time."""
    rates: dict[str, float] = {}
    with contextlib.ExitStack() as stack:
        found = ways(stack.enter_context(engine(ttft=0.0, itl=0.002)), stack)
        for name, (port, proxy) in found.items():
            if proxy is None:
                continue
            before = proxy.cpu_times()
            done = run(together(port, 40, {**BODY, "max_tokens": 2000}, "k"))
            after = proxy.cpu_times()
            events = sum(one.events for one in done)
            cpu = (after.user + after.system) - (before.user + before.system)
            rates[name] = events / cpu
            print(
                f"events a core            {name:<8} {rates[name]:10,.0f} events/s/core   ({events} events, "
                f"{cpu:.2f} s of CPU)"
            )
    return rates


def compare(rounds: int) -> None:
    """All three questions so often, and the medians of what the gateway is to the router."""
    asked = (
        ("added time to the first token", first_token, "0.50 or less"),
        ("p99 of the first token", many_streams, "1.00 or less"),
        ("events a core", events_a_core, "1.60 or more"),
    )
    ratios: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, measure, _target in asked:
            found = measure()
            if found.get("router"):
                ratios.setdefault(name, []).append(found["gateway"] / found["router"])
    for name, _measure, target in asked:
        if name in ratios:
            each = ", ".join(f"{one:.2f}" for one in ratios[name])
            print(
                f"gateway over router: {name:<30} median {median(ratios[name]):.2f} (target: {target})   of "
                f"{each}"
            )


def soak(requests: int) -> None:
    """So many requests, a hundred at a time, half of them streams: resident memory after each tenth."""
    with contextlib.ExitStack() as stack:
        port, proxy = stack.enter_context(gateway([stack.enter_context(engine(ttft=0.0, itl=0.0))]))
        held: list[float] = []
        for _ in range(10):
            for number in range(requests // 1000):
                body = {**BODY, "max_tokens": 2, "stream": number % 2 == 0}
                done = run(together(port, 100, body, "k"))
                assert not any(one.error for one in done), next(one.error for one in done if one.error)
            held.append(proxy.memory_info().rss / 1e6)
            print(
                f"soak                     {requests // 10 * len(held):>9,} requests   {held[-1]:7.1f} MB",
                flush=True,
            )
        print(f"soak: the last over the first: {held[-1] / held[0]:.3f} (target: 1.05 or less)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--soak", type=int, metavar="N")
    parser.add_argument("--bodies", action="store_true")
    given = parser.parse_args()
    raise_open_files()
    if given.soak:
        soak(given.soak)
    elif given.bodies:
        bodies()
    else:
        compare(given.rounds)
