"""Sender: sends one worker's share of a workload when it is due, and hands on a record for each request."""

import asyncio
import gc
from collections.abc import Callable

from stoker.bench.connection import Connection, clock, trusted
from stoker.bench.conversation import Talk
from stoker.bench.job import Job, Writer
from stoker.traffic.arrivals import ClosedLoop
from stoker.traffic.records import ErrorKind, RequestRecord
from stoker.traffic.workload import Session, sessions, turns

CONNECT_SECONDS = 10.0
KEEP_SECONDS = 4.0  # uvicorn closes an idle connection after 5 s
BURST = 16  # requests sent in a row by a worker that is late, before it reads what has come


class Sender:
    """Sends a job's requests from `start` on (of the clock); `record` takes what became of each."""

    def __init__(self, job: Job, record: Callable[[RequestRecord], None]) -> None:
        self.job = job
        self.writer = Writer(job)
        self.record = record
        self.start = 0.0
        self.running: dict[Talk, None] = {}
        self.sent = 0
        self.loop = asyncio.get_running_loop()
        self._idle: list[tuple[float, Connection]] = []
        self._waiting: dict[asyncio.TimerHandle, None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = False
        self._open = 0  # conversations that have begun and not ended
        self._last = asyncio.Event()
        self._tls = trusted(job.verify) if self.writer.tls else None

    async def run(self, start: float) -> None:
        """Sends everything, and waits for the answers, but no longer than the job's grace."""
        self.start = start
        gc.collect()
        gc.freeze()
        gc.disable()  # a collection would hold up every stream; what is made here holds no circles
        try:
            if isinstance(self.job.workload.arrivals, ClosedLoop):
                self._enter(self.job.workload.arrivals)
            else:
                await self._dispatch()
            await self._settle()
        finally:
            gc.enable()
            self._close()

    async def _dispatch(self) -> None:
        """An open loop: each conversation at its time, whatever became of those before."""
        late = 0
        for session in sessions(self.job.workload, self.job.worker, self.job.workers):
            talk = Talk(self, session, self._ended)
            assert session.at is not None
            due = self.start + session.at
            left = due - clock()
            late = 0 if left > 0 else late + 1
            if left > 0 or late >= BURST:
                late = 0
                await asyncio.sleep(max(0.0, left))
            self._begin(talk, due)

    def _begin(self, talk: Talk, due: float) -> None:
        self._open += 1
        self._last.clear()
        talk.begin(due)

    def _enter(self, loop: ClosedLoop) -> None:
        """A closed loop: each user's first conversation; the next follows from the one before."""
        for user in range(self.job.worker, loop.users, self.job.workers):
            self._next(user, self.start + loop.spawn * user / loop.users)

    def _next(self, index: int, due: float) -> None:
        """A user's conversation at its time. They take turns, so that who takes which is known before."""
        loop, limit = self.job.workload.arrivals, self.job.workload.limit
        assert isinstance(loop, ClosedLoop)
        if limit is not None and index >= limit:
            return

        def ended(talk: Talk) -> None:
            self._next(index + loop.users, clock() + loop.think_time)
            self._ended(talk)

        talk = Talk(self, Session(index, None, turns(self.job.workload, index)), ended)
        self._open += 1
        if not self.later(due, lambda: talk.begin(due)):
            self._open -= 1

    def _ended(self, _: Talk) -> None:
        self._open -= 1
        if not self._open:
            self._last.set()

    def later(self, due: float, do: Callable[[], None]) -> bool:
        """Does something when it is due. False: that is after the end, and nothing is done."""
        if self._stopped or due - self.start >= self.job.workload.duration:
            return False
        handle: asyncio.TimerHandle

        def act() -> None:
            self._waiting.pop(handle, None)
            do()

        handle = self.loop.call_later(max(0.0, due - clock()), act)
        self._waiting[handle] = None
        return True

    async def _settle(self) -> None:
        """Waits until all have ended; those that run beyond the grace are given up."""
        end = self.start + self.job.workload.duration
        while self._open:
            left = end + self.job.grace - clock() if end < float("inf") else self.job.timeout * 2
            if left <= 0:
                break
            try:
                await asyncio.wait_for(self._last.wait(), min(left, 1.0))
            except TimeoutError:
                continue
        self.stop("timeout", f"no whole answer {self.job.grace:g} s after the last request was due")

    def stop(self, kind: ErrorKind = "cancelled", why: str = "the test was interrupted") -> None:
        """Gives up everything that runs or waits; nothing more begins."""
        self._stopped = True
        for handle in self._waiting:
            handle.cancel()
        self._waiting.clear()
        for talk in list(self.running):
            talk.give_up(kind, why)

    def idle(self) -> Connection | None:
        """A connection that can be used again."""
        now = clock()
        while self._idle:
            since, connection = self._idle.pop()
            if not connection.closed and now - since < KEEP_SECONDS:
                return connection
            connection.close()
        return None

    def give_back(self, connection: Connection) -> None:
        """Keeps a connection for the next request."""
        self._idle.append((clock(), connection))

    def connect(self, talk: Talk) -> None:
        """Makes a connection, and sends over it."""
        task = self.loop.create_task(self._connect(talk))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, talk: Talk) -> None:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, connection = await self.loop.create_connection(
                    Connection, self.writer.host, self.writer.port, ssl=self._tls
                )
        except TimeoutError:
            self._unreached(talk, f"no connection within {CONNECT_SECONDS:g} s")
        except OSError as error:
            self._unreached(talk, str(error) or type(error).__name__)
        else:
            if talk in self.running:
                talk.send(connection)
            else:
                connection.close()

    def _unreached(self, talk: Talk, why: str) -> None:
        if talk in self.running:
            talk.unreached(why)

    def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for _, connection in self._idle:
            connection.close()
