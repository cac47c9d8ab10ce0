"""The life of the process: start-up, service, end."""

import asyncio
import contextlib
import gc
import resource
import signal
import socket
import time

from stoker.system.http1 import HttpServer
from stoker.targets.simulated import startlog
from stoker.targets.simulated.engine import Engine
from stoker.targets.simulated.faults import ControlFile
from stoker.targets.simulated.options import Options
from stoker.targets.simulated.server import Server

_POLL_SECONDS = 0.05
_WATCHDOG_SECONDS = 5.0
_FOR_EVER = 1e9
_OPEN_FILES = 65535


async def serve(options: Options) -> int:
    """Runs one engine until SIGTERM or SIGINT; returns its exit code."""
    engine, stop = Engine(options), asyncio.Event()
    _catch_signals(engine, stop)
    if not await _started(engine, stop):
        return 1
    if stop.is_set():
        return 0
    http = HttpServer(Server(engine).handle)
    host = options.host or "0.0.0.0"
    port = await http.listen(host, options.port)
    engine.set(engine.simulation)
    startlog.ready(host, port)
    gc.freeze()
    engine.leaving = stop.set
    watch = asyncio.create_task(_watch(engine, options.control))
    await stop.wait()
    watch.cancel()
    await _end(engine, http, options.shutdown_timeout)
    return 0


def claim_port(options: Options) -> None:
    """Checks that the port is free before anything is loaded, as vLLM does. Raises: OSError."""
    host = options.host or "0.0.0.0"
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, options.port))


def raise_open_files() -> None:
    """Lifts the limit of open files to what vLLM takes, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _OPEN_FILES:
        wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _catch_signals(engine: Engine, stop: asyncio.Event) -> None:
    def terminate() -> None:
        if not engine.faults.ignore_sigterm:
            stop.set()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, terminate)
    loop.add_signal_handler(signal.SIGINT, stop.set)


async def _started(engine: Engine, stop: asyncio.Event) -> bool:
    """Goes through the start-up's phases. False, if the engine failed in it."""
    seconds = engine.simulation.start_seconds
    for number, share in enumerate(startlog.starting(engine.options)):
        if number == 2 and engine.faults.fail_start is not None:
            startlog.failed(engine.faults.fail_start)
            return False
        if stop.is_set():
            return True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), share * seconds)
    return True


async def _watch(engine: Engine, control: ControlFile | None) -> None:
    """Follows the control file; looks every five seconds whether the core lives, and leaves if it does
    not."""
    looked = time.monotonic()
    while True:
        await asyncio.sleep(_POLL_SECONDS)
        _follow(engine, control)
        engine.clock()
        if time.monotonic() - looked >= _WATCHDOG_SECONDS:
            looked = time.monotonic()
            if engine.dead:
                engine.leaving()


def _follow(engine: Engine, control: ControlFile | None) -> None:
    """Takes over what the control file says, if it has changed; what it says wrongly is logged."""
    if control is None:
        return
    try:
        simulation = control.poll()
    except (ValueError, OSError) as error:
        startlog.line("APIServer", "simulated", f"control file not read: {error}", "WARNING")
        return
    if simulation is not None:
        engine.set(simulation)


async def _end(engine: Engine, http: HttpServer, drain: float) -> None:
    """What runs may end by itself for `drain` seconds, what is new is refused; then the core is gone.

    Streams that are open then get no event and no end: as with vLLM, the process stays until their clients
    leave.
    """
    if not engine.dead:
        startlog.stopping("drain" if drain else "abort", drain, engine.batch.seats_running)
    engine.closing = True
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(drain):
            while engine.batch.running and not engine.dead:
                await asyncio.sleep(_POLL_SECONDS)
    engine.stalled = True
    await http.stop(_FOR_EVER)
