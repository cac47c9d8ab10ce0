"""Many steps at once, where each would only give every running sequence its next token.

With asynchronous scheduling the batch on its way is such a step too, and stays the one on its way.
"""

from stoker.engine.scheduler.commit import end
from stoker.engine.scheduler.sequence import Sequence
from stoker.engine.scheduler.state import Batch, State
from stoker.engine.scheduler.step import Making


def steady(state: State) -> int:
    """How many steps from here on, each committed, do nothing but decode for all that run, if nobody comes or
    goes.

    Nobody is let in, preempted, or completes a block that others know by name; nobody ends before the last of
    them. 0 where already the next step is another one.
    """
    steps = _until_event(state)
    if steps <= 0 or _opens(state):
        return 0
    while steps and not _has_room(state, steps):
        steps //= 2
    return steps


def advance(state: State, steps: int) -> list[Sequence]:
    """Takes as many steps, at most `steady` of them: the state is as after `step` and `commit` of each.

    Returns those that end with the last.
    """
    blocks, size = state.blocks, state.blocks.block_size
    taken, ended = 0, []
    for sequence in state.running:
        sequence.tokens += steps
        sequence.computed += steps
        more = -(-sequence.computed // size) - sequence.blocks
        if more > 0:
            sequence.blocks += more
            taken += more
        if sequence.tokens >= sequence.limit:
            ended.append(sequence)
    if blocks.caching:
        for sequence in state.running:
            sequence.hashed = max(sequence.hashed, (sequence.tokens - 1) // size)
    blocks.take(taken)
    state.steps += steps
    state.finished = []
    end(state, ended)
    return ended


def heeds_arrivals(state: State) -> bool:
    """Whether somebody who comes could be let in before anybody ends.

    Where not, many steps may be taken past an arrival, and the newcomer be added after them: all places are
    taken, or, first come first served, others wait that cannot get in.
    """
    if len(state.running) + state.aside >= state.limits.active:
        return False
    return state.limits.policy == "priority" or not state.waiting


def _has_room(state: State, steps: int) -> bool:
    """Whether there are blocks for so many steps."""
    size, free = state.blocks.block_size, state.blocks.free
    if len(state.running) * (steps // size + 1) <= free:
        return True
    more = sum(max(-(-(one.computed + steps) // size) - one.blocks, 0) for one in state.running)
    return more <= free


def _until_event(state: State) -> int:
    """Steps until somebody ends, who asynchronously is passed over before, or names a block for others.

    0 where not everybody decodes.
    """
    ahead = int(state.limits.async_scheduling)
    size, caching = state.blocks.block_size, state.blocks.caching
    steps = state.limits.max_model_len if state.running else 0
    for one in state.running:
        tokens = one.tokens
        if not one.placeholders == one.in_flight == ahead or tokens + ahead - one.computed != 1:
            return 0
        left = one.limit - tokens - ahead
        if caching and one.hashed < len(one.content):
            left = min(left, (one.hashed + 1) * size - tokens)
        if left < steps:
            steps = left
    return steps


def _opens(state: State) -> bool:
    """Whether somebody gets in, or has a token on its way, or a pipeline takes turns.

    Who does not get in now does not later: what is free only becomes less.
    """
    limits = state.limits
    if len(state.running) > limits.max_num_batched_tokens or limits.pipeline_parallel_size > 1:
        return True
    return admits(state)


def admits(state: State) -> bool:
    """Whether somebody who waits gets in now, or has a token on its way."""
    limits = state.limits
    if not state.waiting:
        return False
    if limits.async_scheduling and any(one.stale for one in state.waiting):
        return True
    making = Making(state, Batch())
    making.budget -= len(state.running)
    if making.budget <= 0 or len(state.running) + state.aside >= limits.active:
        return False
    return making.would_admit(state.waiting.first())[1] > 0
