"""LocalTarget: this machine as a place where a fleet runs."""

import contextlib
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from stoker.engine.last_words import last_words
from stoker.errors import EngineFailed, Mistake, NoSuchFleet, StateMoved, WorldFailed
from stoker.fleet.changes import Changes, Step
from stoker.fleet.process import Process, Wanted
from stoker.fleet.state import FleetState, Replica
from stoker.fleet.target import Endpoint, LogLine
from stoker.planner.plan import Hardware, Plan
from stoker.render.command import shown
from stoker.render.processes import endpoint_url, gateway_settings, page_port, processes
from stoker.spec import dump
from stoker.system import clock, keys, paths
from stoker.system.files import locked, tail, write_json, write_secret
from stoker.system.proc import started_at
from stoker.targets.gateway.config import Seen
from stoker.targets.local import machine
from stoker.targets.local.folder import Folder
from stoker.targets.local.logs import follow_logs, read_logs
from stoker.targets.local.place import check_place

SUPERVISOR_SECONDS = 60.0
ASKING = ("gateway", "page")
KEY_ID = "STOKER_KEY_ID"


@dataclass(frozen=True, slots=True)
class Gone:
    """What Changes hold that take a fleet down."""


class LocalTarget:
    """One fleet on this machine, by name."""

    interval = 0.1

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = Folder(paths.fleet(name))
        self._restart: int | None = None
        self._led: Plan | None = None  # the plan that is being led to, and the revision written for it
        self._wrote: int | None = None

    def offer(self) -> Hardware:
        """What could run here."""
        return machine.offer()

    def observe(self) -> FleetState:
        """The supervisor's last word, checked against the processes where no supervisor lives."""
        state = self.folder.state() or FleetState(self.name, "local", clock.now())
        supervised = self.folder.supervised
        if not supervised:
            state = replace(state, replicas=tuple(_unwatched(replica) for replica in state.replicas))
        return replace(state, supervised=supervised, name=self.name, at=clock.now())

    def restarting(self) -> "LocalTarget":
        """The same target, where the next `changes` replaces every replica."""
        wanted = self.folder.wanted()
        self._restart = (wanted.restart if wanted else 0) + 1
        return self

    def changes(self, plan: Plan | None) -> Changes:
        """The steps towards the plan. Raises: EngineFailed, where a replica of it was given up; PortTaken."""
        if plan is not self._led:
            self._led, self._wrote = plan, None
        state, seen = self.observe(), self._revision()
        if plan is None:
            steps = self._down_steps(state)
            self._wrote = self._wrote if steps else None
            return Changes(steps, seen, Gone())
        wanted, now = self._wanted(plan), self.folder.wanted()
        steps = _acting(wanted, now) if now is not None and now.processes else _starting(wanted)
        if not steps and not state.supervised:
            steps = (Step("start", "supervisor", "it is gone; what runs is adopted"),)
        for step in steps:
            if step.subject == "gateway" and step.action in ("start", "replace"):
                held = {process.port for process in now.processes} if now else set()
                check_place(plan, ours=plan.spec.endpoint.port in held)
        if not steps:
            self._raise_if_failed(state)
        return Changes(steps or _waiting(now or wanted, state, gateway_sees(self.folder)), seen, plan)

    def _revision(self) -> int:
        """Of what is wanted now; 0 where nothing is."""
        now = self.folder.wanted()
        return now.revision if now else 0

    def _down_steps(self, state: FleetState) -> tuple[Step, ...]:
        if not state.supervised and self.folder.record() is None and self.folder.wanted() is None:
            return ()
        running = [Step("stop", f"replica {replica.name}", "") for replica in state.replicas]
        if state.stopping and state.supervised:
            return tuple(Step("wait", step.subject, "it is leaving") for step in running) or (
                Step("wait", "supervisor", ""),
            )
        return (*running, Step("stop", "supervisor", ""))

    def apply(self, changes: Changes) -> None:
        """Writes what is wanted and sees to it that a supervisor lives. Returns at once. Raises: StateMoved."""
        if not changes.acting:
            return
        self.folder.make()
        with locked(self.folder.verbs_lock):
            now = (
                self._revision()
            )  # 0 where the last fleet of this name has just gone, which is nobody's change
            if now and (now != changes.seen or self._wrote not in (None, now)):
                raise StateMoved(
                    f"{self.name} was changed by another command meanwhile", why="this one's plan is of before that",
                    fix="`stoker status` shows what runs; the same command again applies it", rule="state-moved",
                )  # fmt: skip
            match changes.body:
                case Plan() as plan:
                    self._write_plan(plan)
                case Gone():
                    self._write_nothing()
                case _:
                    raise TypeError("these changes were not computed by this target")
            self._wrote = self._revision()
            self._ensure_supervisor()

    def _write_nothing(self) -> None:
        now, revision = self.folder.wanted(), self._revision() + 1
        self.folder.want(
            replace(now, revision=revision, processes=()) if now else Wanted(revision, self.name, ())
        )

    def _write_plan(self, plan: Plan) -> None:
        while self.folder.supervised and self.observe().stopping:
            time.sleep(0.05)  # the last fleet of this name is on its way out
        keys.new_key(self.folder.engine_key)
        if plan.spec.endpoint.api_key:
            write_secret(self.folder.endpoint_key, keys.read(plan.spec.endpoint.api_key, "endpoint.api_key"))
        write_json(self.folder.gateway_file, gateway_settings(plan, str(self.folder.path)))
        self.folder.want(self._wanted(plan))
        self._restart = None

    def _wanted(self, plan: Plan) -> Wanted:
        now = self.folder.wanted()
        restart = self._restart if self._restart is not None else (now.restart if now else 0)
        page = f"http://127.0.0.1:{page_port(plan)}/chat" if plan.spec.endpoint.page else None
        return Wanted(
            revision=(now.revision if now else 0) + 1,
            name=self.name,
            processes=self._keyed(processes(plan, str(self.folder.path)), plan, now),
            drain_timeout=float(plan.spec.drain_timeout),
            endpoint=endpoint_url(plan),
            page=page,
            model=plan.spec.model.served_name,
            command=shown(plan),
            spec=dump(plan.spec),
            restart=restart,
            group=asdict(plan.group) if plan.group else None,
        )

    def _keyed(self, all_of: tuple[Process, ...], plan: Plan, now: Wanted | None) -> tuple[Process, ...]:
        """Who asks for the endpoint's key is another process once that is another key."""
        ref = plan.spec.endpoint.api_key
        if ref is None:
            return all_of
        before = {one.key: one.env.get(KEY_ID, "") for one in now.processes} if now else {}
        try:
            mark = hashlib.sha256(keys.read(ref, "endpoint.api_key").encode()).hexdigest()[:12]
        except Mistake:  # not known here: as it was
            mark = ""
        return tuple(
            replace(one, env={**one.env, KEY_ID: mark or before.get(one.key, "")})
            if one.role in ASKING
            else one
            for one in all_of
        )

    def adopt(self) -> bool:
        """Starts a supervisor where a fleet runs without one; True where it did."""
        wanted = self.folder.wanted()
        if wanted is None or self.folder.supervised:
            return False
        with locked(self.folder.verbs_lock):
            self._ensure_supervisor()
        return True

    def _ensure_supervisor(self) -> None:
        if self.folder.supervised:
            return
        log = os.open(self.folder.logs / "supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        argv = (sys.executable, "-m", "stoker.targets.local.supervisor", str(self.folder.path))
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=self.folder.path,
        )
        os.close(log)
        with contextlib.suppress(subprocess.TimeoutExpired):
            if process.wait(SUPERVISOR_SECONDS) in (0, 1):
                return  # it goes on by itself, or another one was faster
        process.kill()
        lines = tail(self.folder.logs / "supervisor.log", 5)
        raise WorldFailed("the supervisor does not start", why="\n".join(lines), at=str(self.folder.logs))

    def _raise_if_failed(self, state: FleetState) -> None:
        for replica in state.replicas:
            if replica.phase == "Failed":
                finding = last_words(tail(Path(replica.log))) if replica.log else None
                raise EngineFailed(
                    f"replica {replica.name} failed: {replica.last_words or 'it ended'}",
                    why=finding.why if finding else "", fix=finding.fix if finding else "",
                    at=replica.log or "", rule=finding.rule if finding else "",
                )  # fmt: skip
        for service in state.services:
            if service.phase == "Failed" and service.role == "gateway":
                raise EngineFailed(f"the gateway failed: {service.last_words}", at=str(self.folder.logs))

    def logs(
        self, replica: str | None = None, follow: bool = False, previous: bool = False
    ) -> Iterator[LogLine]:
        """Lines of all processes, or of one replica (by name) or role. Raises: NoSuchFleet, Mistake."""
        if not self.folder.logs.exists():
            raise no_fleet(self.name)
        return follow_logs(self.folder, replica) if follow else read_logs(self.folder, replica, previous)

    @contextmanager
    def endpoint(self) -> Iterator[Endpoint]:
        """URL and key of the running fleet. Raises: NoSuchFleet."""
        wanted = self.folder.wanted()
        if wanted is None or wanted.endpoint is None:
            raise no_fleet(self.name)
        key = self.folder.endpoint_key.read_text().strip() if self.folder.endpoint_key.exists() else None
        yield Endpoint(wanted.endpoint, wanted.model or "", key)


