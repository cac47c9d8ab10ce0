"""The pod of a Job that is watched from here: its log as it comes, and what keeps it from running."""

import queue
from collections.abc import Iterator

from stoker.advise.why import why
from stoker.advise.why.rule import shown
from stoker.errors import EnvironmentFailed, TimedOut, Unreachable, UsageError
from stoker.events import Event, Report
from stoker.findings import Finding
from stoker.fleet.state import Evidence, FleetState, Service
from stoker.fleet.target import LogLine
from stoker.system import clock
from stoker.targets.kubernetes.client import Api, Object
from stoker.targets.kubernetes.log_reader import Life, Reader
from stoker.targets.kubernetes.logs import lives
from stoker.targets.kubernetes.pods import BROKEN, evidence, moment, unscheduled
from stoker.targets.kubernetes.stages import failed, finished

LOOK_SECONDS = 0.5
START_SECONDS = 300.0  # for a node that an autoscaler adds
BROKEN_SECONDS = 20.0  # for a pull, or a container, that the kubelet tries again
AWAY_SECONDS = 300.0
UNKNOWN = "why-unknown"  # of a pod that has not begun yet it says nothing
GRACE = 5.0  # seconds without a line after which the log of a finished Job is at its end


class JobPod:
    """One Job of a fleet's. start: seconds that its pod has to begin."""

    def __init__(
        self, api: Api, fleet: str, namespace: str, name: str, report: Report, start: float = START_SECONDS
    ) -> None:
        self._api, self._fleet, self._namespace, self._name = api, fleet, namespace, name
        self._report = report
        self._start, self._begun = start, clock.monotonic()
        self._said: queue.Queue[LogLine | UsageError] = queue.Queue()
        self._readers: dict[Life, Reader] = {}
        self._told: set[str] = set()
        self._broken_since = self._lost_since = self._over_since = 0.0

    def lines(self) -> Iterator[str]:
        """What it says, until it is over. Raises: TimedOut, EnvironmentFailed, where it does not begin, or
        is taken away; with the cause."""
        while True:
            over = self._looked()
            yield from self._heard(LOOK_SECONDS)
            if over and not any(one.busy for one in self._readers.values()):
                yield from self._heard(0.0)
                return

    def rest(self, seconds: float) -> Iterator[str]:
        """What it still says, within so many seconds, as it is taken away."""
        until = clock.monotonic() + seconds
        while clock.monotonic() < until and any(one.busy for one in self._readers.values()):
            yield from self._heard(LOOK_SECONDS)
        yield from self._heard(0.0)

    def _looked(self) -> bool:
        """Looks once. Returns whether it is over."""
        try:
            job = self._api.get("Job", self._namespace, self._name)
            pods = self._api.list("Pod", self._namespace, f"job-name={self._name}")
        except Unreachable as error:
            self._away(error)
            return False
        self._lost_since = 0.0
        if job is None:
            raise EnvironmentFailed(
                "the load test was taken away",
                why=f"Job/{self._name} is not there any more",
                fix="`stoker down`, or somebody else, did that; measure again",
                rule="bench-gone",
            )
        found = {life: running for pod in pods for life, running in lives(pod).items()}
        for life, running in found.items():
            self._readers.setdefault(life, Reader(self._api, self._namespace, life, self._said)).go_on(
                running
            )
        if not found:
            self._waits(job, pods)
        return self._over(job, found)

    def _over(self, job: Object, found: dict[Life, bool]) -> bool:
        """Whether it is done; a log that does not end with its container is not waited for."""
        if not (finished(job) or failed(job)) or any(found.values()):
            return False
        self._over_since = self._over_since or clock.monotonic()
        if clock.monotonic() - self._over_since > GRACE:
            self._readers.clear()
        return True

    def _heard(self, seconds: float) -> Iterator[str]:
        """What comes within so many seconds. Raises: UsageError, where this user may not read it."""
        until = clock.monotonic() + seconds
        while True:
            try:
                one = self._said.get(timeout=max(0.001, until - clock.monotonic()))
            except queue.Empty:
                return
            if isinstance(one, UsageError):
                raise one
            self._over_since = 0.0
            yield one.text

    def _away(self, error: Unreachable) -> None:
        if not self._lost_since:
            self._lost_since = clock.monotonic()
            self._report(Event("cluster", f"away, tried again: {error.finding.why}", "warn"))
        if clock.monotonic() - self._lost_since > AWAY_SECONDS:
            raise error

    def _waits(self, job: Object, pods: tuple[Object, ...]) -> None:
        """Tells why its pod has not begun. Raises: TimedOut, where that lasts."""
        now = clock.monotonic()
        causes = self._causes(job, pods)
        broken = any(_stuck(pod) is not None for pod in pods) or failed(job)
        self._broken_since = (self._broken_since or now) if broken else 0.0
        for one in causes:
            if one.rule not in (*self._told, UNKNOWN) and now - self._begun > LOOK_SECONDS:
                self._told.add(one.rule)
                self._report(Event("bench", one.what, "warn"))
        if (
            self._broken_since and now - self._broken_since > BROKEN_SECONDS
        ) or now - self._begun > self._start:
            raise _not_begun(causes, now - self._begun)

    def _causes(self, job: Object, pods: tuple[Object, ...]) -> tuple[Finding, ...]:
        """By the rules of `stoker why`, of this Job and its pod alone."""
        now = clock.now()
        events = evidence(self._api.visible("Event", self._namespace), self._name)
        shows = (*events, *unscheduled(pods, now), *_conditions(job))
        began = moment(job["metadata"].get("creationTimestamp"))
        waits = Service("bench", "Pending", began)
        mine = next(filter(None, map(_stuck, pods)), waits)
        place = f"kubernetes/{self._namespace}"
        return why(FleetState(self._fleet, place, now, services=(mine,), evidence=shows), now)


def _stuck(pod: Object) -> Service | None:
    """A pod whose container the kubelet cannot start."""
    for one in pod.get("status", {}).get("containerStatuses") or ():
        waiting = one.get("state", {}).get("waiting", {})
        if waiting.get("reason") in BROKEN:
            words = str(waiting.get("message") or waiting["reason"])
            cause = shown(f"Pod/{pod['metadata']['name']}", waiting["reason"], words)
            since = moment(pod["metadata"].get("creationTimestamp"))
            return Service("bench", "Failed", since, last_error=f"{waiting['reason']} {words}", cause=cause)
    return None


def _conditions(job: Object) -> tuple[Evidence, ...]:
    """Why it has given up without a pod that ran."""
    return tuple(
        Evidence("condition", f"Job/{job['metadata']['name']}", one.get("reason", ""), one.get("message", ""))
        for one in job.get("status", {}).get("conditions", ())
        if one["type"] == "Failed" and one["status"] == "True"
    )


def _not_begun(causes: tuple[Finding, ...], seconds: float) -> TimedOut:
    what = f"the load test has not begun after {seconds:.0f} s"
    if not causes:
        return TimedOut(what, why="nothing is known of its pod", fix="`kubectl get events`", rule="bench-pod")
    details = [f"{one.what} ({one.why})" if one.why else one.what for one in causes]
    fixes = [one.fix for one in causes if one.fix]
    return TimedOut(what, why="\n".join(details), fix="\n".join(fixes), rule="bench-pod")
