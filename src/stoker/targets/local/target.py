"""LocalTarget: this machine as a place where a fleet runs."""

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

from stoker.errors import StateBroken, StateMoved
from stoker.findings import Finding
from stoker.fleet.changes import Changes, Step
from stoker.fleet.process import Wanted
from stoker.fleet.state import FleetState
from stoker.fleet.target import Endpoint, LogLine
from stoker.planner.plan import Hardware, Plan
from stoker.render.command import shown
from stoker.render.processes import endpoint_url, page_port, processes
from stoker.spec import dump
from stoker.system import paths
from stoker.system.file_errors import unwritable
from stoker.system.files import locked, read_secret, share_lock
from stoker.targets.local import last_try, launching, machine
from stoker.targets.local.fleet_keys import keyed, write_keys
from stoker.targets.local.folder import Folder
from stoker.targets.local.known import no_fleet
from stoker.targets.local.logs import follow_logs, read_logs
from stoker.targets.local.observation import look, raise_if_failed
from stoker.targets.local.ports import check_place
from stoker.targets.local.process_marks import of_fleet
from stoker.targets.local.steps import acting, again, starting, waiting


@dataclass(frozen=True, slots=True)
class Gone:
    """What Changes hold that take a fleet down."""


@dataclass(frozen=True, slots=True)
class Led:
    """What Changes hold that lead a fleet to a plan: the plan, whose keys are written, and what is wanted
    then."""

    plan: Plan
    wanted: Wanted


