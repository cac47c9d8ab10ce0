"""What is asked of a load generator, and what it says: one noun each, whoever it is."""

from dataclasses import dataclass

from benchmarks.peers.tree import Looks

CHAT = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class Load:
    """Streaming chats at an even rate.

    rate: streams a second, one every 1 / rate seconds. seconds: for so long. prompt, output: tokens of each.
    answer: no answer takes longer, in seconds: what a closed loop needs to know to keep the rate.
    """

    rate: float
    seconds: float
    prompt: int = 32
    output: int = 16
    seed: int = 1
    answer: float = 2.0

    @property
    def streams(self) -> int:
        """How many in all."""
        return max(1, round(self.rate * self.seconds))


@dataclass(frozen=True, slots=True)
class Result:
    """What a load generator says, in seconds; None: it does not say it.

    itl: between two tokens or events, each counted. tpot: a stream's mean of it. lag: by which a request
    was sent late, as the generator itself says. streams_per_second, tokens_per_second: as it prints them.
    cpu, wall: of its whole process tree, from start to end, measured from outside; looks: the CPU seconds
    over time.
    """

    completed: int
    failed: int
    ttft_p50: float | None
    ttft_p99: float | None
    itl_p50: float | None
    itl_p99: float | None
    tpot_p50: float | None
    streams_per_second: float | None
    tokens_per_second: float | None
    lag_p99: float | None
    cpu: float
    wall: float
    looks: Looks = ()


def percentile(values: list[float], q: float) -> float:
    """With the linear interpolation between two values that NumPy has, and so the peers."""
    ordered = sorted(values)
    place = q * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def seconds(milliseconds: float | None) -> float | None:
    """Of a figure that a peer gives in milliseconds."""
    return None if milliseconds is None else milliseconds / 1000
