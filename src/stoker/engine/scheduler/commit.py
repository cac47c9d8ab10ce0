"""The end of a step: sampled tokens arrive, sequences end; and clients that go away."""

from stoker.engine.scheduler.sequence import Ended, Sequence, Status
from stoker.engine.scheduler.state import Batch, State


def commit(state: State, batch: Batch) -> list[Sequence]:
    """Gives every sampled sequence of the batch its token; those that end with it, in order.

    Batches are committed in the order in which they were made.
    Source: vLLM Scheduler.update_from_output, AsyncScheduler._update_request_with_output.
    """
    if state.limits.depth > 1:
        _land(batch)
    ended = []
    for one in batch.sampled:
        if one.ended is None:  # it may have ended since the batch was made
            one.tokens += 1
            if (
                one.placeholders
            ):  # none, if it was preempted since: then it has the token, and no block for it
                _settle(state, one)
            if one.tokens >= one.limit:
                _finish(state, one)
                ended.append(one)
    _leave(state, ended)
    return ended


def end(state: State, sequences: list[Sequence]) -> None:
    """All of them have their last token."""
    for sequence in sequences:
        _finish(state, sequence)
    _leave(state, sequences)


def _settle(state: State, sequence: Sequence) -> None:
    """A token that was waited for is known. Source: vLLM AsyncScheduler._update_request_with_output."""
    sequence.placeholders -= 1
    if state.blocks.caching:
        state.blocks.name(sequence, sequence.computed - sequence.placeholders)


def _land(batch: Batch) -> None:
    """Takes the batch off what is on its way."""
    for sequence, count in batch.tokens.items():
        sequence.in_flight -= count
        if sequence.stale:
            sequence.stale -= count


def _finish(state: State, sequence: Sequence) -> None:
    """It ends; its blocks become free at once, before the next of the batch is looked at."""
    sequence.ended = Ended.STOP if sequence.written == sequence.stops_at else Ended.LENGTH
    state.blocks.release(sequence)
    state.finished.append(sequence)


def _leave(state: State, ended: list[Sequence]) -> None:
    """Takes them out of the queues."""
    if len(ended) > 1:
        state.running = [one for one in state.running if one.ended is None]
    for sequence in ended:
        if sequence.status is Status.PREEMPTED:
            state.waiting.remove(sequence)
        elif len(ended) == 1:
            state.running.remove(sequence)
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
