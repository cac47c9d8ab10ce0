"""How an engine is started: by a starter that makes vLLM's imports once, or by one that has made them and
waits.

Neither changes what runs: command, environment, log and process group are those of the plain command, which
is what is left where a starter cannot do it. Off with STOKER_STARTER=off, in the shell or in `engine.env`.
"""

import contextlib
import importlib.util
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stoker.fleet.process import Process
from stoker.targets.local.process_marks import FLEET, GENERATION, KEY, PORT, STAMP
from stoker.targets.local.starter.giving_way import BESIDE
from stoker.targets.local.starter.orders import ROOM, WARM, order, room_for

SWITCH = "STOKER_STARTER"
PROGRAM = ("-m", "stoker.targets.local.starter")
# Of each replica or of each start: all else of the environment is the starter's own, and has to be the same.
PER_START = frozenset(
    {FLEET, GENERATION, KEY, PORT, STAMP, ROOM, BESIDE, "STOKER_LISTEN", "TMPDIR"}
    | {"VLLM_CPU_OMP_THREADS_BIND"}
)
# What `vllm serve` imports until it is ready, in its order: command, engine core, worker of a CPU.
MODULES = (
    "vllm.entrypoints.cli.main",
    "vllm.entrypoints.cli.benchmark.main",
    "vllm.entrypoints.cli.serve",
    "vllm.entrypoints.cli.launch",
    "vllm.entrypoints.cli.openai",
    "vllm.entrypoints.cli.preload",
    "vllm.entrypoints.cli.run_batch",
    "vllm.entrypoints.cli.collect_env",
    "vllm.entrypoints.cli.download_kernels",
    "vllm.entrypoints.cli.snapshot",
    "vllm.v1.engine.core",
    "vllm.v1.engine.async_llm",
    "vllm.v1.executor.multiproc_executor",
    "vllm.v1.worker.cpu_worker",
)
TRIES = 3  # of one that waits, in a supervisor's life
HOLD_SECONDS = 30.0

log = logging.getLogger("stoker.supervisor")


def takes(argv: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Whether a starter can run this command: vLLM on a CPU of Linux, whose OpenMP (Intel's) can begin anew
    after a fork, by the variables of then.

    Not on GPUs: it could not be tried that its imports touch no device.
    """
    return (
        sys.platform == "linux"
        and environment.get(SWITCH, "").lower() not in ("off", "0", "no", "false")
        and len(argv) > 2
        and argv[0] == sys.executable
        and argv[1].endswith("/vllm")
        and argv[2] == "serve"
        and "CUDA_VISIBLE_DEVICES" not in environment
        and "libiomp5" in environment.get("LD_PRELOAD", "")
    )


def started_by(argv: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """The command line that makes the imports once, where one can; else the command itself."""
    return _words(argv) if takes(argv, environment) else list(argv)


def _words(argv: Sequence[str], waits: Sequence[str] = ()) -> list[str]:
    return [sys.executable, *PROGRAM, *waits, ",".join(MODULES), "2", *argv[1:]]


@dataclass(frozen=True, slots=True)
class Template:
    """What a starter that waits is made of; one of another template is of no use."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    code: float | None  # when vLLM's files were changed

    @classmethod
    def of(cls, process: Process, environment: Mapping[str, str]) -> "Template | None":
        """For a process as it is wanted, without its keys; None where no starter can run it."""
        if not takes(process.argv, environment):
            return None
        private = PER_START | set(process.key_env)
        shared = {name: value for name, value in environment.items() if name not in private}
        return cls(process.argv, shared, _changed())

    def fits(self, other: "Template | None") -> bool:
        """Whether a starter of this template may become an engine of the other: the words may differ."""
        return other is not None and (self.environment, self.code) == (other.environment, other.code)


def _changed() -> float | None:
    """When vLLM was installed here; None where it is not."""
    found = importlib.util.find_spec("vllm")
    with contextlib.suppress(OSError, TypeError):
        return Path(str(found and found.origin)).stat().st_mtime
    return None


class Waiting:
    """One starter that has made its imports and waits for its command."""

    def __init__(self, template: Template, folder: Path) -> None:
        self.template = template
        self._warm = False
        self._channel, its = socket.socketpair()
        environment = {**template.environment, FLEET: str(folder), ROOM: "." * room_for(template.environment)}
        with its:
            self.popen = subprocess.Popen(
                _words(template.argv, ("--wait", str(its.fileno()))),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                process_group=0,
                env=environment,
                cwd=folder,
                pass_fds=(its.fileno(),),
            )

    @property
    def warm(self) -> bool:
        """Whether its imports are made."""
        if not self._warm:
            with contextlib.suppress(OSError):
                self._warm = self._channel.recv(1, socket.MSG_DONTWAIT) == WARM
        return self._warm

    def become(self, argv: Sequence[str], environment: Mapping[str, str], output: int) -> bool:
        """Hands it its command; False where it cannot take it, after which it is of no use."""
        taken = order(self._channel, argv[1:], environment, output)
        self._channel.close()
        return taken

    def end(self) -> None:
        """It is not needed any more."""
        self._channel.close()
        self.popen.kill()
        self.popen.wait()


class Starters:
    """The starter that waits beside a fleet that may grow, if any."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting: Waiting | None = None
        self._failed = 0
        self._not_before = 0.0

    def keep(self, template: Template | None, begin: bool) -> None:
        """Keeps one of that template, or none; begin: a new one may be made now."""
        one = self._waiting
        if one is not None and one.popen.poll() is not None:
            log.warning("the starter ended with code %s; replicas start without it", one.popen.returncode)
            self._fails()
        elif one is not None and not one.template.fits(template):
            self.end()
        if begin and self._waiting is None and template is not None and self._may():
            self._begin(template)

    def start(
        self, argv: Sequence[str], process: Process, environment: Mapping[str, str], output: int
    ) -> "subprocess.Popen[bytes] | None":
        """The process, where one waits that can become it."""
        one = self._waiting
        if one is None or not one.template.fits(Template.of(process, environment)) or not one.warm:
            return None
        self._waiting = None
        if one.become(argv, environment, output):
            return one.popen
        log.warning("the starter did not take its command; the replica starts without it")
        one.end()
        self._fails()
        return None

    def end(self) -> None:
        """None is kept any more."""
        if self._waiting is not None:
            self._waiting.end()
            self._waiting = None

    def _begin(self, template: Template) -> None:
        try:
            self._waiting = Waiting(template, self._folder)
        except OSError as error:
            log.warning("no starter waits: %s", error)
            self._fails()

    def _fails(self) -> None:
        self.end()
        self._failed += 1
        self._not_before = time.monotonic() + HOLD_SECONDS

    def _may(self) -> bool:
        return self._failed < TRIES and time.monotonic() >= self._not_before
