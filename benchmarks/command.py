"""Stoker's own commands, as the benchmarks call them: what a failed one said is shown, and a lost port tried
again."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import httpx2

LINES = 40
TRIES = 3
OUTGOING = (32768, 60999)  # what Linux gives to connections: a port from there is taken again at any moment
LOST_RACE = ("is taken", "in use", "cannot be bound")

T = TypeVar("T")


class Failed(RuntimeError):
    """A command ended with another code than 0; the text has its last lines."""

    def __init__(self, argv: tuple[str, ...], code: int, said: str) -> None:
        super().__init__(f"`stoker {' '.join(argv)}` ended with exit code {code}:\n{_tail(said)}")
        self.port_lost = any(words in said for words in LOST_RACE)


def stoker(*argv: str, home: str) -> str:
    """Runs a verb in a home of its own; returns what it printed. Raises: Failed."""
    done = subprocess.run(
        [sys.executable, "-m", "stoker", *argv],
        env={**os.environ, "STOKER_HOME": home},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise Failed(argv, done.returncode, done.stdout)
    return done.stdout


def fleets(home: str) -> list[dict[str, object]]:
    """The fleets that run in that home."""
    found: list[dict[str, object]] = json.loads(stoker("status", "-A", "-o", "json", home=home))
    return found


def free_ports(count: int = 2) -> int:
    """The first of so many loopback ports side by side that are free: the web page takes the one after the
    endpoint's."""
    for _ in range(1000):
        first = random.randrange(10000, OUTGOING[0] - count)
        if all(_free(first + n) for n in range(count)):
            return first
    raise RuntimeError(f"no {count} free ports side by side were found")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def with_ports(work: Callable[[int], T], count: int = 2) -> T:
    """Does the work with free ports, and again with others where somebody else was faster. Raises: Failed."""
    for left in reversed(range(TRIES)):
        try:
            return work(free_ports(count))
        except Failed as error:
            if not left or not error.port_lost:
                raise
            print(f"a port was lost to another process; tried again\n{error}", file=sys.stderr)
    raise AssertionError("the last try returns or raises")


@contextlib.contextmanager
def engine(
    argv: list[str], port: int, seconds: float, kept: Path | None = None, /, **env: str
) -> Iterator[None]:
    """An engine that answers /health; ended at the end. kept: the file of its log, if it is to stay.

    Raises: Ended, with its last lines, where it does not answer.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        (kept or Path(folder, "log")).open("w+", errors="replace") as log,
    ):
        process = subprocess.Popen(argv, stdout=log, stderr=log, env={**os.environ, **env}, process_group=0)
        try:
            _answers(process, port, seconds)
            yield
        except Ended as error:
            log.seek(0)
            raise Ended(f"{error}\n{_tail(log.read())}") from None
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # an engine's core outlives the API in front of it


class Ended(RuntimeError):
    """An engine that has ended, or does not answer."""


def _answers(process: "subprocess.Popen[bytes]", port: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if (code := process.poll()) is not None:
            raise Ended(f"the engine ended with exit code {code}:")
        with contextlib.suppress(httpx2.TransportError):
            if httpx2.get(f"http://127.0.0.1:{port}/health", timeout=2).status_code == 200:
                return
        time.sleep(0.05)
    raise Ended(f"the engine does not answer after {seconds:.0f} s:")


def _tail(said: str) -> str:
    return "\n".join(said.strip().splitlines()[-LINES:]) or "(it said nothing)"
