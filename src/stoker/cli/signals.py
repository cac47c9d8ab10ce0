"""A closed terminal and `kill`: what they end, and how."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType


def terminate_as_interrupt() -> None:
    """A closed terminal and `kill` end what runs attached as Ctrl-C does."""

    def interrupt(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    _on_end(interrupt)


def terminate_in_order() -> None:
    """A closed terminal and `kill` end it where Ctrl-C does not, and leave nothing behind that it had
    started."""
    heard = threading.Event()

    def leave(number: int, _: FrameType | None) -> None:
        heard.set()
        sys.exit(128 + number)

    _on_end(leave)
    _repeat_unheard(heard)


def _repeat_unheard(heard: threading.Event) -> None:
    """Sends a signal again that came between the prompt and the wait for a line: readline sleeps on through
    it."""
    read_fd, write_fd = os.pipe()
    os.set_blocking(write_fd, False)
    signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)
    main = threading.main_thread().ident or 0

    def repeat() -> None:
        while True:
            number = os.read(read_fd, 1)[0]
            while number in (signal.SIGTERM, signal.SIGHUP) and not heard.wait(0.2):
                signal.pthread_kill(main, number)

    threading.Thread(target=repeat, daemon=True).start()


def _on_end(handler: Callable[[int, FrameType | None], None]) -> None:
    signal.signal(signal.SIGTERM, handler)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup keeps it
        signal.signal(signal.SIGHUP, handler)