def names() -> tuple[str, ...]:
    """The fleets that are wanted or run on this machine."""
    base = paths.fleets()
    if not base.exists():
        return ()
    return tuple(
        sorted(p.name for p in base.iterdir() if (p / "wanted.json").exists() or (p / "state.json").exists())
    )


def no_fleet(name: str) -> NoSuchFleet:
    """The error for a name that nothing runs under."""
    known = names()
    return NoSuchFleet(
        f"no fleet named {name!r} runs on this machine" if name else "no fleet runs on this machine",
        why=f"running: {', '.join(known)}" if known else "", fix="stoker up" if not known else "stoker status -A",
    )  # fmt: skip


def _unwatched(replica: Replica) -> Replica:
    """A replica as its process is, where no supervisor looks."""
    if replica.ranks and replica.ranks[0].pid is not None and started_at(replica.ranks[0].pid) is None:
        return replace(replica, phase="Failed", detail="it ended while no supervisor watched")
    return replica


def _starting(wanted: Wanted) -> tuple[Step, ...]:
    return tuple(Step("start", _subject(process), process.hardware) for process in wanted.processes)


def _acting(wanted: Wanted, now: Wanted) -> tuple[Step, ...]:
    old = {process.key: process for process in now.processes}
    new = {process.key: process for process in wanted.processes}
    out = [Step("stop", _subject(old[key]), "not wanted any more") for key in old.keys() - new.keys()]
    for key, process in new.items():
        if key not in old:
            out.append(Step("start", _subject(process), process.hardware))
        elif process.fingerprint != old[key].fingerprint or (
            process.routed and wanted.restart != now.restart
        ):
            out.append(Step("replace", _subject(process), _difference(old[key], process)))
    if (
        not out
        and (wanted.drain_timeout, wanted.spec) != (now.drain_timeout, dict(now.spec))
        and not _same_spec(wanted, now)
    ):
        out.append(Step("update", "spec", ""))
    return tuple(out)


