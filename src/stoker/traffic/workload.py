"""Workload: the traffic of a test or a simulation as a value, and the conversations that it consists of.

Everything follows from the seed: the same workload gives the same requests at the same times, whether they
are sent or simulated, and by however many processes.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice, repeat, takewhile
from random import Random

from stoker.traffic.arrivals import Arrivals, ClosedLoop, OpenLoop, Replay, times
from stoker.traffic.lengths import Lengths, fixed
from stoker.traffic.traces import TraceRow


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a prompt: so many tokens, the same text for the same key, so that caches can share it."""

    key: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Turn:
    """One request of a conversation: what the user adds, how long the answer shall be, and the pause before.

    parts: made text. text, messages: given text, in place of parts. output: tokens; None leaves the end to
    the model. think: seconds after the answer before.
    """

    parts: tuple[Part, ...] = ()
    output: int | None = None
    think: float = 0.0
    text: str | None = None
    messages: tuple[dict[str, object], ...] = ()

    @property
    def input(self) -> int:
        """Tokens that its parts ask for."""
        return sum(part.tokens for part in self.parts)


@dataclass(frozen=True, slots=True)
class Session:
    """One conversation. at: seconds from the start; None where a user of a closed loop comes to it."""

    index: int
    at: float | None
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Synthetic:
    """Made conversations. prefixes: how many different beginnings (a system prompt) of `prefix` tokens there
    are; each conversation has one of them. `input` counts all tokens of a first prompt, prefix included; of
    later turns, what the user adds. turns: requests a conversation; think: seconds between them."""

    input: Lengths = field(default_factory=lambda: fixed(512))
    output: Lengths = field(default_factory=lambda: fixed(128))
    prefixes: int = 0
    prefix: int = 0
    turns: Lengths = field(default_factory=lambda: fixed(1))
    think: float = 0.0


@dataclass(frozen=True, slots=True)
class Given:
    """Prompts as they are, one after another and again from the first; chosen at random where `shuffled`."""

    turns: tuple[Turn, ...]
    shuffled: bool = False


@dataclass(frozen=True, slots=True)
class Recorded:
    """A trace's rows: when, how long, and which blocks of the prompt are shared (`block` tokens each).

    skipped: rows without an answer, which are not among them; in_order: whether they were in the file.
    """

    rows: tuple[TraceRow, ...]
    block: int = 512
    skipped: int = 0
    in_order: bool = True


Prompts = Synthetic | Given | Recorded


@dataclass(frozen=True, slots=True)
class Workload:
    """What is sent. It ends after `duration` seconds or `limit` conversations, whichever comes first.

    warmup: seconds at its beginning that are sent and not measured.
    """

    arrivals: Arrivals
    prompts: Prompts = field(default_factory=Synthetic)
    duration: float = math.inf
    limit: int | None = None
    seed: int = 0
    warmup: float = 0.0

    @property
    def ends(self) -> bool:
        """Whether it ends by itself."""
        return self.duration < math.inf or self.limit is not None or isinstance(self.arrivals, Replay)


GUIDE_PROMPTS = (
    "What's the best way to learn a new programming language?",
    "Summarize the history of the printing press in three sentences.",
)


def sessions(workload: Workload, worker: int = 0, workers: int = 1) -> Iterator[Session]:
    """The conversations in order of their beginning; of several workers, those of one.

    Of a closed loop: in the order in which users take them, without times and without end.
    """
    dues = enumerate(islice(_dues(workload), workload.limit))
    for index, due in takewhile(lambda pair: pair[1] is None or pair[1] < workload.duration, dues):
        if index % workers == worker:
            yield Session(index, due, turns(workload, index))


def _dues(workload: Workload) -> Iterator[float | None]:
    rows = workload.prompts.rows if isinstance(workload.prompts, Recorded) else None
    match workload.arrivals:
        case OpenLoop() as arrivals:
            dues: Iterator[float | None] = times(arrivals, Random(f"{workload.seed}/arrivals"))
        case ClosedLoop():
            dues = repeat(None)
        case Replay(speed):
            if rows is None:
                raise ValueError("a replay takes its requests from a trace")
            return (row.at / speed for row in rows)
    return dues if rows is None else islice(dues, len(rows))


def turns(workload: Workload, index: int) -> tuple[Turn, ...]:
    """The requests of one conversation, by its number alone."""
    match workload.prompts:
        case Synthetic() as made:
            return _made(made, workload.seed, index, Random(f"{workload.seed}/{index}"))
        case Given(given, shuffled):
            chosen = Random(f"{workload.seed}/{index}").randrange(len(given)) if shuffled else index
            return (given[chosen % len(given)],)
        case Recorded(rows, block):
            row = rows[index]
            return (Turn(_blocks(block, workload.seed, index, row), row.output),)


def _made(made: Synthetic, seed: int, index: int, random: Random) -> tuple[Turn, ...]:
    shared = made.prefix if made.prefixes else 0
    out = []
    for turn in range(made.turns.draw(random)):
        tokens = made.input.draw(random)
        parts: tuple[Part, ...] = (Part(f"{seed}/{index}/{turn}", tokens),)
        if not turn and shared:
            beginning = Part(f"{seed}/prefix/{random.randrange(made.prefixes)}", min(shared, tokens - 1))
            parts = (beginning, Part(f"{seed}/{index}/0", max(1, tokens - shared)))
        out.append(Turn(parts, made.output.draw(random), made.think if turn else 0.0))
    return tuple(out)


def _blocks(block: int, seed: int, index: int, row: TraceRow) -> tuple[Part, ...]:
    """A prompt by its blocks: equal hashes are equal text. The last block is as long as what is left."""
    if not row.hashes:
        return (Part(f"{seed}/{index}/0", row.input),)
    left, parts = row.input, []
    for name in row.hashes:
        parts.append(Part(f"{seed}/block/{name}", min(block, left)))
        left -= parts[-1].tokens
        if left <= 0:
            break
    return (*parts, Part(f"{seed}/{index}/0", left)) if left > 0 else tuple(parts)
