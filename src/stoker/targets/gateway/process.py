"""The gateway as a process: it listens, follows its replicas, and lets answers in progress finish when it is
told to stop."""

import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from stoker.system import loop
from stoker.system.http1 import HttpServer
from stoker.system.log import setup
from stoker.targets.gateway.app import App
from stoker.targets.gateway.config import Settings
from stoker.targets.gateway.replicas import Replicas

CUT_SECONDS = 2.0  # for the last words of answers that were given no more time
Follow = Callable[[Settings, Replicas, App], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a gateway ends, in seconds: it goes on for `linger`, then accepts nothing new; answers in progress
    have `drain` to finish, and connections without a request `idle` to send one more. A request that has
    shown nothing by then has `unbegun` more, where the fleet goes on: nobody else would answer it.
    """

    linger: float = 0.0
    drain: float = 10.0
    idle: float = 0.0
    unbegun: float = 0.0


log = logging.getLogger("stoker.gateway")


def raise_open_files() -> None:
    """A relayed stream takes two files: the soft limit goes up to the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = hard if hard != resource.RLIM_INFINITY else 1 << 20
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Entrance(Protocol):
    """How a gateway comes to its sockets."""

    async def open(self, server: HttpServer) -> None:
        """Begins to accept, at once or when it may. Raises: OSError."""

    def close(self) -> None:
        """It accepts no more."""


class Bound:
    """Its own host and port."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port

    async def open(self, server: HttpServer) -> None:
        """Binds them."""
        await server.listen(self._host, self._port)

    def close(self) -> None:
        """Nothing more to let go."""


async def serve(settings: Settings, follow: Follow, entrance: Entrance, ending: Ending) -> None:
    """Serves until SIGTERM or SIGINT; then ends as `ending` says."""
    replicas = Replicas()
    app = App(settings, replicas)
    server = HttpServer(app, app.refusal, app.terms)
    gc.freeze()  # what start-up made stays; looking through it would hold up every stream
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    following = asyncio.ensure_future(follow(settings, replicas, app))
    opened = asyncio.ensure_future(entrance.open(server))
    opened.add_done_callback(lambda _: app.opened())
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait((opened, stopped), return_when=asyncio.FIRST_COMPLETED)
    if not opened.done():
        os._exit(0)  # it never answered anybody
    opened.result()
    log.warning("listening on %s:%d", settings.host, settings.port)
    await stopped
    await asyncio.sleep(ending.linger)
    server.refuse()
    entrance.close()
    idle = 0.0 if replicas.stopping else ending.idle
    if not await server.drain(ending.drain, idle):
        await _cut(server, replicas, ending.unbegun)
    await server.stop(0.0)
    following.cancel()


async def _cut(server: HttpServer, replicas: Replicas, unbegun: float) -> None:
    """Ends answers in progress with an error event; those that nobody has seen anything of are the last."""
    deadline = time.monotonic() + unbegun
    while not replicas.stopping and time.monotonic() < deadline:
        replicas.cut_begun()
        if await server.drain(CUT_SECONDS):
            return
    replicas.close()
    await server.drain(CUT_SECONDS)


def run(settings: Settings, follow: Follow, ending: Ending, entrance: Entrance | None = None) -> int:
    """Runs the gateway; 0 after a stop, 1 where the port cannot be had."""
    setup("gateway")
    raise_open_files()
    try:
        with asyncio.Runner(loop_factory=loop.factory()) as runner:
            runner.run(serve(settings, follow, entrance or Bound(settings.host, settings.port), ending))
    except OSError as error:
        log.error("%s:%d cannot be bound: %s", settings.host, settings.port, error)
        return 1
    return 0
