"""The gateway as a process: it listens, follows its replicas, and lets answers in progress finish when it is told to stop."""

import asyncio
import contextlib
import gc
import logging
import resource
import signal
from collections.abc import Awaitable, Callable

from stoker.system.http1 import HttpServer
from stoker.system.log import setup
from stoker.targets.gateway.app import App
from stoker.targets.gateway.config import Settings
from stoker.targets.gateway.replicas import Replicas

STOP_SECONDS = 10.0
Follow = Callable[[Settings, Replicas], Awaitable[None]]

log = logging.getLogger("stoker.gateway")


def raise_open_files() -> None:
    """A relayed stream takes two files: the soft limit goes up to the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = hard if hard != resource.RLIM_INFINITY else 1 << 20
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def serve(settings: Settings, follow: Follow, linger: float, drain: float) -> None:
    """Serves until SIGTERM or SIGINT; then goes on for `linger` seconds, and lets answers finish for `drain` more."""
    replicas = Replicas()
    app = App(settings, replicas)
    server = HttpServer(app, app.refusal, app.terms)
    await server.listen(settings.host, settings.port)
    gc.freeze()  # what start-up made stays; looking through it would hold up every stream
    log.warning("listening on %s:%d", settings.host, settings.port)
    following = asyncio.ensure_future(follow(settings, replicas))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await asyncio.sleep(linger)
    following.cancel()
    await server.stop(drain)


def run(settings: Settings, follow: Follow, *, linger: float = 0.0, drain: float = STOP_SECONDS) -> int:
    """Runs the gateway; 0 after a stop, 1 where the port cannot be had."""
    setup("gateway")
    raise_open_files()
    try:
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(settings, follow, linger, drain))
    except OSError as error:
        log.error("%s:%d cannot be bound: %s", settings.host, settings.port, error)
        return 1
    return 0
