"""Child: one process that the supervisor keeps, started by it or adopted from one before it."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stoker.findings import Finding
from stoker.fleet.process import WITHHELD, Process
from stoker.fleet.state import Phase, Sample
from stoker.fleet.typed import typed
from stoker.system import clock, paths
from stoker.system.files import read_secret
from stoker.system.proc import ProcessId, identify, signal_group, started_at
from stoker.targets.local.log_files import new_life, opened, written_by
from stoker.targets.local.naming import named
from stoker.targets.local.process_marks import Mark
from stoker.targets.local.starter.giving_way import BESIDE
from stoker.targets.local.starters import SWITCH, Starters, started_by

SCRATCH = "stoker-"
LISTEN_VARIABLE = "STOKER_LISTEN"  # numbers of the open sockets that a process is handed
# Of the shell that called `stoker up`: they would overrule what the plan says, or belong to other programs.
NOT_INHERITED = frozenset({"PYTHONDONTWRITEBYTECODE", "VLLM_API_KEY", "VLLM_CPU_KVCACHE_SPACE"})


@dataclass(frozen=True, slots=True)
class ChildRecord:
    """A child as the next supervisor reads it; `log` is its file's name, `scratch` its folder for temporary
    files."""

    process: Process
    generation: int
    stamp: str
    id: ProcessId | None
    port: int
    phase: Phase
    since: float
    started: float
    detail: str
    restarts: int
    ever_ready: bool
    last_error: str | None
    leaving: bool
    scratch: str | None = None
    standby: bool = False
    log: str | None = None
    cause: Finding | None = None


class Child:
    """What is known of one process: who it is, how far it is, and how its stop is going."""

    def __init__(self, process: Process, generation: int, stamp: str, logs: Path) -> None:
        self.process = process
        self.generation = generation
        self.stamp = stamp
        self.log = logs / f"{process.key}.{generation}.log"
        self.id: ProcessId | None = None
        self.port = process.port or 0
        self.phase: Phase = "Pending"
        self.since = self.started = clock.now()
        self.detail = ""
        self.sample: Sample | None = None
        self.restarts = 0
        self.ever_ready = False
        self.cause: Finding | None = None  # why its last life ended
        self.standby = False  # it waits beside another of its kind, whose place it takes
        self.killed_for: str | None = None  # why we killed it
        self.cut = False  # what still runs on it is ended by the gateway
        self.leaving_since: float | None = None
        self.term_at: float | None = None
        self.scratch: str | None = None
        self.plainly = False  # no starter: one that had it was killed before it was ready
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def route(self) -> str:
        """Its name at the gateway, which no other plan's process of the same replica has."""
        return f"{self.process.name}.{self.generation}"

    @property
    def serves(self) -> bool:
        """Whether it answers requests now."""
        return self.phase == "Ready" and self.process.routed

    # life

    def start(
        self,
        folder: Path,
        port: int,
        sockets: Sequence[int] = (),
        starters: Starters | None = None,
        beside: bool = False,
    ) -> None:
        """Starts the process in a group of its own, its output in a file of this life. Raises: OSError.

        sockets: open files that it is handed, by their numbers. starters: of which one may wait for it.
        beside: whether others serve meanwhile, for whom it makes its imports with pauses.

        Not in a session of its own: Linux schedules sessions against each other (autogroup), and an engine
        that starts beside a busy one, its threads bound to the same core, then waits minutes for its turn.
        """
        self.port = port
        argv = [part.replace("{port}", str(port)) for part in self.process.argv]
        environment = self._environment(folder, sockets)  # where a key is lost, nothing is made
        environment |= {BESIDE: "1"} if beside else {}
        self.log = new_life(self.log.parent, self.process.key)
        if self.process.routed:
            self.scratch = tempfile.mkdtemp(prefix=SCRATCH)
            if "TMPDIR" not in self.process.env:
                environment["TMPDIR"] = self.scratch  # vLLM leaves its sockets there when it is killed
        with opened(self.log) as log:
            waited = starters.start(argv, self.process, environment, log.fileno()) if starters else None
            self._popen = waited or subprocess.Popen(
                started_by(argv, environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
                env=environment,
                cwd=folder,
                pass_fds=tuple(sockets),
            )
        self.id = identify(self._popen.pid) or ProcessId(self._popen.pid, 0.0)
        self.started = clock.now()
        self.become("Starting")

    def shared_environment(self) -> dict[str, str]:
        """What every start of it is given alike: the shell's variables, its own, and vLLM's name."""
        withheld = NOT_INHERITED | set(self.process.env.get(WITHHELD, "").split())
        env = {k: v for k, v in os.environ.items() if k not in withheld}
        env |= {**self.process.env, "PYTHONUNBUFFERED": "1"}
        vllm = any(word.endswith("/vllm") for word in self.process.argv[:2])
        return env | (named(env, paths.engine_cache()) if vllm else {})

    def _environment(self, folder: Path, sockets: Sequence[int]) -> dict[str, str]:
        own = {LISTEN_VARIABLE: ",".join(map(str, sockets))}
        own |= {SWITCH: "off"} if self.plainly else {}
        mark = Mark(folder, self.process.key, self.generation, self.stamp, self.port)
        return self.shared_environment() | self._keys() | own | mark.environment()

    def _keys(self) -> dict[str, str]:
        """The secrets it is given. Raises: OSError, where one is lost: nothing starts without its lock."""
        found = {name: read_secret(Path(path)) for name, path in self.process.key_env.items()}
        if lost := [self.process.key_env[name] for name, value in found.items() if value is None]:
            raise OSError(f"the key in {', '.join(lost)} is lost")
        return {name: value for name, value in found.items() if value is not None}

    def ended(self) -> int | None:
        """The exit code (negative for a signal, 0 where it cannot be known) once it has ended, else None."""
        if self._popen is not None:
            return self._popen.poll()
        return None if self.id is None or self.id.alive else 0

    @property
    def last_error(self) -> str | None:
        """The cause in one line."""
        return self.cause.what if self.cause else None

    # phases

    def become(self, phase: Phase, detail: str = "") -> None:
        """Enters a phase; its time starts when the phase changes."""
        if phase != self.phase:
            self.phase, self.since = phase, clock.now()
        self.detail = detail
        if phase == "Ready":
            self.ever_ready = True

    @property
    def leaving(self) -> bool:
        """Whether it is on its way out."""
        return self.leaving_since is not None

    def leave(self) -> None:
        """Begins its way out; the supervisor drains and stops it."""
        if self.leaving_since is None:
            self.leaving_since = time.monotonic()
            self.become("Draining")

    # stopping

    def terminate(self) -> None:
        """SIGTERM to its group."""
        if self.id is not None and self.term_at is None and not self._reused():
            self.term_at = time.monotonic()
            signal_group(self.id.pid, signal.SIGCONT)
            signal_group(self.id.pid, signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to whatever is left of its group."""
        if self.id is not None and not self._reused():
            signal_group(self.id.pid, signal.SIGKILL)
        if self._popen is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(2)

    def _reused(self) -> bool:
        """Whether its number is another process' by now: then nothing of its group lives, or the kernel had
        kept it."""
        assert self.id is not None
        return started_at(self.id.pid) not in (None, self.id.started)

    def successor(self, cause: Finding) -> "Child":
        """The same process for its next life; cause: why this one ended."""
        found = Child(self.process, self.generation, self.stamp, self.log.parent)
        found.log, found.restarts, found.cause = self.log, self.restarts, cause
        died = self._popen is not None and (self._popen.returncode or 0) < 0
        found.plainly = self.plainly or (died and not self.ever_ready)
        return found

    def clean(self) -> None:
        """Removes the temporary files of a process that has ended."""
        if self.scratch and Path(self.scratch).name.startswith(SCRATCH):
            shutil.rmtree(self.scratch, ignore_errors=True)

    # the record that the next supervisor reads

    def record(self) -> dict[str, Any]:
        """Everything another supervisor needs to adopt it."""
        return asdict(
            ChildRecord(
                self.process,
                self.generation,
                self.stamp,
                self.id,
                self.port,
                self.phase,
                self.since,
                self.started,
                self.detail,
                self.restarts,
                self.ever_ready,
                self.last_error,
                self.leaving,
                self.scratch,
                self.standby,
                self.log.name,
                self.cause,
            )
        )

    def mark(self) -> tuple[object, ...]:
        """Differs where its record does, and costs less: the process stands for itself by stamp and
        generation."""
        return (
            self.process.key,
            self.generation,
            self.stamp,
            self.id,
            self.port,
            self.phase,
            self.since,
            self.started,
            self.detail,
            self.restarts,
            self.ever_ready,
            self.cause,
            self.leaving,
            self.scratch,
            self.standby,
        )

    @classmethod
    def adopt(cls, record: dict[str, Any], logs: Path) -> "Child":
        """The child that another supervisor recorded. Raises: ValueError."""
        found = typed(ChildRecord, record)
        child = cls(found.process, found.generation, found.stamp, logs)
        child.id, child.port = found.id, found.port
        child.log = logs / Path(found.log or child.log.name).name
        child.phase, child.since, child.detail = found.phase, found.since, found.detail
        child.started, child.restarts, child.ever_ready = found.started, found.restarts, found.ever_ready
        child.cause, child.scratch, child.standby = found.cause, found.scratch, found.standby
        if found.leaving:
            child.leaving_since = time.monotonic()
        return child

    @classmethod
    def found(cls, mark: Mark, id: ProcessId, process: Process, logs: Path) -> "Child":
        """The child of a process that no record names, as its own mark describes it."""
        child = cls(process, mark.generation, mark.stamp, logs)
        child.id, child.port = id, mark.port
        child.log = written_by(id.pid, logs, process.key)
        child.become("Starting", "found without a record")
        return child
