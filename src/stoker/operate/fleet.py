"""Fleet: a handle on one running fleet, and what one does with it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from stoker.errors import FleetDiffers, Mistake
from stoker.events import Report, silent
from stoker.fleet.changes import Changes
from stoker.fleet.state import FleetState
from stoker.fleet.target import Endpoint, LogLine
from stoker.operate.measured import after_start
from stoker.operate.prepare import check_target, prepare
from stoker.operate.wait import converge, limit
from stoker.planner.group import Group
from stoker.planner.plan import Plan, Share
from stoker.spec import load
from stoker.spec.nouns import ServeSpec
from stoker.system import clock
from stoker.targets.local.target import LocalTarget, names, no_fleet, read_back

START_TIMEOUT = 1800.0
STOP_GRACE = 60.0


class Fleet:
    """One fleet on this machine. As a context manager it is taken down at the end."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.target = LocalTarget(name)

    def __repr__(self) -> str:
        return f"Fleet({self.name!r})"

    def __enter__(self) -> "Fleet":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def status(self) -> FleetState:
        """What runs now. Raises: NoSuchFleet."""
        if self.target.folder.wanted() is None and self.target.folder.record() is None:
            raise no_fleet(self.name)
        self.target.adopt()
        return self.target.observe()

    @property
    def spec(self) -> dict[str, Any]:
        """The spec it was started from, as plain values. Raises: NoSuchFleet."""
        wanted = self.target.folder.wanted()
        if wanted is None:
            raise no_fleet(self.name)
        return dict(wanted.spec)

    @property
    def url(self) -> str:
        """The endpoint's base URL, without `/v1`."""
        with self.target.endpoint() as endpoint:
            return endpoint.url

    def endpoint(self) -> AbstractContextManager[Endpoint]:
        """URL, model and key."""
        return self.target.endpoint()

    def scale(
        self, replicas: int, *, rebind: bool = True, report: Report = silent, timeout: float | None = None
    ) -> FleetState:
        """Runs so many replicas and returns when they are ready. Raises: NoSuchFleet, DoesNotFit, TimedOut."""
        if replicas < 0:
            raise Mistake(f"{replicas} replicas cannot be had", why="the count is negative", fix="0 or more")
        plan = self.plan(replicas, rebind=rebind, report=report)
        return converge(self.target, plan, report, limit(timeout, START_TIMEOUT))

    def plan(self, replicas: int, *, rebind: bool = True, report: Report = silent) -> Plan:
        """The plan that this fleet would follow with so many replicas."""
        spec = load_stored(self.spec)
        return prepare(
            spec,
            self.target.offer(),
            report,
            replicas=replicas,
            rebind=rebind,
            before=self.shares(),
            group=self.group,
        )

    @property
    def group(self) -> Group | None:
        """This node's place, where the replica spreads over several."""
        wanted = self.target.folder.wanted()
        return Group(**wanted.group) if wanted is not None and wanted.group else None

    def shares(self) -> tuple[Share, ...]:
        """What each replica has been given."""
        wanted = self.target.folder.wanted()
        engines = [p for p in wanted.processes if p.routed] if wanted else []
        return tuple(
            Share(p.name, _cores(p.env.get("VLLM_CPU_OMP_THREADS_BIND")), shared="(shared)" in p.hardware)
            for p in engines
        )

    def restart(self, report: Report = silent, timeout: float | None = None) -> FleetState:
        """Replaces every replica, one after another, without losing a request."""
        wanted = self.target.folder.wanted()
        if wanted is None:
            raise no_fleet(self.name)
        plan = self.plan(wanted.replicas, report=report)
        return converge(self.target.restarting(), plan, report, limit(timeout, START_TIMEOUT))

    def down(self, report: Report = silent, timeout: float | None = None, now: bool = False) -> None:
        """Drains and stops everything. `now` cuts what still runs."""
        wanted = self.target.folder.wanted()
        if now:
            self._cut()
        drain = wanted.drain_timeout if wanted else 0.0
        converge(self.target, None, report, timeout or drain + STOP_GRACE)

    def _cut(self) -> None:
        from dataclasses import replace

        wanted = self.target.folder.wanted()
        if wanted is not None:
            self.target.folder.want(replace(wanted, drain_timeout=0.0))

    def logs(
        self, replica: str | None = None, follow: bool = False, previous: bool = False
    ) -> Iterator[LogLine]:
        """Lines of its processes' logs; previous: of the life before the last one."""
        return self.target.logs(replica, follow, previous)


