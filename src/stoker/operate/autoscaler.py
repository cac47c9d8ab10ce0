"""The autoscaler of a fleet on this machine: `python -m stoker.operate.autoscaler NAME`, kept by the
supervisor.

At every sync it decides as the controller of a cluster's HPA does, and changes the number as `stoker scale`
would: the target starts and drains, no request is lost.
"""

import logging
import signal
import sys
from collections import deque
from dataclasses import replace

from stoker.autoscale import memory
from stoker.autoscale.conditions import Said, put
from stoker.autoscale.from_spec import controller_of, policy_of
from stoker.autoscale.hpa import Decision, History, decide
from stoker.autoscale.shown import shown
from stoker.autoscale.signals import TTFT_WINDOW, figures_of, name_of, scale_of
from stoker.errors import StokerError
from stoker.fleet.process import Wanted
from stoker.fleet.state import Evidence, FleetState, Sample
from stoker.operate.local_fleet import LocalFleet
from stoker.operate.stored import load_stored
from stoker.spec.nouns import ServeSpec
from stoker.system import clock
from stoker.system.files import try_lock
from stoker.system.log import setup
from stoker.targets.local import autoscaling
from stoker.targets.local.target import LocalTarget

TICK = 1.0
SHORTEST, LONGEST = 15.0, 300.0  # seconds until a replica that did not come up is tried again
REFUSED = "the HPA controller was unable to update the target scale: "
BUSY = "another command leads the fleet just now"

log = logging.getLogger("stoker.autoscaler")


class Autoscaler:
    """One fleet's. It remembers what it recommended, as the controller does, and the last minute's
    samples."""

    def __init__(self, name: str) -> None:
        self.fleet = LocalFleet(name)
        self._folder = self.fleet.target.folder
        self._began = clock.now()
        self._history = self._remembered()
        self._samples: dict[str, deque[Sample]] = {}
        self._due = clock.monotonic()
        self._wrote: int | None = None
        self._failed = 0
        self._not_before = 0.0
        self._spec: tuple[object, ServeSpec] | None = None

    def _remembered(self) -> History:
        """What it knew before it was started again, on the same clock."""
        last = autoscaling.read(self._folder)
        if last is None or last.clock > clock.monotonic():
            return History()
        try:
            return memory.from_plain(last.memory)
        except ValueError:
            return History()

    def look(self) -> None:
        """One look at the fleet; a decision where it is time for one. Raises: StokerError."""
        running = self.fleet.target.running()
        if running is None or not running.processes:
            return
        spec = self._spec_of(running)
        if spec.scaling is None or not spec.scales:
            return
        state = replace(self.fleet.target.observe(), wanted=running.replicas)
        self._sample(state)
        self._watch_last(state)
        asleep = state.wanted == 0 and bool(state.requests)  # who waits is not made to wait for the period
        if clock.monotonic() >= self._due or asleep:
            self._due = clock.monotonic() + float(spec.scaling.sync_period)
            self._sync(spec, state)

    def _spec_of(self, running: Wanted) -> ServeSpec:
        if self._spec is None or self._spec[0] != running.spec:
            self._spec = running.spec, load_stored(dict(running.spec))
        return self._spec[1]

    def _sample(self, state: FleetState) -> None:
        """Keeps each replica's samples of the last minute."""
        lives = {name_of(one): one.sample for one in state.replicas}
        self._samples = {name: self._samples.get(name, deque()) for name in lives}
        for name, sample in lives.items():
            kept = self._samples[name]
            if sample is not None and (not kept or kept[-1] != sample):
                kept.append(sample)
            while kept and kept[-1].at - kept[0].at > TTFT_WINDOW:
                kept.popleft()

    def _watch_last(self, state: FleetState) -> None:
        """A replica that it asked for and that does not come up is not asked for again at once."""
        stopped = state.stopped
        if stopped is not None and stopped.revision == self._wrote:
            self._wrote = None
            self._failed += 1
            wait = min(LONGEST, SHORTEST * 2 ** (self._failed - 1))
            self._not_before = clock.monotonic() + wait
            log.warning("%s failed: %s; tried again in %g s", stopped.subject, stopped.last_error, wait)
        elif self._wrote is not None and state.ready >= state.wanted:
            self._wrote, self._failed = None, 0

    def _sync(self, spec: ServeSpec, state: FleetState) -> None:
        assert spec.scaling is not None
        policy, controller = policy_of(spec.scaling, spec.replicas), controller_of(spec.scaling)
        scale, now = scale_of(state), clock.monotonic()
        figures = figures_of(policy, state, self._samples)
        decision = decide(policy, scale, figures, self._history, now, controller)
        if decision.wanted != scale.wanted and (why := self._change(decision, state)) is not None:
            decision = _refused(decision, self._history, why, now)
        self._history = decision.history
        name = f"{self.fleet.name} Fleet/{self.fleet.name}"
        scaling = shown(name, policy, scale, decision, figures, now, controller, self._began)
        if decision.wanted != scale.wanted:
            log.warning("%d -> %d: %s", scale.wanted, decision.wanted, scaling.reason)
        plain, wrong = memory.to_plain(self._history), _evidence(decision)
        told = autoscaling.Told(clock.now(), now, controller.sync, scaling, plain, wrong)
        autoscaling.tell(self._folder, told)

    def _change(self, decision: Decision, state: FleetState) -> str | None:
        """Asks for the number. Why not, where it cannot be."""
        wait = self._not_before - clock.monotonic()
        if decision.wanted > decision.before and wait > 0:
            return f"the last replica that was asked for did not come up; tried again in {wait:.0f} s"
        if state.stopping or not state.supervised:
            return "the fleet is not looked after just now"
        try:
            held = try_lock(self._folder.leading_lock)
            if held is None:
                return BUSY
            with held:
                target = LocalTarget(self.fleet.name)
                target.expect(target.revision())
                changes = target.changes(self.fleet.plan(decision.wanted))
                target.apply(changes)
                self._wrote = target.revision()
        except StokerError as error:
            return f"{error.finding.what}: {error.finding.why}".rstrip(": ")
        return None


