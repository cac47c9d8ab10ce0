"""What a set-up shows: one line a stage, with its time; what programs print goes to a log."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# What would make the install write or look elsewhere than into `.venv`, or write no bytecode.
FOREIGN = (
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "PIP_USER",
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_REQUIRE_VIRTUALENV",
    "UV_SYSTEM_PYTHON",
    "UV_PYTHON",
    "UV_TARGET",
    "UV_PREFIX",
)
TAIL = 12  # lines of a failed program's output that are shown
BEAT = 30.0  # seconds between two signs of life where there is no terminal


class Failed(Exception):
    """What failed, why, and the fix; `code` is the exit code: 1 the world failed, 2 your mistake."""

    def __init__(self, what: str, why: str = "", fix: str = "", code: int = 1) -> None:
        super().__init__(what)
        self.what, self.why, self.fix, self.code = what, why, fix, code

    def __str__(self) -> str:
        told = [(label, text) for label, text in (("why", self.why), ("fix", self.fix)) if text]
        lines = [f"  {label}  " + text.replace("\n", "\n       ") for label, text in told]
        return "\n".join([f"error: {self.what}", *lines])


def say(subject: str, text: str, took: float | None = None, sign: str = "ok") -> None:
    """One line; `took` in seconds."""
    sys.stderr.write(f"  {sign:<5} {subject:<11} {text}" + ("" if took is None else f"  {took:.1f}s") + "\n")
    sys.stderr.flush()


class Log:
    """One file for everything that the set-up's programs print."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def clear(self) -> None:
        self.path.write_bytes(b"")

    def last_line(self) -> str:
        """What was printed last, '' where the program has said nothing yet."""
        try:
            with self.path.open("rb") as file:
                file.seek(max(0, self.path.stat().st_size - 2000))
                lines = file.read().decode("utf-8", "replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1].strip() if lines and not lines[-1].startswith("$ ") else ""

    def run(self, what: str, argv: list[object], env: dict[str, str] | None = None, fix: str = "") -> None:
        """Runs a program without input. Raises: Failed, with the end of what it printed."""
        words = [str(word) for word in argv]
        environment = {name: value for name, value in os.environ.items() if name not in FOREIGN}
        with self.path.open("ab") as log:
            log.write(f"\n$ {' '.join(words)}\n".encode())
            log.flush()
            start = log.tell()
            code = subprocess.call(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**environment, **(env or {})}
            )
        if code:
            text = self.path.read_bytes()[start:].decode("utf-8", "replace").strip().splitlines()
            why = "\n".join(text[-TAIL:]) or f"exit code {code}"
            raise Failed(f"{what} failed", why, f"{fix or 'see the whole log'}: {self.path}")


@contextmanager
def stage(subject: str, text: str, log: Log) -> Iterator[list[str]]:
    """Shows that a stage runs, with what its program printed last, then `text` and how long it took.

    The list that it gives takes what is to be said at the end instead of `text`; '' says nothing.
    """
    begun, done, told = time.monotonic(), threading.Event(), [text]
    watcher = threading.Thread(target=_watch, args=(subject, log, begun, done), daemon=True)
    watcher.start()
    try:
        yield told
    finally:
        done.set()
        watcher.join()
    if told[-1]:
        say(subject, told[-1], time.monotonic() - begun)


def _watch(subject: str, log: Log, begun: float, done: threading.Event) -> None:
    terminal = sys.stderr.isatty()
    while not done.wait(0.5 if terminal else BEAT):
        line = f"  ...   {subject:<11} {time.monotonic() - begun:.0f}s  {log.last_line()}"[: _width() - 1]
        sys.stderr.write(f"\r\x1b[K{line}" if terminal else f"{line}\n")
        sys.stderr.flush()
    if terminal:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


def _width() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except OSError:
        return 110