class LocalTarget:
    """One fleet on this machine, by name."""

    interval = 0.1

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = Folder(paths.fleet(name))
        self._restart: int | None = None
        self._led: Plan | None = None  # the plan that is being led to, and the revision written for it
        self._wrote: int | None = None
        self._expected: int | None = None

    def offer(self) -> Hardware:
        """What could run here."""
        return machine.offer()

    def observe(self) -> FleetState:
        """The supervisor's last word, checked against the processes where no supervisor lives or can tell."""
        return look(self.folder, self.name)

    def running(self) -> Wanted | None:
        """What is led to: what was asked for last, or what serves on where that was stopped. Raises:
        StateBroken."""
        wanted = self.folder.wanted()
        record = self.folder.record() if wanted is not None else None
        stopped = record.fleet.stopped if record else None
        if wanted is None or stopped is None or stopped.revision != wanted.revision:
            return wanted
        return next((one for one in self.folder.generations() if one.revision == stopped.serving), wanted)

    def restarting(self) -> "LocalTarget":
        """The same target, where the next `changes` replaces every replica."""
        wanted = self._now()
        self._restart = (wanted.restart if wanted else 0) + 1
        return self

    def changes(self, plan: Plan | None) -> Changes:
        """The steps towards the plan. Raises: EngineFailed, where a replica of it was given up; PortTaken."""
        if plan is not self._led:
            self._led, self._wrote = plan, None
        state, seen = self.observe(), self.revision() if self._expected is None else self._expected
        if plan is None:
            if state.supervised and state.trouble:
                raise StateBroken(
                    f"{self.name} is not looked after", why=state.trouble, rule="state-unwritable"
                )
            steps = self._down_steps(state)
            self._wrote = self._wrote if steps else None
            return Changes(steps, seen, Gone())
        if state.supervised and state.stopping:
            leaving = Step("wait", "supervisor", "the last fleet of this name is on its way out")
            return Changes((leaving,), seen)
        wanted, now = self._wanted(plan), self._now()
        steps = acting(wanted, now) if now is not None and now.processes else starting(wanted)
        if not steps and self._wrote is None:
            steps = again(state, now)
        if not steps and not state.supervised:
            steps = (Step("start", "supervisor", "it is gone; what runs is adopted"),)
        for step in steps:
            if step.subject == "gateway" and step.action in ("start", "replace"):
                held = {process.port for process in now.processes} if now else set()
                check_place(plan, ours=plan.spec.endpoint.port in held)
        if not steps:
            raise_if_failed(state, now, self.folder)
        steps = steps or waiting(now or wanted, state, in_rotation(self.folder))
        return Changes(steps, seen, Led(plan, wanted))

    def expect(self, revision: int) -> "LocalTarget":
        """The same target, where the next `apply` is refused if anything but this revision is wanted by
        then."""
        self._expected = revision
        return self

    def revision(self) -> int:
        """Of what is wanted now; 0 where nothing is, or nothing tells."""
        now = self._now()
        return now.revision if now else 0

    def _now(self) -> Wanted | None:
        """What verbs last asked for; None where nothing is, or where its file is lost: it is written anew
        then."""
        try:
            return self.folder.wanted()
        except StateBroken:
            return None

    def renew(self) -> Finding | None:
        """Drops files that nobody can read, where nothing runs: the next fleet begins anew. Why, where it
        did."""
        try:
            self.folder.wanted()
            self.folder.record()
        except StateBroken as error:
            if not self.folder.supervised and not of_fleet(self.folder.path):
                self.folder.forget()
                return error.finding
        return None

    @property
    def wrote(self) -> bool:
        """Whether this verb has changed what is wanted."""
        return self._wrote is not None

    def _down_steps(self, state: FleetState) -> tuple[Step, ...]:
        if not state.supervised and not state.replicas and not state.services and self._now() is None:
            return ()
        running = [Step("stop", f"replica {replica.name}", "") for replica in state.replicas]
        if state.stopping and state.supervised:
            return tuple(Step("wait", step.subject, "it is leaving") for step in running) or (
                Step("wait", "supervisor", ""),
            )
        return (*running, Step("stop", "supervisor", ""))

    def apply(self, changes: Changes) -> None:
        """Writes what is wanted and sees to it that a supervisor lives. Returns at once. Raises:
        StateMoved."""
        if not changes.acting:
            return
        self.folder.make()
        with locked(self.folder.verbs_lock):
            now = (
                self.revision()
            )  # 0 where the last fleet of this name has just gone, which is nobody's change
            if now and (now != changes.seen or self._wrote not in (None, now)):
                raise StateMoved(
                    f"{self.name} was changed by another command meanwhile",
                    why="this one's plan is of before that",
                    fix="`stoker status` shows what runs; the same command again applies it",
                    rule="state-moved",
                )
            match changes.body:
                case Led(plan, wanted):
                    self._write_wanted(plan, replace(wanted, revision=now + 1))
                case Gone():
                    self._write_nothing()
                case _:
                    raise TypeError("these changes were not computed by this target")
            self._wrote, self._expected = self.revision(), None
            launching.ensure_supervisor(self.folder)

    def _write_nothing(self) -> None:
        now, revision = self._now(), self.revision() + 1
        self.folder.want(
            replace(now, revision=revision, processes=()) if now else Wanted(revision, self.name, ())
        )

    def _write_wanted(self, plan: Plan, wanted: Wanted) -> None:
        try:
            write_keys(self.folder, plan, self._now())
        except OSError as error:
            raise unwritable(self.folder.path, error) from None
        self.folder.want(wanted)
        last_try.drop(self.folder)
        self._restart = None

    def _wanted(self, plan: Plan) -> Wanted:
        now = self._now()
        served = self._served()
        restart = self._restart if self._restart is not None else (served.restart if served else 0)
        page = f"http://127.0.0.1:{page_port(plan)}/chat" if plan.spec.endpoint.page else None
        return Wanted(
            revision=(now.revision if now else 0) + 1,
            name=self.name,
            processes=keyed(processes(plan, str(self.folder.path)), plan, now),
            drain_timeout=float(plan.spec.drain_timeout),
            endpoint=endpoint_url(plan),
            page=page,
            model=plan.spec.model.served_name,
            command=shown(plan),
            spec=dump(plan.spec),
            restart=restart,
            group=asdict(plan.group) if plan.group else None,
        )

    def _served(self) -> Wanted | None:
        try:
            return self.running()
        except StateBroken:
            return None

    def adopt(self) -> bool:
        """Starts a supervisor where a fleet runs without one; True where it did. Raises: StateBroken."""
        if self.folder.supervised:
            return False
        try:
            if self.folder.wanted() is None:
                return False
        except StateBroken:
            if not of_fleet(self.folder.path):
                raise  # nothing runs, and nothing tells what should
        with locked(self.folder.verbs_lock):
            launching.ensure_supervisor(self.folder)
        return True

    @contextmanager
    def leading(self, up: bool = True) -> Iterator[None]:
        """As long as a verb leads the fleet: its autoscaler holds still. Verbs do not hold each other up.

        up: to something, so that there is to be a folder.
        """
        with contextlib.suppress(StateBroken):
            if up:
                self.folder.make()
        held = share_lock(self.folder.leading_lock)
        try:
            yield
        finally:
            if held is not None:
                held.close()

    def logs(
        self, replica: str | None = None, follow: bool = False, previous: bool = False
    ) -> Iterator[LogLine]:
        """Lines of all processes, or of one replica (by name) or role. Raises: NoSuchFleet, UsageError."""
        if not self.folder.logs.exists():
            raise no_fleet(self.name)
        return follow_logs(self.folder, replica) if follow else read_logs(self.folder, replica, previous)

    @contextmanager
    def endpoint(self) -> Iterator[Endpoint]:
        """URL and key of the running fleet. Raises: NoSuchFleet."""
        wanted = self.running()
        if wanted is None or wanted.endpoint is None:
            raise no_fleet(self.name)
        yield Endpoint(wanted.endpoint, wanted.model or "", read_secret(self.folder.endpoint_key))


def in_rotation(folder: Folder) -> int:
    """How many replicas the gateway itself sends to."""
    record = folder.record()
    return record.in_rotation if record else 0
