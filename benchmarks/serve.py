"""Real vLLM: tokens/s through the endpoint over tokens/s straight at the engine; and Stoker's options over
plain ones.

`python -m benchmarks.serve [--options]`. Targets: 0.98 at 1, 8 and 32 streams; with `--options` 1.5 at 8
streams over plain `vllm serve DIR` on a CPU.
"""

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.command import engine, free_ports
from benchmarks.load import gateway, run, together
from stoker.model.shape import read_shape
from stoker.planner.local import plan_local
from stoker.render.command import command
from stoker.spec import load
from stoker.spec.nouns import Demo, LocalDir, ModelRef
from stoker.system import paths
from stoker.targets.local import machine
from stoker.weights import fetch, peek

BODY = {
    "model": "m",
    "messages": [{"role": "user", "content": "Tell me a long story about a stoker on a steam ship."}],
    "stream": True,
    "stream_options": {"include_usage": True},
    "ignore_eos": True,
    "max_tokens": 64,
    "temperature": 0,
}


def folder() -> str:
    """The demo model."""
    return str(fetch(Demo("smollm2-135m-instruct"), cache=paths.weights()))


def stokers_command(model: str, port: int) -> tuple[list[str], dict[str, str]]:
    """vLLM's command line with the options that Stoker chooses here, and its environment."""
    spec = load("", sets=("model.served_name=m",))
    shape = read_shape(peek(ModelRef(LocalDir(model), "m")))
    plan = plan_local(spec, shape, machine.offer(), model)
    full = command(plan, plan.shares[0], str(port))
    return [sys.executable, str(Path(sys.executable).with_name("vllm")), *full.argv[1:]], dict(full.env)


@contextlib.contextmanager
def stokers_engine(model: str) -> Iterator[int]:
    """vLLM with the options that Stoker chooses here."""
    port = free_ports(1)
    argv, env = stokers_command(model, port)
    with engine(argv, port, 300, **env):
        yield port


@contextlib.contextmanager
def plain_engine(model: str) -> Iterator[int]:
    """vLLM as it is without any option."""
    port = free_ports(1)
    argv = [
        sys.executable,
        str(Path(sys.executable).with_name("vllm")),
        "serve",
        model,
        "--served-model-name",
        "m",
    ]
    argv += ["--host", "127.0.0.1", "--port", str(port)]
    with engine(argv, port, 900, HF_HUB_OFFLINE="1", VLLM_NO_USAGE_STATS="1"):
        yield port


def rate(port: int, streams: int) -> float:
    """Tokens a second over all streams."""
    begun = time.perf_counter()
    done = run(together(port, streams, BODY))
    errors = [one.error for one in done if one.error]
    assert not errors, errors[0]
    return float(sum(one.tokens for one in done)) / (time.perf_counter() - begun)


def through_the_endpoint(rounds: int = 5) -> None:
    """Both ways in turn, the ratio pair by pair."""
    model = folder()
    with stokers_engine(model) as port, gateway([port], key="") as (front, _):
        rate(port, 2)
        for streams in (1, 8, 32):
            pairs = [(rate(front, streams), rate(port, streams)) for _ in range(rounds)]
            ratio = median(a / b for a, b in pairs)
            through, straight = median(a for a, _ in pairs), median(b for _, b in pairs)
            print(
                f"{streams:>3} streams   endpoint {through:6.1f} tokens/s   straight {straight:6.1f}   ratio "
                f"{ratio:.3f} (target 0.98)",
                flush=True,
            )


def options_over_plain(rounds: int = 3) -> None:
    """The same load on both, one after the other: two engines at once would share the cores."""
    model = folder()
    found = {}
    for name, serve in (("stoker", stokers_engine), ("plain", plain_engine)):
        with serve(model) as port:
            rate(port, 2)
            found[name] = median(rate(port, 8) for _ in range(rounds))
            print(f"  8 streams   {name:<8} {found[name]:6.1f} tokens/s", flush=True)
    print(f"  8 streams   stoker's options over plain: {found['stoker'] / found['plain']:.2f} (target 1.5)")


if __name__ == "__main__":
    options_over_plain() if "--options" in sys.argv else through_the_endpoint()
