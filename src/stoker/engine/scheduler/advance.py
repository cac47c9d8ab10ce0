"""Many steps at once, where each would only give every running sequence its next token.

With asynchronous scheduling the batch on its way is such a step too, and stays the one on its way.
"""

from stoker.engine.scheduler.sequence import Sequence
from stoker.engine.scheduler.state import Batch, State
from stoker.engine.scheduler.step import Making


def steady(state: State) -> int:
    """How many steps from here on, each committed, do nothing but decode for all that run, if nobody comes or
    goes.

    Nobody ends in them, nobody is let in, preempted, or finishes a block with a name that others know.
    """
    if not state.running or not all(_decodes(state, one) for one in state.running):
        return 0
    steps = min(_until_event(state, one) for one in state.running)
    return _with_room(state, steps) if steps > 0 and not _opens(state) else 0


def advance(state: State, steps: int) -> None:
    """Takes as many steps: the state is as after `step` and `commit` of each; at most `steady` of them."""
    taken = 0
    for sequence in state.running:
        sequence.tokens += steps
        sequence.computed += steps
        more = state.blocks.needed(sequence.computed) - sequence.blocks
        if more > 0:
            sequence.blocks += more
            taken += more
        if state.blocks.caching:
            sequence.hashed = max(sequence.hashed, (sequence.tokens - 1) // state.blocks.block_size)
    state.blocks.take(taken)
    state.finished = []


def _decodes(state: State, sequence: Sequence) -> bool:
    """Whether its next step is one token, as the one on its way is."""
    on_the_way = int(state.limits.async_scheduling)
    return (
        sequence.placeholders == sequence.in_flight == on_the_way
        and sequence.tokens + on_the_way - sequence.computed == 1
    )


def _until_event(state: State, sequence: Sequence) -> int:
    """Steps before it ends, or names a block for others."""
    steps = sequence.limit - sequence.tokens - 1
    if state.blocks.caching and sequence.hashed < len(sequence.content):
        return min(steps, (sequence.hashed + 1) * state.blocks.block_size - sequence.tokens)
    return steps


def _opens(state: State) -> bool:
    """Whether somebody gets in, or has a token on its way.

    Who does not get in now does not later: what is free only becomes less.
    """
    limits = state.limits
    if len(state.running) > limits.max_num_batched_tokens or any(one.stale for one in state.waiting):
        return True
    making = Making(state, Batch())
    making.budget -= len(state.running)
    if not state.waiting or making.budget <= 0 or len(state.running) >= limits.active:
        return False
    return making.would_admit(state.waiting.first())[1] > 0


def _with_room(state: State, steps: int) -> int:
    """As many of the steps as there are blocks for."""
    blocks = state.blocks
    while steps:
        more = sum(max(blocks.needed(one.computed + steps) - one.blocks, 0) for one in state.running)
        if more <= blocks.free:
            return steps
        steps //= 2
    return 0
