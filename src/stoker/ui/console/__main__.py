"""The web app's process: `python -m stoker.ui.console --endpoint URL --model NAME`."""

import logging
import socket
import sys

import uvicorn

from stoker.ui.console.app import Console
from stoker.ui.console.settings import read


def main() -> int:
    """Serves until SIGTERM; 2 where the port cannot be had."""
    settings = read()
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.WARNING, stream=sys.stderr)
    listener = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        sys.stderr.write(f"error: {settings.host}:{settings.port} cannot be bound: {error.strerror}\n")
        return 2
    config = uvicorn.Config(Console(settings), log_level="warning", access_log=False, timeout_graceful_shutdown=1)
    uvicorn.Server(config).run(sockets=[listener])
    return 0


if __name__ == "__main__":
    sys.exit(main())
