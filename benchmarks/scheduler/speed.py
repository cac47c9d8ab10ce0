"""How fast one replica goes on a virtual clock: steps of 20 ms, and 20 µs more for each token, until all is
served.
"""

from __future__ import annotations

import time
from collections import deque
from random import Random

from stoker.engine.scheduler import (
    SchedulerLimits,
    Sequence,
    State,
    advance,
    commit,
    heeds_arrivals,
    steady,
    step,
)

STEP, TOKEN = 0.02, 2e-5  # seconds
LIMITS = SchedulerLimits(num_gpu_blocks=8000, max_model_len=8192, max_num_seqs=256)


def requests(count: int, rate: float) -> deque[Sequence]:
    """Poisson arrivals a second; prompts of about 500 tokens and answers of about 150, of all lengths."""
    chance, now = Random(1), 0.0
    asked = deque[Sequence]()
    for number in range(count):
        now += chance.expovariate(rate)
        prompt = min(20 + int(chance.expovariate(1 / 500)), 7000)
        answer = min(2 + int(chance.expovariate(1 / 150)), 1000)
        asked.append(Sequence(f"r{number}", prompt, answer, arrival=now))
    return asked


def serve(asked: deque[Sequence], state: State) -> int:
    """Everything that is asked; the steps that it took."""
    now, steps = 0.0, 0
    while asked or state.unfinished:
        while asked and asked[0].arrival <= now:
            state.add(asked.popleft())
        if not state.unfinished:
            now = asked[0].arrival
            continue
        each = STEP + TOKEN * len(state.running)
        many = steady(state)
        if asked and heeds_arrivals(state):
            many = min(many, int((asked[0].arrival - now) / each))
        if many:
            advance(state, many)
            now += many * each
        else:
            batch = step(state)
            commit(state, batch)
            now += STEP + TOKEN * batch.total
        steps += many or 1
    return steps


def main(count: int) -> None:
    """Prints the rates at three loads."""
    for rate in (2.0, 8.0, 30.0):
        asked, state = requests(count, rate), State(LIMITS)
        begun = time.process_time()
        steps = serve(asked, state)
        seconds = time.process_time() - begun
        print(f"{rate:2.0f} requests/s asked: {count / seconds:,.0f} requests", end=" ")
        print(f"and {steps / seconds:,.0f} steps a second of CPU")
