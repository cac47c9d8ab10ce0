"""A conversation that is sent: turn after turn, each answer into the next prompt; a record for each."""

import asyncio
from array import array
from collections.abc import Callable
from typing import TYPE_CHECKING

from stoker.bench.connection import Connection, Reply, clock
from stoker.traffic import answers
from stoker.traffic.answers import Answered
from stoker.traffic.records import ErrorKind, Failure, RequestRecord
from stoker.traffic.workload import Session

if TYPE_CHECKING:
    from stoker.bench.sender import Sender


class Talk:
    """One conversation. `done` is called after its last turn."""

    __slots__ = (
        "_connection",
        "_done",
        "_due",
        "_messages",
        "_prepared",
        "_sender",
        "_sent",
        "_session",
        "_timer",
        "_turn",
    )

    def __init__(self, sender: "Sender", session: Session, done: "Callable[[Talk], None]") -> None:
        self._sender, self._session, self._done = sender, session, done
        self._turn = 0
        self._messages: list[dict[str, object]] = []
        self._prepared = b""
        self._due = 0.0
        self._sent: float | None = None
        self._connection: Connection | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.prepare()

    def prepare(self) -> None:
        """Makes the next request, so that nothing but sending it is left when it is due."""
        turn = self._session.turns[self._turn]
        if turn.messages:
            self._messages = [*self._messages, *turn.messages]
        else:
            text = self._sender.job.vocabulary.text(turn, first=not self._turn)
            self._messages.append({"role": "user", "content": text})
        self._prepared = self._sender.writer.request(self._messages, turn.output)

    def begin(self, due: float) -> None:
        """Sends the next request, which was due at that time (of the clock)."""
        self._due, self._sent, self._timer = due, None, None
        self._sender.running[self] = None
        connection = self._sender.idle()
        if connection is None:
            self._sender.connect(self)
        else:
            self.send(connection)

    def send(self, connection: Connection) -> None:
        """Sends what is prepared over a connection."""
        self._connection = connection
        left = connection.send(self._prepared, self._answered)
        if self._sent is None:
            self._sent = left
            self._timer = self._sender.loop.call_later(self._sender.job.timeout, self._timed_out)

    def unreached(self, why: str) -> None:
        """No connection could be had."""
        self._end(Answered(failure=Failure("refused", why)), clock())

    def _answered(self, connection: Connection, reply: Reply) -> None:
        if reply.lost and not reply.body and connection.gone_stale():
            self._connection = None
            self._sender.connect(self)  # the server had closed it before it was used: nothing was asked yet
            return
        if connection.free:
            self._sender.give_back(connection)
        if reply.status == 200 and not reply.malformed:
            keep = self._turn + 1 < len(self._session.turns)
            answer = answers.read_stream(reply.body, not reply.lost, keep)
        else:
            answer = Answered(failure=_broken(reply))
        self._end(answer, reply.ended, reply.replica)

    def _timed_out(self) -> None:
        self.give_up("timeout", f"no whole answer after {self._sender.job.timeout:g} s")

    def give_up(self, kind: ErrorKind, why: str) -> None:
        """Ends the request that runs; its client leaves."""
        if self._connection is not None:
            self._connection.cancel()
        self._end(Answered(failure=Failure(kind, why)), clock())

    def _end(self, answer: Answered, at: float, replica: str = "") -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._sender.running.pop(self, None)
        self._connection = None
        self._sender.record(self._record(answer, at, replica))
        turns = self._session.turns
        if answer.failure is not None or self._turn + 1 >= len(turns):
            self._skip(answer)
            self._done(self)
            return
        self._turn += 1
        self._messages.append({"role": "assistant", "content": answer.text})
        self.prepare()
        due = at + turns[self._turn].think
        if not self._sender.later(due, lambda: self.begin(due)):
            self._done(self)

    def _skip(self, answer: Answered) -> None:
        """The turns after one that failed cannot be sent: each is a failure of its own."""
        if answer.failure is None or answer.failure.kind == "cancelled":
            return
        for turn in range(self._turn + 1, len(self._session.turns)):
            now = clock() - self._sender.start
            why = Failure("skipped", "the turn before it failed")
            self._sender.record(
                RequestRecord(self._session.index, now, session=self._session.index, turn=turn, failure=why)
            )

    def _record(self, answer: Answered, at: float, replica: str) -> RequestRecord:
        start, turn = self._sender.start, self._session.turns[self._turn]
        wanted = turn.input if turn.parts and not self._turn and self._sender.job.vocabulary.exact else None
        return RequestRecord(
            index=self._session.index,
            session=self._session.index,
            turn=self._turn,
            scheduled=self._due - start,
            sent=None if self._sent is None else self._sent - start,
            first_event=None if answer.first_event is None else answer.first_event - start,
            times=array("d", [one - start for one in answer.times]),
            counts=answer.counts,
            last=at - start,
            input=answer.input,
            output=answer.output,
            cached=answer.cached,
            wanted=wanted,
            replica=replica,
            failure=answer.failure,
        )


def _broken(reply: Reply) -> Failure:
    """Why an answer is none."""
    if reply.malformed:
        return Failure("malformed", reply.lost)
    if reply.lost:
        return Failure("cut", reply.lost, reply.status or None)
    return answers.refused(reply.status, b"".join(piece for _, piece in reply.body))