def _evidence(decision: Decision) -> tuple[Evidence, ...]:
    """What `stoker why` is to know: that it wants more than it may, or cannot have what it wants."""
    able, limited = decision.condition("AbleToScale"), decision.condition("ScalingLimited")
    if able is not None and not able.status and BUSY not in able.message:
        words = able.message.removeprefix(REFUSED)
        return (Evidence("condition", "autoscaler", "AutoscalerHeld", words),)
    if limited is not None and limited.reason == "TooManyReplicas" and decision.computed:
        return (Evidence("condition", "autoscaler", limited.reason, limited.message),)
    return ()


def _refused(decision: Decision, before: History, why: str, now: float) -> Decision:
    """As the controller goes on where the number could not be changed: recommended, and not done."""
    said = Said(
        "AbleToScale",
        False,
        "FailedUpdateScale",
        f"{REFUSED}{why}",
    )
    kept = replace(
        decision.history,
        ups=before.ups,
        downs=before.downs,
        desired=before.desired,
        scaled=before.scaled,
        conditions=put(decision.history.conditions, said, now),
    )
    return replace(decision, wanted=decision.before, history=kept)


def main(argv: list[str]) -> int:
    """Runs it until it is told to end."""
    setup("autoscaler")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    autoscaler = Autoscaler(argv[0])
    complained = ""
    while True:
        try:
            autoscaler.look()
            complained = ""
        except StokerError as error:
            if (words := str(error)) != complained:
                log.warning("no decision: %s", words.partition("\n")[0])
            complained = words
        except Exception:  # the fleet goes on, and so does who scales it
            if complained != "fault":
                log.exception("no decision")
            complained = "fault"
        clock.sleep(TICK)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
