"""Random workloads, each of a seed: engines too small for what they are asked, so that everything happens."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from stoker.engine.scheduler import Policy, SchedulerLimits

EOS = -1
Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: when it comes (the turn), what it says, what the model will answer, when its client
    leaves.

    `leaves` is a turn, `mid_step` whether it leaves while a batch is computed.
    """

    id: str
    turn: int
    prompt: Tokens
    answer: Tokens
    max_tokens: int
    arrival: float
    priority: int
    leaves: int | None
    mid_step: bool

    @property
    def stops_at(self) -> int | None:
        """The token of the answer at which the model stops by itself."""
        return len(self.answer) if self.answer[-1] == EOS else None


@dataclass(frozen=True, slots=True)
class Workload:
    """An engine's options and what it is asked; it is left after so many turns, however it stands: two
    requests that tie in all but their ids may preempt each other for ever.
    """

    seed: int
    limits: SchedulerLimits
    asks: tuple[Ask, ...]
    turns: int = 1500


def make(seed: int) -> Workload:
    """The workload of a seed."""
    chance = Random(seed)
    limits = engine(chance)
    asks: list[Ask] = []
    prefixes = [text(chance, chance.randint(1, limits.max_model_len)) for _ in range(3)]
    turn = 0
    for number in range(chance.choice((1, 4, 12, 30))):
        turn += chance.choice((0, 0, 0, 1, 2, 5, 20))
        asks.append(_ask(chance, limits, number, turn, prefixes, asks))
    return Workload(seed, limits, tuple(asks))


def engine(chance: Random) -> SchedulerLimits:
    """Options of an engine that starts: a sequence of full length has room."""
    length, block = chance.choice((8, 24, 60, 150)), chance.choice((1, 2, 4, 4, 8, 16))
    sequences = chance.choice((1, 2, 4, 8, 16))
    one = -(-length // block)
    chunked = chance.random() < 0.85
    least = sequences if chunked else max(sequences, length)
    options: dict[str, Any] = {
        "max_num_active_seqs": chance.choice((None, None, None, chance.randint(1, sequences))),
        "enable_prefix_caching": chance.random() < 0.75,
        "long_prefill_token_threshold": chance.choice((0, 0, 1, 3, length // 2)),
        "long_prefill_token_threshold_adaptive": chance.random() < 0.3,
        "scheduler_reserve_full_isl": chance.random() < 0.7,
        "watermark": chance.choice((0.0, 0.0, 0.0, 0.1, 0.3)),
        "async_scheduling": chance.random() < 0.5,
        "pipeline_parallel_size": chance.choice((1, 1, 1, 2, 3)),
    }
    policy: Policy = "fcfs" if chance.random() < 0.5 else "priority"
    return SchedulerLimits(
        num_gpu_blocks=1 + one + chance.choice((0, 0, 1, one // 2, one, 3 * one)),
        max_model_len=length,
        max_num_batched_tokens=least + chance.choice((0, 1, 5, 20, 100)),
        max_num_seqs=sequences,
        block_size=block,
        policy=policy,
        enable_chunked_prefill=chunked,
        **options,
    )


def text(chance: Random, length: int) -> Tokens:
    """Tokens of a small vocabulary, so that texts meet by chance too, or of a large one, so that none do."""
    return tuple(chance.choices(chance.choice((range(2), range(10**6))), k=length))


def _ask(
    chance: Random, limits: SchedulerLimits, number: int, turn: int, prefixes: list[Tokens], before: list[Ask]
) -> Ask:
    prompt = _prompt(chance, limits, prefixes, before)
    answer = text(chance, chance.randint(1, chance.choice((3, 20, limits.max_model_len))))
    if chance.random() < 0.3:
        answer = (*answer[:-1], EOS)
    return Ask(
        id=f"r{number}",
        turn=turn,
        prompt=prompt,
        answer=answer,
        max_tokens=len(answer) + (chance.choice((0, 1, 10)) if answer[-1] == EOS else 0),
        arrival=float(chance.choice((turn, number, 0))),
        priority=chance.choice((0, 0, 1, 5)),
        leaves=turn + chance.randint(0, 30) if chance.random() < 0.15 else None,
        mid_step=chance.random() < 0.5,
    )


def _prompt(chance: Random, limits: SchedulerLimits, prefixes: list[Tokens], before: list[Ask]) -> Tokens:
    """A new text, one with a known beginning, the next turn of a conversation, or the very same again."""
    kind = chance.random()
    most = limits.max_model_len - 1
    said = text(chance, chance.randint(1, most))
    if before and kind < 0.3:
        last = chance.choice(before)
        said = last.prompt + last.answer + said[: chance.randint(1, 8)]
    elif before and kind < 0.4:
        said = chance.choice(before).prompt
    elif kind < 0.7:
        said = chance.choice(prefixes) + said[: chance.randint(1, 8)]
    return said[:most]