def _same_spec(wanted: Wanted, now: Wanted) -> bool:
    return read_back(wanted.spec) == read_back(now.spec)


def read_back(value: object) -> object:
    """A value as JSON would bring it back, so that tuples equal lists."""
    import json

    return json.loads(json.dumps(value))


def _difference(old: Process, new: Process) -> str:
    if old.hardware != new.hardware:
        return f"{old.hardware} -> {new.hardware}"
    if old.argv != new.argv:
        return "its options change"
    return "restart" if old.env == new.env else "its environment changes"


def _subject(process: Process) -> str:
    return f"replica {process.name}" if process.routed else process.role


def _waiting(wanted: Wanted, state: FleetState, in_rotation: int) -> tuple[Step, ...]:
    """What is not ready yet. The web page is not waited for: it comes after the endpoint answers.

    in_rotation: how many replicas the gateway sends to.
    """
    if state.revision < wanted.revision:
        return (Step("wait", "supervisor", "it has not taken up the last change"),)
    ready = {r.name for r in state.replicas if r.phase == "Ready" and r.current}
    old = [r for r in state.replicas if r.phase == "Draining"]
    out = [Step("wait", _subject(p), "") for p in wanted.processes if p.routed and p.name not in ready]
    gateway = state.service("gateway")
    asked = any(process.role == "gateway" for process in wanted.processes)
    if asked and (gateway is None or gateway.phase != "Ready" or not gateway.current):
        out.append(Step("wait", "gateway", ""))
    elif asked and in_rotation < len(ready):
        out.append(Step("wait", "gateway", "it does not send to every ready replica yet"))
    out += [Step("wait", f"replica {r.name}", "it is leaving") for r in old]
    return tuple(out)


def gateway_sees(folder: Folder) -> int:
    """How many replicas the gateway itself has in rotation."""
    seen = Seen.read(folder.seen_file)
    return len(seen.ready) if seen else 0
