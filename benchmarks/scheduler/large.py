"""Workloads of the size that engines really have: thousands of blocks, prompts of hundreds of tokens."""

from __future__ import annotations

from random import Random

from benchmarks.scheduler.workloads import EOS, Ask, Tokens, Workload
from stoker.engine.scheduler import Policy, SchedulerLimits

REQUESTS = 150
LONGEST = 4000


def make(seed: int) -> Workload:
    """The workload of a seed."""
    chance = Random(f"large {seed}")
    prefixes = [_text(chance, chance.randint(50, 1500)) for _ in range(4)]
    asks: list[Ask] = []
    turn = 0
    for number in range(REQUESTS):
        turn += chance.choice((0, 0, 1, 3, 10))
        asks.append(_ask(chance, number, turn, prefixes, asks))
    return Workload(seed, _engine(chance), tuple(asks), turns=20_000)


def _engine(chance: Random) -> SchedulerLimits:
    policy: Policy = "fcfs" if chance.random() < 0.5 else "priority"
    return SchedulerLimits(
        num_gpu_blocks=chance.choice((257, 600, 2000)),
        max_model_len=4096,
        max_num_batched_tokens=chance.choice((512, 2048)),
        max_num_seqs=chance.choice((64, 256)),
        policy=policy,
        async_scheduling=chance.random() < 0.5,
        enable_prefix_caching=chance.random() < 0.85,
    )


def _text(chance: Random, length: int) -> Tokens:
    return tuple(chance.choices(range(50_000), k=length))


def _ask(chance: Random, number: int, turn: int, prefixes: list[Tokens], before: list[Ask]) -> Ask:
    prompt = _text(chance, 1 + int(chance.expovariate(1 / 400)))
    if before and chance.random() < 0.25:
        last = chance.choice(before)
        prompt = last.prompt + last.answer + prompt[:50]
    elif chance.random() < 0.6:
        prompt = chance.choice(prefixes) + prompt
    answer = _text(chance, min(1 + int(chance.expovariate(1 / 120)), 900))
    stops = chance.random() < 0.4
    return Ask(
        id=f"r{number}",
        turn=turn,
        prompt=prompt[:LONGEST],
        answer=(*answer[:-1], EOS) if stops else answer,
        max_tokens=len(answer) + 100 * stops,
        arrival=turn + number / 1000,
        priority=chance.choice((0, 0, 1)),
        leaves=turn + chance.randint(0, 200) if chance.random() < 0.05 else None,
        mid_step=chance.random() < 0.5,
    )
