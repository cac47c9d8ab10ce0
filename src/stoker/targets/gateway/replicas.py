"""The replicas as the gateway sees them: who is in rotation, and the requests in flight on each."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from stoker.system.descriptors import exhausted
from stoker.system.pool import Pool, fetch
from stoker.system.upstream import late
from stoker.targets.gateway.config import Route, Routes

log = logging.getLogger(__name__)

CHECK_SECONDS = 0.5
CHECK_TIMEOUT = 1.0
HANG_SECONDS = 5.0


class InFlight(Protocol):
    """A request in flight: whether its own client holds it up, and how it is told that its replica is given
    up."""

    choked: bool

    @property
    def begun(self) -> bool:
        """Whether its client has seen something of its answer."""

    def abandon(self, why: str, begun: bool = False) -> None: ...


class Replica:
    """One replica: its connections, whether it is healthy, and what runs on it through this gateway."""

    def __init__(self, route: Route, changed: Callable[[], None]) -> None:
        self.id = route.id
        self.route = route
        self.pool = Pool(route.host, route.port)
        self.healthy = False
        self.leaving = route.leaving
        self.last_byte = 0.0
        self.running: set[InFlight] = set()
        self.failing_since: float | None = None
        self._busy_since: float | None = None
        self._unanswered: float | None = None
        self._changed = changed
        self._task = asyncio.get_running_loop().create_task(self._check_forever())

    @property
    def ready(self) -> bool:
        """Whether new requests may go there."""
        return self.healthy and not self.leaving

    def failed(self, why: str) -> None:
        """A connection was refused or lost: out of rotation until the next good check."""
        if self.healthy:
            log.warning("replica %s is out of rotation: %s", self.id, why)
        self.healthy = False
        self.failing_since = self.failing_since or time.monotonic()

    def silent_since(self, now: float) -> float | None:
        """When something last came of it, or requests began to wait there; None where none does. Asked
        regularly."""
        if self._unanswered is not None and self.last_byte > self._unanswered:
            self._unanswered = None
        if all(one.choked for one in self.running):
            self._busy_since = None
            return self._unanswered
        self._busy_since = self._busy_since or now
        return max(self._busy_since if self._unanswered is None else self._unanswered, self.last_byte)

    def left_unanswered(self, began: float) -> None:
        """A client has left before anything came: until something does, nobody knows whether it would
        have."""
        if self.last_byte < began:
            self._unanswered = began if self._unanswered is None else self._unanswered

    def cut(self, *, begun_only: bool = False) -> None:
        """Ends what still runs there: sent again elsewhere where nothing was shown, else ended with an error
        event. begun_only: what has shown nothing yet goes on."""
        for one in list(self.running):
            if one.begun or not begun_only:
                one.abandon("it was given no more time to finish", begun=True)

    async def check(self) -> bool:
        """Asks `/health` once and acts on the answer; True where it is well."""
        began = time.monotonic()
        try:
            status, _ = await fetch(self.pool, b"/health", [], CHECK_TIMEOUT)
            why = f"/health answered {status}"
        except TimeoutError:
            if late(began, CHECK_TIMEOUT):
                return self.healthy  # this process itself had no time: nothing is known of the replica
            status, why = 0, f"/health did not answer within {CHECK_TIMEOUT:g} s"
        except OSError as error:
            if exhausted(error):
                return self.healthy  # this side has no descriptor left: nothing is known of the replica
            status, why = 0, f"/health failed: {error}"
        if status == 200:
            self._well()
        elif not why.endswith(" s") or time.monotonic() - self.last_byte > CHECK_TIMEOUT:
            self.failed(why)  # a slow check is no failure while its streams flow
            self._give_up_if_hung(why)
        return status == 200

    def _well(self) -> None:
        self.failing_since = None
        if not self.healthy:
            log.warning("replica %s is in rotation", self.id)
            self.healthy = True
            self._changed()

    def _give_up_if_hung(self, why: str) -> None:
        if self.failing_since and time.monotonic() - self.failing_since > HANG_SECONDS:
            for one in list(self.running):
                one.abandon(f"the replica hangs: {why}")

    async def _check_forever(self) -> None:
        while True:
            await self.check()
            await asyncio.sleep(CHECK_SECONDS if self.healthy else CHECK_SECONDS / 2)

    def close(self) -> None:
        """No more checks, no idle connections; requests in flight go on."""
        self._task.cancel()
        self.pool.close()


class Replicas:
    """All replicas. Requests wait here while none is ready."""

    def __init__(self) -> None:
        self._by_id: dict[str, Replica] = {}
        self._waiters: set[asyncio.Future[None]] = set()
        self.revision = 0
        self.reason = Routes().reason
        self.stopping = False
        self._closed = False

    def follow(self, routes: Routes) -> None:
        """Takes the supervisor's list: new ones come in, others leave, unknown ones go."""
        self.revision, self.reason = routes.revision, routes.reason
        self.stopping = routes.stopping or self._closed
        wanted = {route.id: route for route in routes.routes}
        for key, replica in list(self._by_id.items()):
            route = wanted.get(key)
            if route is None or (route.host, route.port) != (replica.route.host, replica.route.port):
                self._by_id.pop(key).close()
            else:
                replica.leaving = route.leaving
                if route.cut:
                    replica.cut()
        for key, route in wanted.items():
            if key not in self._by_id:
                self._by_id[key] = Replica(route, self.wake)
        self.wake()

    def __iter__(self) -> Iterator[Replica]:
        return iter(list(self._by_id.values()))

    def ready(self) -> list[Replica]:
        """Those that take new requests."""
        return [] if self._closed else [replica for replica in self._by_id.values() if replica.ready]

    def close(self) -> None:
        """The gateway ends: what has begun ends with an error event, everything else is told to ask again."""
        self._closed = self.stopping = True
        for replica in self._by_id.values():
            replica.cut()
        self.wake()

    def cut_begun(self) -> None:
        """Ends the answers that have begun, with an error event."""
        for replica in self._by_id.values():
            replica.cut(begun_only=True)

    async def wait(self, seconds: float) -> None:
        """Returns when something may have become ready, or after `seconds`."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await asyncio.wait_for(waiter, max(0.0, seconds))
        except TimeoutError:
            pass
        finally:
            self._waiters.discard(waiter)

    def wake(self) -> None:
        """Lets everyone that waits look again."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
