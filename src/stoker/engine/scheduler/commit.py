"""The end of a step: sampled tokens arrive, sequences end; and clients that go away."""

from stoker.engine.scheduler.sequence import Ended, Sequence, Status
from stoker.engine.scheduler.state import Batch, State


def commit(state: State, batch: Batch) -> list[Sequence]:
    """Gives every sampled sequence of the batch its token; those that end with it, in order.

    Batches are committed in the order in which they were made.
    Source: vLLM Scheduler.update_from_output, AsyncScheduler._update_request_with_output.
    """
    stale = _land(batch) if state.limits.async_scheduling else frozenset[Sequence]()
    ended = [
        one
        for one in batch.sampled
        if one.ended is None and _token(state, one, stale=one in stale) and _finish(state, one)
    ]
    _leave(state, ended)
    return ended


def _land(batch: Batch) -> frozenset[Sequence]:
    """Takes the batch off what is on its way; those that were preempted since."""
    stale = [one for one in batch.tokens if one.stale]
    for sequence, count in batch.tokens.items():
        sequence.in_flight -= count
    for sequence in stale:
        sequence.stale -= batch.tokens[sequence]
    return frozenset(stale)


def _token(state: State, sequence: Sequence, *, stale: bool) -> bool:
    """One more token; whether it is the last."""
    sequence.tokens += 1
    if sequence.placeholders and not stale:
        sequence.placeholders -= 1
        if state.blocks.caching:
            state.blocks.name(sequence, sequence.computed - sequence.placeholders)
    return sequence.tokens >= sequence.limit


def _finish(state: State, sequence: Sequence) -> bool:
    """Its blocks become free at once, before the next of the batch is looked at."""
    sequence.ended = Ended.STOP if sequence.written == sequence.stops_at else Ended.LENGTH
    state.blocks.release(sequence)
    state.finished.append(sequence)
    return True


def _leave(state: State, ended: list[Sequence]) -> None:
    """Takes them out of the queues."""
    for sequence in ended:
        if sequence.status is Status.PREEMPTED:
            state.waiting.remove(sequence)
    if len(ended) == 1 and ended[0].status is Status.RUNNING:
        state.running.remove(ended[0])
    elif ended:
        state.running = [one for one in state.running if one.ended is None]
    for sequence in ended:
        sequence.status = Status.FINISHED


def abort(state: State, sequence: Sequence) -> None:
    """A client goes away: its sequence ends where it is, and tokens on their way to it are dropped.

    Source: vLLM Scheduler.finish_requests.
    """
    if sequence.ended is not None:
        return
    if sequence.status is Status.RUNNING:
        state.running.remove(sequence)
    else:
        state.waiting.remove(sequence)
    sequence.ended, sequence.status = Ended.ABORT, Status.FINISHED
    state.blocks.release(sequence)
    state.finished.append(sequence)
