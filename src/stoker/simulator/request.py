"""One simulated request: a sequence of the scheduler's, and what its client saw."""

from __future__ import annotations

from collections.abc import Hashable

from stoker.engine.scheduler import Sequence
from stoker.traffic.records import ErrorKind


class Request(Sequence):
    """Times are seconds from the start. due: when it was to be sent; first and last: of its first and last
    token, None without; failed: how it failed. replica: which one answered it, 0 for none yet; tries: how
    often it was handed to one. beside: seconds that it takes beside its engine's steps. session, turn: its
    place in its conversation."""

    __slots__ = (
        "beside",
        "due",
        "failed",
        "first",
        "home",
        "index",
        "last_at",
        "replica",
        "session",
        "tries",
        "turn",
    )

    def __init__(
        self,
        index: int,
        prompt: int,
        output: int,
        due: float,
        *,
        session: int = 0,
        turn: int = 0,
        content: tuple[Hashable, ...] = (),
        home: tuple[Hashable, ...] = (),
    ) -> None:
        """One that is due. home: what a balancer knows its beginning by."""
        super().__init__(str(index), prompt, output, arrival=due, content=content)
        self.index, self.due, self.session, self.turn, self.home = index, due, session, turn, home
        self.first: float | None = None
        self.last_at: float | None = None
        self.failed: ErrorKind | None = None
        self.replica = self.tries = 0
        self.beside = 0.0

    @property
    def ttft(self) -> float | None:
        """Seconds to the first token, from when it was due."""
        return None if self.first is None else self.first - self.due
