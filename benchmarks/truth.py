"""What load generators say of a server whose latencies are known exactly, beside what was true.

`python -m benchmarks.truth [NAME …]`: reported minus true, in milliseconds, of the time to first token and
of the gaps between tokens, p50 and p99. `as vLLM`: events as vLLM sends them (the role at once with the
first token, a token an event). `hard`: the role alone comes 100 ms before the first token, every fifth
event has two tokens, the finish reason comes in an event of its own, every fourth stream breaks. Target of
Stoker's: under 2 ms at 500 streams/s. True are the moments at which the server gave an event to its socket,
from its log of the same run; `own` is the p99 of how far these were behind the server's plan, and is no
error of the generator's: it sees them as they were. Where a tool has no single gaps, its mean per stream is
held against the true mean per stream.
"""

import argparse
import os

from tests.support.known_server import KnownServer
from tests.support.known_stream import Timing, Told

from benchmarks.peers.everyone import EVERYONE, Seen, once, words
from benchmarks.peers.load import Load, percentile

PLAIN = Timing(role=0.0, first=0.1, spread=0.05, gap=0.02, long_every=8, long_gap=0.04)
PLAIN_RATES = (50.0, 200.0, 500.0)
HARD = Timing(role=0.1, first=0.2, gap=0.02, several_every=5, separate_end=True, broken_every=4)
SECONDS = 6.0
CLIENT = 1 if os.cpu_count() == 2 else None  # the server's core is no place for who measures it
MEANS = ("guidellm",)  # whose ITL is a stream's mean


def truth(told: list[Told], means: bool) -> tuple[list[float], list[float]]:
    """The true times to first token, and the true gaps, of the streams that did not break."""
    whole = [one for one in told if not one.broken]
    firsts = [one.first_token for one in whole if one.first_token is not None]
    if means:
        return firsts, [_mean(one) for one in whole if one.tokens > 1]
    return firsts, [gap for one in whole for gap in _gaps(one)]


def _gaps(one: Told) -> list[float]:
    """Between tokens: those of one event come together, so that all but the first wait for nothing."""
    return [
        gap for wait, (_, tokens) in zip(one.gaps, one.contents[1:], strict=True) for gap in _of(wait, tokens)
    ]


def _of(wait: float, tokens: int) -> list[float]:
    return [wait, *[0.0] * (tokens - 1)]


def _mean(one: Told) -> float:
    return (one.contents[-1][0] - one.contents[0][0]) / (one.tokens - 1)


def error(said: float | None, true: list[float], q: float) -> str:
    """Reported minus true, in milliseconds."""
    return "      -" if said is None or not true else f"{(said - percentile(true, q)) * 1000:+7.2f}"


def row(name: str, seen: Seen) -> str:
    """One run in a line."""
    firsts, gaps = truth(seen.told, name in MEANS)
    said, broken = seen.said, sum(one.broken is not None for one in seen.told)
    errors = [error(said.ttft_p50, firsts, 0.5), error(said.ttft_p99, firsts, 0.99)]
    errors += [error(said.itl_p50, gaps, 0.5), error(said.itl_p99, gaps, 0.99)]
    return (
        f"{name:<9} {seen.load.rate:4.0f}/s   TTFT p50 {errors[0]} p99 {errors[1]}   ITL p50 {errors[2]} p99 "
        f"{errors[3]}   failed {said.failed} of {broken} broken, {len(seen.told)} sent at {seen.rate:.1f}/s"
        f"   own {percentile(seen.server_late, 0.99) * 1000:.2f}"
    )


def main(names: list[str]) -> None:
    """Every tool at every rate, then on the hard streams."""
    tokenizer = words()
    runs = [("as vLLM", PLAIN, rate) for rate in PLAIN_RATES] + [("hard", HARD, PLAIN_RATES[0])]
    with KnownServer(core=0) as server:
        for title, timing, rate in runs:
            print(f"\n{title}, {rate:.0f} streams a second: reported minus true, ms", flush=True)
            for name in names:
                seen = once(name, server, timing, Load(rate, SECONDS, output=17), tokenizer, CLIENT)
                if seen:
                    print(row(name, seen), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(EVERYONE), metavar="NAME")
    main(parser.parse_args().names)
