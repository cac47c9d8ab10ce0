"""A fleet on this machine: its verbs, and how it is brought up and found."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from stoker.errors import (
    EnvironmentFailed,
    NoSuchFleet,
    StateBroken,
    StateMoved,
    UsageError,
)
from stoker.events import Event, Report, silent
from stoker.fleet.process import Wanted
from stoker.fleet.state import FleetState
from stoker.fleet.target import Endpoint, LogLine
from stoker.operate.fleet import Fleet, check_count
from stoker.operate.prepare import prepare, without_page
from stoker.operate.stored import load_stored
from stoker.operate.wait import converge, limit
from stoker.planner.group import Group
from stoker.planner.plan import Plan, Share
from stoker.spec.nouns import ServeSpec
from stoker.system import clock
from stoker.targets.local import last_try
from stoker.targets.local.known import names, no_fleet, strays
from stoker.targets.local.rollout import same_spec
from stoker.targets.local.target import LocalTarget
from stoker.targets.local.teardown import end

START_TIMEOUT = 1800.0
STOP_GRACE = 60.0


class LocalFleet(Fleet):
    """One fleet on this machine."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.target = LocalTarget(name)

    def status(self) -> FleetState:
        """What runs now. Raises: NoSuchFleet."""
        state = self.target.observe()
        if not state.supervised and not state.replicas and self.target.running() is None:
            raise no_fleet(self.name)
        return self.target.observe() if self._adopt() else state

    @property
    def up(self) -> bool:
        """Whether a replica of it is ready. Raises: nothing, also where nobody can tell."""
        try:
            return self.target.observe().ready > 0
        except StateBroken:
            return False

    @property
    def stands(self) -> bool:
        """Whether it is wanted or kept, as far as anybody can tell."""
        try:
            return self.target.folder.wanted_file.exists() or self.target.folder.supervised
        except StateBroken:
            return True

    def told(self) -> FleetState:
        """The same as `status`, for a list of fleets: one whose files tell nothing is one in trouble."""
        try:
            return self.status()
        except NoSuchFleet:  # it has gone meanwhile
            return FleetState(self.name, "local", clock.now(), supervised=False)
        except StateBroken as error:
            trouble = f"{error.finding.what}: {error.finding.why}"
            return FleetState(self.name, "local", clock.now(), supervised=False, trouble=trouble)

    def _adopt(self) -> bool:
        """Watched again, where its supervisor is gone. Looking goes on where that cannot be."""
        try:
            return self.target.adopt()
        except StateBroken:
            return False

    def _running(self) -> Wanted:
        """What serves. Raises: NoSuchFleet."""
        if (wanted := self.target.running()) is None:
            raise no_fleet(self.name)
        return wanted

    @property
    def spec(self) -> ServeSpec:
        """The spec it was started from. Raises: NoSuchFleet, StateBroken."""
        return load_stored(dict(self._running().spec))

    @property
    def place(self) -> list[str]:
        """The words by which a command line names it."""
        return ["--fleet", self.name]

    @property
    def history(self) -> Path:
        """The file of its figures."""
        return self.target.folder.history

    @property
    def url(self) -> str:
        """The endpoint's base URL, without `/v1`."""
        with self.target.endpoint() as endpoint:
            return endpoint.url

    def close(self) -> None:
        """Nothing is held."""

    def endpoint(self) -> AbstractContextManager[Endpoint]:
        """URL, model and key."""
        return self.target.endpoint()

    def scale(
        self, replicas: int, *, rebind: bool = True, report: Report = silent, timeout: float | None = None
    ) -> FleetState:
        """Runs so many replicas and returns when they are ready. Raises: NoSuchFleet, DoesNotFit,
        TimedOut."""
        check_count(replicas)
        plan = self.plan(replicas, rebind=rebind, report=report)
        return self.lead(plan, report, limit(timeout, START_TIMEOUT))

    def lead(
        self, plan: Plan | None, report: Report, timeout: float, target: LocalTarget | None = None
    ) -> FleetState:
        """Leads it to the plan; meanwhile its autoscaler changes nothing. Raises: what `converge` does."""
        with self.target.leading(plan is not None):
            return converge(target or self.target, plan, report, timeout)

    def plan(self, replicas: int, *, rebind: bool = True, report: Report = silent) -> Plan:
        """The plan that this fleet would follow with so many replicas."""
        return self._planned(self._running().spec, replicas, rebind, report)

    def _planned(self, spec: Mapping[str, Any], replicas: int, rebind: bool, report: Report) -> Plan:
        return prepare(
            without_page(load_stored(dict(spec)), report),
            self.target.offer(),
            report,
            replicas=replicas,
            rebind=rebind,
            before=self.shares(),
            group=self.group,
            again=True,
        )

    @property
    def group(self) -> Group | None:
        """This node's place, where the replica spreads over several."""
        wanted = self.target.running()
        return Group(**wanted.group) if wanted is not None and wanted.group else None

    def shares(self) -> tuple[Share, ...]:
        """What each replica has been given."""
        wanted = self.target.running()
        engines = [p for p in wanted.processes if p.routed] if wanted else []
        return tuple(
            Share(p.name, _cores(p.env.get("VLLM_CPU_OMP_THREADS_BIND")), shared="(shared)" in p.hardware)
            for p in engines
        )

    def restart(self, report: Report = silent, timeout: float | None = None) -> FleetState:
        """Replaces every replica, one after another, without losing a request."""
        plan = self.plan(self._running().replicas, report=report)
        return self.lead(plan, report, limit(timeout, START_TIMEOUT), self.target.restarting())

    def rollback(
        self, revision: int | None = None, report: Report = silent, timeout: float | None = None
    ) -> FleetState:
        """Goes back to the newest other spec that was ready, or to a revision; the number of replicas stays.

        Of a change that was stopped it goes back to what serves on, which changes nothing but what is wanted.
        Raises: NoSuchFleet; UsageError, where nothing like it was ready.
        """
        running = self._running()
        chosen = self._generation(revision, running)
        plan = self._planned(chosen.spec, running.replicas, True, report)
        return self.lead(plan, report, limit(timeout, START_TIMEOUT))

    def _generation(self, revision: int | None, running: Wanted) -> Wanted:
        known = self.target.folder.generations()
        wanted = self.target.folder.wanted()
        stopped = wanted is not None and wanted.revision != running.revision
        if revision is None:
            found = [one for one in known if stopped or not same_spec(one, running)]
        else:
            found = [one for one in known if one.revision == revision]
        if not found:
            raise UsageError(
                f"{self.name} has no revision {revision} that was ready"
                if revision
                else f"{self.name} was ready with no other spec",
                why=f"kept: {', '.join(str(one.revision) for one in known) or 'none'}",
                fix="change the file back, and `stoker up -y`",
                rule="no-revision",
            )
        return found[-1]

    def down(
        self,
        report: Report = silent,
        timeout: float | None = None,
        *,
        now: bool = False,
        weights: bool = False,
    ) -> None:
        """Drains and stops everything. `now` cuts what still runs.

        Where its files cannot be read or written, it is ended by what runs: its supervisor is told, or its
        process groups are, and the report says so.
        """
        if weights:
            raise UsageError(
                "--weights is for fleets of a cluster",
                why="what was downloaded to this machine belongs to no fleet",
                fix="`stoker models rm NAME` deletes weights here",
                rule="down-weights",
            )
        try:
            self._led_down(report, timeout, now)
        except StateMoved:
            raise
        except EnvironmentFailed as error:
            report(Event("fleet", "ended without its files", "warn", finding=error.finding))
            end(self.target.folder, report, timeout, now)
        last_try.drop(self.target.folder)

    def _led_down(self, report: Report, timeout: float | None, now: bool) -> None:
        if now:
            self._cut()
        wanted = self.target.running()
        drain = wanted.drain_timeout if wanted else 0.0
        self.lead(None, report, timeout or drain + STOP_GRACE)

    def _cut(self) -> None:
        wanted = self.target.folder.wanted()
        if wanted is not None:
            self.target.folder.want(replace(wanted, drain_timeout=0.0))

    def logs(
        self, replica: str | None = None, follow: bool = False, previous: bool = False
    ) -> Iterator[LogLine]:
        """Lines of its processes' logs; previous: of the life before the last one."""
        return self.target.logs(replica, follow, previous)


def _cores(bind: str | None) -> tuple[int, ...]:
    return tuple(int(part) for part in (bind or "").replace("|", ",").split(",") if part)


def connect(name: str | None = None) -> LocalFleet:
    """A handle on a running fleet; without a name, on the only one there is. Raises: NoSuchFleet,
    UsageError."""
    known = names()
    if name not in known:
        known = (*known, *strays())
    if name is None:
        if len(known) != 1:
            if not known:
                raise no_fleet("")
            raise UsageError("several fleets run here", why=", ".join(known), fix="name one: --name NAME")
        name = known[0]
    if name not in known:
        raise no_fleet(name)
    return LocalFleet(name)
