"""The workload as requests of the scheduler: who asks when, how long, and which blocks are known already.

A conversation's later prompt is all that was said before and what the user adds. Blocks that others may know
(a shared beginning, a trace's blocks) have names; a conversation knows its own.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from stoker.errors import UsageError
from stoker.simulator.request import Request
from stoker.traffic.arrivals import ClosedLoop
from stoker.traffic.workload import Session, Turn, Workload, sessions

LETTERS = 4  # of a token, where a prompt is given as text
HOME = 128  # tokens that a balancer remembers together: 512 bytes of text


class Source:
    """All requests, in the order in which they are due; later turns are asked for one by one."""

    def __init__(self, workload: Workload, block_size: int) -> None:
        self.loop = workload.arrivals if isinstance(workload.arrivals, ClosedLoop) else None
        self._sessions = sessions(workload)
        self._block = block_size
        self._limit = workload.duration
        self._count = 0

    def opening(self) -> Iterator[tuple[float, Session]]:
        """The conversations of an open loop, or the first of each user of a closed one, with their times."""
        if self.loop is None:
            for session in self._sessions:
                assert session.at is not None
                yield session.at, session
            return
        users = self.loop.users
        for user in range(users):
            first = next(self._sessions, None)
            at = self.loop.spawn * user / users
            if first is None or at >= self._limit:
                return
            yield at, first

    def following(self, now: float) -> Session | None:
        """The next conversation of a user who is done with one; None where no more begin."""
        return next(self._sessions, None) if now < self._limit else None

    def request(self, session: Session, turn: int, due: float, said: int) -> Request:
        """One request of a conversation. said: tokens of all that was said before."""
        asked = session.turns[turn]
        index, self._count = self._count, self._count + 1
        prompt = max(1, said + _tokens(asked))
        content, home = self._known(session, asked, turn, prompt)
        return Request(
            index,
            prompt,
            _answer(asked),
            due,
            session=session.index,
            turn=turn,
            content=content,
            home=home,
        )

    def _known(
        self, session: Session, asked: Turn, turn: int, prompt: int
    ) -> tuple[tuple[Hashable, ...], tuple[Hashable, ...]]:
        """The names of its full blocks, and what a balancer knows its beginning by."""
        several = len(session.turns) > 1
        shared = len(asked.parts) > 1
        if not several and not shared:
            return (), ()
        ends = range(self._block, (prompt + (_answer(asked) if several else 0)) + 1, self._block)
        homes = range(HOME, min(prompt, 64 * HOME) + 1, HOME)
        opening = _spans(session.turns[0])
        own = ("session", session.index)
        if several:
            opening = opening[:-1]
        return (
            tuple((_name(opening, end, own), end) for end in ends),
            tuple((_name(opening, end, own), end) for end in homes),
        )


def _spans(turn: Turn) -> list[tuple[int, Hashable]]:
    """Where each part ends, and what all up to there is called: its key stands for what is before it, too."""
    out: list[tuple[int, Hashable]] = []
    end, before = 0, 0
    for part in turn.parts:
        end += part.tokens
        before = hash((before, part.key))
        out.append((end, before))
    return out


def _name(spans: list[tuple[int, Hashable]], end: int, own: Hashable) -> Hashable:
    """The part in which a block ends."""
    return next((name for upto, name in spans if end <= upto), own)


def _tokens(turn: Turn) -> int:
    """Tokens that a turn adds."""
    if turn.parts:
        return turn.input
    if turn.text is not None:
        return len(turn.text) // LETTERS + 1
    return sum(len(str(one.get("content", ""))) for one in turn.messages) // LETTERS + 1


def _answer(turn: Turn) -> int:
    """Tokens of its answer. Raises: UsageError, where only a model would know."""
    if turn.output is None:
        raise UsageError(
            "the workload does not say how long answers are",
            why="a simulation has no model that would end them",
            fix="--output-len 128, or max_tokens with each prompt",
            rule="simulate-output",
        )
    return turn.output