def load_stored(raw: dict[str, Any]) -> ServeSpec:
    """The spec that a fleet was started from."""
    import json

    return load(json.dumps(_as_file(raw)), "<the running fleet>")


def _as_file(raw: dict[str, Any]) -> dict[str, Any]:
    """`spec.dump`'s values in the file's own shape."""
    out: dict[str, Any] = {k: v for k, v in raw.items() if v is not None}
    engine = dict(out["engine"])
    out["engine"] = {**engine.pop("options"), **{k: v for k, v in engine.items() if v}}
    for table in ("hardware", "slo", "model", "endpoint"):
        out[table] = {k: v for k, v in out[table].items() if v is not None}
    cluster = {k: v for k, v in out.get("kubernetes", {}).items() if v is not None}
    disk = {k: v for k, v in cluster.pop("disk", {}).items() if v is not None}
    if gateway := cluster.pop("gateway", None):
        cluster["gateway"] = {k: v for k, v in gateway.items() if v is not None}
    if handle := disk.pop("handle", None):
        cluster["weights"] = {"disk": handle}
    out["kubernetes"] = {**cluster, "disk": disk}
    if not out["hardware"]:
        del out["hardware"]
    return out


def _cores(bind: str | None) -> tuple[int, ...]:
    return tuple(int(part) for part in (bind or "").replace("|", ",").split(",") if part)


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """What differs between two trees of plain values, as `path: old -> new`."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(k for k in new if k not in old)]
        return [d for k in keys for d in differences(old.get(k), new.get(k), f"{path}.{k}" if path else k)]
    return [] if old == new else [f"{path}: {old} -> {new}"]


def up(
    spec: ServeSpec | None = None,
    *,
    replace_running: bool = False,
    report: Report = silent,
    timeout: float | None = None,
    group: Group | None = None,
) -> Fleet:
    """Brings a fleet up and returns when it is ready; the demo where no spec is given.

    group: this host's place among several that serve one replica together; the same call on each of them.

    A fleet of the same name and spec is left as it is. Raises: FleetDiffers where it runs another spec and
    `replace_running` is off; DoesNotFit, PortTaken, WeightsFailed, EngineFailed, TimedOut.
    """
    spec = spec or load("")
    check_target(spec)
    fleet = Fleet(spec.name)
    fleet.target.adopt()
    running = check_same(fleet, spec, replace_running)
    plan = prepare(spec, fleet.target.offer(), report, replicas=running, group=group or fleet.group)
    begun = clock.now()
    state = converge(fleet.target, plan, report, limit(timeout, START_TIMEOUT))
    after_start(plan, state, begun, report)
    return fleet


def check_same(fleet: Fleet, spec: ServeSpec, replace_running: bool) -> int | None:
    """The replicas that already run under this name. Raises: FleetDiffers."""
    from stoker.spec import dump

    wanted = fleet.target.folder.wanted()
    if wanted is None or not wanted.processes:
        return None
    changed = differences(read_back(wanted.spec), read_back(dump(spec)))
    if changed and not replace_running:
        raise FleetDiffers(
            f"a fleet named {spec.name!r} runs another spec", why="\n".join(changed),
            fix="-y changes it, replica by replica; --set name=OTHER starts a second fleet", rule="fleet-differs",
        )  # fmt: skip
    return wanted.replicas if wanted.replicas in spec.replicas or not changed else None


def dry_run(spec: ServeSpec, report: Report = silent) -> Changes:
    """What `up` would do, without doing it."""
    check_target(spec)
    fleet = Fleet(spec.name)
    plan = prepare(spec, fleet.target.offer(), report)
    return fleet.target.changes(plan)


def connect(name: str | None = None) -> Fleet:
    """A handle on a running fleet; without a name, on the only one there is. Raises: NoSuchFleet, Mistake."""
    known = names()
    if name is None:
        if len(known) != 1:
            if not known:
                raise no_fleet("")
            raise Mistake("several fleets run here", why=", ".join(known), fix="name one: --name NAME")
        name = known[0]
    if name not in known:
        raise no_fleet(name)
    return Fleet(name)
