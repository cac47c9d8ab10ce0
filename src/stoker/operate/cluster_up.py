"""`up` in a cluster: the checks before it, within its deadline, gcloud's part, and the loop; its dry run,
too."""

import shlex
from collections.abc import Callable
from dataclasses import replace

from stoker.advise.cluster import check_cluster
from stoker.errors import DoesNotFit, StateMoved, StokerError, TimedOut, Unreachable, UsageError
from stoker.events import Event, Report, silent
from stoker.findings import Finding
from stoker.fleet.changes import Changes, Step
from stoker.fleet.state import FleetState
from stoker.fleet.target import Question, nobody
from stoker.operate.cluster import START_TIMEOUT, record
from stoker.operate.deadline import bounded
from stoker.operate.plan import plan_cluster
from stoker.operate.wait import converge, limit
from stoker.planner.plan import Plan
from stoker.render.gcloud import Call
from stoker.render.manifests import choose
from stoker.spec.nouns import ServeSpec
from stoker.system import clock
from stoker.targets.kubernetes.cloud import Cloud, step
from stoker.targets.kubernetes.facts import facts
from stoker.targets.kubernetes.target import KubernetesTarget

LEAST = 5.0  # seconds that the checks have, however short the deadline

Agree = Callable[[tuple[Step, ...]], bool]


def print_only(_: tuple[Step, ...]) -> bool:
    """An Agree that runs nothing outside of the cluster."""
    return False


def up_cluster(
    spec: ServeSpec,
    *,
    report: Report = silent,
    timeout: float | None = None,
    force: bool = False,
    agree: Agree = print_only,
    over: bool = False,
    ask: Question = nobody,
) -> FleetState:
    """Brings a fleet up in its cluster and returns when it is ready; a second call does nothing.

    The checks before it are within the timeout. over: another command that changes the fleet is not waited
    for; ask says so when it is met. What a failed first `up` has made is named, and known to `status` and
    `down`.

    force takes fields out of other managers' hands. agree is shown the gcloud calls that are still to be
    made, and says whether to make them; where it does not, they are reported. Raises: UsageError,
    EnvironmentFailed, DoesNotFit, TimedOut.
    """
    deadline = clock.monotonic() + limit(timeout, START_TIMEOUT)

    def checked(told: Report) -> tuple[KubernetesTarget, Plan, tuple[Call, ...]]:
        target, plan = _checked(spec, told, force)
        return target, plan, _outside(target, plan, told)

    seconds = max(LEAST, deadline - clock.monotonic())
    target, plan, pending = bounded(checked, report, seconds, f"the checks before {spec.name} is brought up")
    if pending and agree(tuple(map(step, pending))):
        target.calls = pending
    else:
        _by_hand(pending, report)
    there = target.workload() is not None
    with target.changing("up", report, wanted=spec, over=over, ask=ask):
        try:
            state = converge(target, plan, report, max(0.0, deadline - clock.monotonic()))
        except StokerError as error:
            raise _named(error, target, there) from None
    record(target, spec, report)
    return state


def _named(error: StokerError, target: KubernetesTarget, there: bool) -> StokerError:
    """The error of a first `up`, with what it made until then; as it is, where the fleet was there, or is
    waited for."""
    if there or not target.made or isinstance(error, TimedOut | StateMoved):
        return error
    made = f"made in {target.namespace} before that: {', '.join(target.made)}"
    fix = f"{error.finding.fix}\nthen `stoker up` goes on; `stoker down` takes away what was made"
    return type(error)(replace(error.finding, why=f"{error.finding.why}\n{made}", fix=fix))


def dry_run_cluster(spec: ServeSpec, report: Report = silent) -> Changes:
    """What `up` would do, field by field, gcloud's calls included, without doing it."""
    target, plan = _checked(spec, report, force=False)
    target.calls = _outside(target, plan, report)
    changes = target.changes(plan)
    for subject, fields in target.others.items():
        if fields:
            report(Event(subject, f"others have set {', '.join(fields)}: `up` leaves it", "warn"))
    for subject, refused in target.rehearsal.refused.items():
        report(
            Event(subject, f"`up` will be refused: {refused.finding.what}", "fail", finding=refused.finding)
        )
    last = target.claim.other()
    if last is not None and changes.acting:
        report(Event("claim", f"{last} is changing the fleet since {last.at}: `up` would not", "warn"))
    return changes


def _outside(target: KubernetesTarget, plan: Plan, report: Report) -> tuple[Call, ...]:
    """gcloud's calls that can be made from here. Where they cannot, a fleet that is not there yet has them
    reported."""
    cloud = Cloud(choose(plan), target.api.context)
    if not cloud.missing:
        return cloud.pending()
    if target.workload() is None:
        report(Event("gcloud", cloud.missing, "warn"))
        _by_hand(cloud.all, report)
    return ()


def _by_hand(calls: tuple[Call, ...], report: Report) -> None:
    for call in calls:
        report(Event("gcloud", f"to be run by hand: {shlex.join(call.argv)}", "warn"))


def _checked(spec: ServeSpec, report: Report, force: bool) -> tuple[KubernetesTarget, Plan]:
    """The target and the plan, after the checks. Raises: UsageError, DoesNotFit, for what would keep it from
    coming up."""
    target = KubernetesTarget(spec, force=force)
    target.lifts = True
    target.api.version()
    plan = plan_cluster(spec)
    found = check_cluster(facts(target, plan), choose(plan))
    errors = [one for one in found if one.severity == "error"]
    if errors:
        for one in found:
            if one is not errors[0]:
                _tell(one, report)
        raise DoesNotFit(errors[0]) if errors[0].rule == "kube-quota" else UsageError(errors[0])
    if found and _acts(target, plan):  # who only waits, or asks again, has been told
        for one in found:
            _tell(one, report)
    return target, plan


def _acts(target: KubernetesTarget, plan: Plan) -> bool:
    """Whether there is anything to do; so, too, where the cluster is away for a moment: that is waited for
    later."""
    try:
        return bool(target.changes(plan).acting)
    except Unreachable:
        return True


def _tell(one: Finding, report: Report) -> None:
    report(Event("check", one.what, "fail" if one.severity == "error" else "warn", finding=one))
