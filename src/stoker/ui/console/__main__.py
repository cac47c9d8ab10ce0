"""The web app's process: `python -m stoker.ui.console --endpoint URL --model NAME`."""

import asyncio
import contextlib
import errno
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator

import click
import uvicorn

from stoker.errors import PortTaken, StokerError, UsageError
from stoker.system.log import Structured, setup
from stoker.ui.console.app import create
from stoker.ui.console.settings import read
from stoker.ui.findings import plain

STOP_SECONDS = 1
NICE = 10  # who watches gives way to what is watched: engines on CPUs wait for their slowest core


class Server(uvicorn.Server):
    """uvicorn, stopped by a signal with exit code 0 instead of by the signal itself."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.leave)
        yield

    def leave(self) -> None:
        """Stops serving; what is still open then is cut after STOP_SECONDS, and uvicorn need not say so."""
        logging.disable(logging.CRITICAL)
        self.should_exit = True


class OneLine(logging.Formatter):
    """Log lines without tracebacks: the last line of an error says what it was."""

    def format(self, record: logging.LogRecord) -> str:
        """The message, with the exception's own words behind it."""
        error = record.exc_info[1] if record.exc_info else None
        first = record.getMessage().splitlines()[0]
        return f"{self.formatTime(record, '%H:%M:%S')} {first}" + (
            f" {type(error).__name__}: {error}" if error else ""
        )


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises: PortTaken, UsageError."""
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=512
        )
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(
                f"port {port} of {host} is in use", why="another process listens there", fix="another --port"
            ) from None
        raise UsageError(
            f"cannot listen on {host}:{port}",
            why=error.strerror or str(error),
            fix="an address of this machine: --host, --port",
        ) from None


def main() -> int:
    """Serves until SIGTERM or SIGINT; 0 then, 2 where it cannot begin."""
    setup("page")
    for handler in logging.getLogger().handlers:
        if not isinstance(handler.formatter, Structured):
            handler.setFormatter(OneLine())
    try:
        settings = read()
        if not settings.loopback and settings.key is None and not settings.unlocked:
            raise UsageError(
                f"{settings.host}:{settings.port} is reached from beyond this machine",
                why="without a key, anyone there could chat",
                fix="--key-file FILE locks it",
            )
        listening = listen(settings.host, settings.port)
    except StokerError as error:
        click.echo(plain(error.finding), err=True)
        return error.exit_code
    os.nice(NICE)
    config = uvicorn.Config(
        create(settings),
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # who asks is who is connected, whatever a header says
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    asyncio.run(Server(config).serve([listening]))
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # Gradio may still be loading in its thread: nobody waits for it
