"""`up` on this machine: what runs under the name is compared first; its dry run, too."""

from stoker.errors import (
    FleetDiffers,
    StateBroken,
    StateMoved,
)
from stoker.events import Event, Report, silent
from stoker.fleet.changes import Changes
from stoker.operate.local_fleet import START_TIMEOUT, LocalFleet
from stoker.operate.measured import after_start
from stoker.operate.prepare import as_run, check_target, prepare, without_page
from stoker.operate.stored import as_dumped_now, differences
from stoker.operate.wait import limit
from stoker.planner.group import Group
from stoker.spec import load
from stoker.spec.nouns import ServeSpec
from stoker.system import clock
from stoker.targets.local.steps import read_back


def up(
    spec: ServeSpec | None = None,
    *,
    replace_running: bool = False,
    report: Report = silent,
    timeout: float | None = None,
    group: Group | None = None,
) -> LocalFleet:
    """Brings a fleet up and returns when it is ready; the demo where no spec is given.

    group: this host's place among several that serve one replica together; the same call on each of them.

    A fleet of the same name and spec is left as it is. Raises: FleetDiffers where it runs another spec and
    `replace_running` is off; DoesNotFit, PortTaken, WeightsFailed, EngineFailed, TimedOut.
    """
    spec = without_page(spec or load(""), report)
    check_target(spec)
    fleet = LocalFleet(spec.name)
    if (damage := fleet.target.renew()) is not None:
        report(Event("fleet", "begins anew", "warn", finding=damage))
    fleet._adopt()
    while True:
        running = check_same(fleet, spec, replace_running)
        seen = fleet.target.revision()
        plan = prepare(spec, fleet.target.offer(), report, replicas=running, group=group or fleet.group)
        begun = clock.now()
        try:
            expecting = fleet.target.expect(seen)
            state = fleet.lead(plan, report, limit(timeout, START_TIMEOUT), expecting)
        except StateMoved:
            if fleet.target.wrote:  # another command has changed what this one had led to
                raise
            check_same(
                fleet, spec, replace_running
            )  # somebody was faster: with another spec it is asked again
            continue
        after_start(plan, state, begun, report)
        fleet.brought_up = True
        return fleet


def check_same(fleet: LocalFleet, spec: ServeSpec, replace_running: bool) -> int | None:
    """The replicas that already run under this name. Raises: FleetDiffers."""
    from stoker.spec import dump

    try:
        wanted = fleet.target.running()
    except StateBroken as error:
        if replace_running:
            return None
        raise FleetDiffers(
            f"a fleet named {spec.name!r} runs, and its files do not tell which",
            why=error.finding.why,
            at=error.finding.at,
            fix="-y leads what runs to this spec; `stoker down` ends it",
            rule="fleet-differs",
        ) from None
    if wanted is None or not wanted.processes:
        return None
    changed = differences(as_dumped_now(wanted.spec), read_back(dump(as_run(spec))))
    if changed and not replace_running:
        raise FleetDiffers(
            f"a fleet named {spec.name!r} runs another spec",
            why="\n".join(changed),
            fix="-y changes it, replica by replica; --set name=OTHER starts a second fleet",
            rule="fleet-differs",
        )
    return wanted.replicas if wanted.replicas in spec.replicas or not changed else None


def dry_run(spec: ServeSpec, report: Report = silent) -> Changes:
    """What `up` would do, without doing it."""
    check_target(spec)
    spec, fleet = without_page(spec, report), LocalFleet(spec.name)
    plan = prepare(spec, fleet.target.offer(), report)
    return fleet.target.changes(plan)
