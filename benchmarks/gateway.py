"""The endpoint against vllm-router and against no proxy at all, in front of the same simulated engine.

`python -m benchmarks.gateway`. Three questions, with their targets: added time to first token at one client (at most
1 ms), 1,000 streams of 20 events/s (p99 of the time to first token within twice the router's), and events a second
and core (at least 20,000).
"""

import contextlib
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import psutil

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


def first_token(rounds: int = 300) -> None:
    """One client, one token: the ways in turn, so that a noisy moment hits all of them."""
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
            f"first token, 1 client    {name:<8} p50 {median(values):6.2f} ms   p99 {quantile(values, 0.99):6.2f} ms   added {median(values) - base:+.2f} ms"
        )


def many_streams() -> None:
    """A thousand streams at once."""
    tails: dict[str, float] = {}
    with contextlib.ExitStack() as stack:
        found = ways(stack.enter_context(engine(ttft=0.02, itl=ITL)), stack)
        for name, (port, _) in found.items():
            done = run(together(port, STREAMS, {**BODY, "max_tokens": EVENTS}, "k"))
            bad = [one.error for one in done if one.error]
            ttft = [one.ttft for one in done if one.ttft]
            gaps = [gap for one in done for gap in one.late]
            tails[name] = quantile(ttft, 0.99)
            print(
                f"{STREAMS} streams, 20/s       {name:<8} ttft p50 {median(ttft) * 1000:5.0f} ms  p99 {tails[name] * 1000:5.0f} ms   "
                f"gap p99 {quantile(gaps, 0.99) * 1000:4.0f} ms   errors {len(bad)}{f' ({bad[0]})' if bad else ''}"
            )
    if "router" in tails:
        print(
            f"                         ttft p99, gateway over router: {tails['gateway'] / tails['router']:.2f} (target: 2.00 or less)"
        )


def events_a_core() -> None:
    """As many events as go through, by the proxy's own CPU time."""
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
            print(
                f"events a core            {name:<8} {events / cpu:10,.0f} events/s/core   ({events} events, {cpu:.2f} s of CPU)   target 20,000"
            )


if __name__ == "__main__":
    raise_open_files()
    first_token()
    many_streams()
    events_a_core()
