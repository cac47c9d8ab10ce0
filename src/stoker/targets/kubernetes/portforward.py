"""kubectl's port-forward, managed: one local port for as long as it is needed, begun again when the pod
behind it goes."""

import contextlib
import re
import select
import subprocess
import threading
from collections.abc import Sequence
from types import TracebackType

from stoker.errors import EnvironmentFailed, MissingDependency, TimedOut

START_SECONDS = 20.0
AGAIN_SECONDS = 0.5


class PortForward:
    """`with PortForward("shop", 8000, ("-n", "ml-serve")) as port:`. Raises: MissingDependency, TimedOut,
    EnvironmentFailed."""

    def __init__(self, service: str, port: int, flags: Sequence[str]) -> None:
        self._what = ["kubectl", "port-forward", f"service/{service}"]
        self._port, self._flags = port, list(flags)
        self._stopping = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None
        self._local = 0

    def __enter__(self) -> int:
        process = self._start("")
        try:
            self._local = _port(process)
        except BaseException:
            _end(process)
            raise
        self._process = process
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()
        return self._local

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        if self._process is not None:
            _stop(self._process)  # the thread reads it to its end, and closes it
        if self._thread is not None:
            self._thread.join(5)

    def _start(self, local: str) -> "subprocess.Popen[str]":
        argv = [*self._what, f"{local}:{self._port}", *self._flags]
        try:
            # a group of its own: Ctrl-C ends an answer, not the way to it
            return subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise MissingDependency(
                "kubectl is not here",
                why="the way into the cluster is its port-forward",
                fix="install kubectl",
                rule="kubectl-missing",
            ) from error

    def _keep(self) -> None:
        while not self._stopping.is_set():
            process = self._process
            assert process is not None
            process.communicate()
            if self._stopping.wait(AGAIN_SECONDS):
                return
            with contextlib.suppress(MissingDependency):
                self._process = self._start(str(self._local))
            if self._stopping.is_set() and self._process is not None:
                _end(self._process)


def _port(process: "subprocess.Popen[str]") -> int:
    """The local port of a port-forward. Raises: TimedOut, EnvironmentFailed."""
    assert process.stdout is not None
    assert process.stderr is not None
    ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
    if not ready:
        raise TimedOut(
            "the port-forward did not start",
            why=f"kubectl said nothing in {START_SECONDS:.0f} s",
            fix="try again",
        )
    if match := re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline()):
        return int(match[1])
    said = process.stderr.read().strip() or "kubectl ended without a word"
    raise EnvironmentFailed(
        "the port-forward did not start",
        why=said.splitlines()[-1],
        fix="`stoker status` shows what runs",
        rule="port-forward",
    )


def _stop(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _end(process: "subprocess.Popen[str]") -> None:
    """Stops one that nobody else reads, and closes it."""
    _stop(process)
    for stream in (process.stdout, process.stderr):
        if stream:
            stream.close()
