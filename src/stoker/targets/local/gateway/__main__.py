"""The gateway's process: `python -m stoker.targets.local.gateway SETTINGS`."""

import asyncio
import contextlib
import logging
import resource
import signal
import sys
from pathlib import Path

from stoker.system.http1 import HttpServer
from stoker.targets.local.gateway.app import App
from stoker.targets.local.gateway.config import Routes, Seen, Settings
from stoker.targets.local.gateway.replicas import Replicas

FOLLOW_SECONDS = 0.05
STOP_SECONDS = 10.0

log = logging.getLogger("stoker.gateway")


def raise_open_files() -> None:
    """A relayed stream takes two files: the soft limit goes up to the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = hard if hard != resource.RLIM_INFINITY else 1 << 20
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def follow(settings: Settings, replicas: Replicas) -> None:
    """Follows the routes file for ever, and reports what was seen: the supervisor drains by it."""
    stamp, said = 0, None
    while True:
        with contextlib.suppress(OSError, ValueError, KeyError):
            changed = settings.routes_file.stat().st_mtime_ns
            if changed != stamp:
                replicas.follow(Routes.read(settings.routes_file))
                stamp = changed
            leaving = {r.id: len(r.running) for r in replicas if r.leaving}
            seen = Seen(replicas.revision, leaving, tuple(sorted(r.id for r in replicas.ready())))
            if seen != said:
                seen.write(settings.seen_file)
                said = seen
        await asyncio.sleep(FOLLOW_SECONDS)


async def serve(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT, then lets answers in progress finish."""
    replicas = Replicas()
    server = HttpServer(App(settings, replicas))
    await server.listen(settings.host, settings.port)
    log.warning("listening on %s:%d", settings.host, settings.port)
    following = asyncio.create_task(follow(settings, replicas))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    following.cancel()
    await server.stop(STOP_SECONDS)


def main() -> int:
    """Runs the gateway; 0 after a stop, 1 where the port cannot be had."""
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.WARNING, stream=sys.stderr)
    raise_open_files()
    settings = Settings.read(Path(sys.argv[1]))
    try:
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(settings))
    except OSError as error:
        log.error("%s:%d cannot be bound: %s", settings.host, settings.port, error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
