"""How many streams a second one core of a load generator sustains, on time: Stoker's beside its peers'.

`python -m benchmarks.generators [NAME …]`. Every generator has one core, the known server another. A rate
is sustained if all streams are sent, none fails, and the p99 of how late they come is under 5 ms: by the
server's log, against one stream every 1 / rate seconds, which all are asked for (Locust's users too, by the
file that it runs). The highest rate is searched by doubling or halving from where each was found before,
then by bisecting, for as long as `--budget` seconds a generator. Target: Stoker's at least three times the
best of the others. Beside each try stands the CPU time that a stream cost the generator while it sent and
read, which other load on the machine changes least.
"""

import argparse
import time
from collections.abc import Callable
from math import sqrt

from tests.support.known_server import KnownServer
from tests.support.known_stream import Timing

from benchmarks.peers.everyone import EVERYONE, Seen, once, words
from benchmarks.peers.load import Load, percentile

TIMING = Timing(role=0.0, first=0.05, gap=0.01)
SECONDS = 6.0
LAG = 0.005
CLOSE = 1.15  # the search ends where the lowest rate missed is so near the highest held
GUESS = {"stoker": 1000.0, "vllm": 400.0, "guidellm": 30.0, "aiperf": 50.0, "locust": 500.0}
SERVER, CLIENT = 0, 1  # cores


def holds(seen: Seen) -> bool:
    """Whether the rate was sustained."""
    if len(seen.told) < seen.load.streams or seen.said.failed or any(one.left for one in seen.told):
        return False
    return percentile(seen.lags, 0.99) < LAG


def line(name: str, seen: Seen) -> str:
    """One try."""
    return (
        f"  {name:<9} {seen.load.rate:6.0f}/s asked  {seen.rate:7.1f} came  lag p99 "
        f"{percentile(seen.lags, 0.99) * 1000:8.1f} ms  {'held' if holds(seen) else 'missed'}   "
        f"{seen.cost * 1000:5.2f} ms of CPU a stream   "
        f"(server: {seen.server_share:.2f} of a core, late p99 "
        f"{percentile(seen.server_late, 0.99) * 1000:.1f} ms)"
    )


def search(guess: float, held: Callable[[float], bool | None], budget: float) -> tuple[float, float | None]:
    """The highest rate that was held, and the lowest above it that was not (None: none was tried in time)."""
    deadline = time.monotonic() + budget
    low, high, rate = 0.0, None, round(guess)
    while (
        rate not in (0, low, high)
        and time.monotonic() < deadline
        and not (low and high and high / low < CLOSE)
    ):
        answer = held(rate)
        if answer is None:
            break
        low, high = (max(low, rate), high) if answer else (low, rate)
        rate = round(low * 2 if high is None else sqrt(low * high) if low else high / 2)
    return low, high


def sustained(name: str, server: KnownServer, tokenizer: str, budget: float) -> tuple[float, float | None]:
    """Streams a second."""

    def held(rate: float) -> bool | None:
        seen = once(name, server, TIMING, Load(rate, SECONDS, answer=0.5), tokenizer, CLIENT)
        if seen is None:
            return None
        print(line(name, seen), flush=True)
        return holds(seen)

    return search(GUESS[name], held, budget)


def main(names: list[str], budget: float) -> None:
    """Each in turn, and how Stoker's stands to the best of the others."""
    tokenizer = words()
    best: dict[str, float] = {}
    with KnownServer(core=SERVER) as server:
        for name in names:
            low, high = sustained(name, server, tokenizer, budget)
            if low:
                best[name] = low
                above = f"missed at {high:.0f}" if high else "no higher rate was tried in time"
                print(f"{name:<9} {low:6.0f} streams/s on a core   ({above})", flush=True)
            elif high:
                print(f"{name:<9} no rate was held in time: missed at {high:.0f}/s", flush=True)
    others = [rate for name, rate in best.items() if name != "stoker"]
    if "stoker" in best and others:
        print(
            f"stoker over the best of the others: {best['stoker'] / max(others):.2f} (target: 3.00 or more)"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(EVERYONE), metavar="NAME")
    parser.add_argument("--budget", type=float, default=100.0)
    given = parser.parse_args()
    main(given.names, given.budget)
