"""Those who send: conversations of an open loop at their times, users of a closed one who wait and think."""

from __future__ import annotations

import math
from collections.abc import Callable

from stoker.simulator.request import Request
from stoker.simulator.source import Source
from stoker.traffic.workload import Session, Workload

ROUND = 0.005  # seconds of the shortest answer, a refusal: who asks again at once does so after it
At = Callable[[float, Callable[[float], None]], None]


class Clients:
    """All of a workload's. ask: hands a request over; at: does something at a moment.

    due: when the next conversation begins by itself; later: turns that wait for their users to think.
    """

    def __init__(
        self, workload: Workload, block_size: int, ask: Callable[[Request, float], None], at: At
    ) -> None:
        self._source = Source(workload, block_size)
        self._opening = self._source.opening()
        self._ask, self._at = ask, at
        self._next: tuple[float, Session] | None = next(self._opening, None)
        self._talks: dict[int, Session] = {}
        self.later = 0

    @property
    def due(self) -> float:
        """When the next one comes."""
        return math.inf if self._next is None else self._next[0]

    @property
    def over(self) -> bool:
        """Whether nobody comes any more, but in answer to what runs."""
        return self._next is None and not self.later

    def arrive(self) -> None:
        """The one that is due comes."""
        assert self._next is not None
        due, session = self._next
        self._next = next(self._opening, None)
        self._talk(session, due)

    def done(self, request: Request, now: float) -> None:
        """What the user of a request does next: speaks on, begins anew, or goes."""
        session = self._talks.get(request.session)
        if session is None:
            return
        ended = max(now if request.last_at is None else request.last_at, request.due + ROUND)
        if request.failed is None and request.turn + 1 < len(session.turns):
            turn = request.turn + 1
            self._think(session, turn, ended + session.turns[turn].think, request.prompt + request.written)
            return
        del self._talks[request.session]
        if self._source.loop is not None:
            self.later += 1
            self._at(ended + self._source.loop.think_time, self._next_of_user)

    def _talk(self, session: Session, due: float) -> None:
        if len(session.turns) > 1 or self._source.loop is not None:
            self._talks[session.index] = session
        self._ask(self._source.request(session, 0, due, 0), due)

    def _think(self, session: Session, turn: int, when: float, said: int) -> None:
        self.later += 1

        def speak(now: float) -> None:
            self.later -= 1
            self._ask(self._source.request(session, turn, now, said), now)

        self._at(when, speak)

    def _next_of_user(self, now: float) -> None:
        self.later -= 1
        session = self._source.following(now)
        if session is not None:
            self._talk(session, now)
