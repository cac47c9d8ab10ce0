"""The controller's reconcile of one HPA."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from benchmarks.hpa_oracle import kinds, limits, releases
from benchmarks.hpa_oracle.conditions import ABLE, ACTIVE, AT_ZERO, LIMITED, Conditions
from benchmarks.hpa_oracle.counts import Asked, Tolerances
from benchmarks.hpa_oracle.errors import MetricError
from benchmarks.hpa_oracle.golang import clock, int32, microseconds
from benchmarks.hpa_oracle.history import SECOND, History
from benchmarks.hpa_oracle.pods import Moment
from benchmarks.hpa_oracle.quantities import approximate_float

FLAG = "horizontal-pod-autoscaler-"
HIGHER = "recent recommendations were higher than current one, applying the highest recent recommendation"
LOWER = "recent recommendations were lower than current one, applying the lowest recent recommendation"


@dataclass
class Reconcile:
    """One reconcile as it goes: what is known, and what comes out."""

    spec: dict[str, Any]
    scale: dict[str, int]
    pods: list[dict[str, Any]]
    metrics: dict[str, Any]
    now: int
    rivals: Sequence[str]
    current: int = 0
    least: int = 1
    fetched: bool = False
    statuses: list[dict[str, Any]] | None = None
    name: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        self.current = self.scale["spec"]
        least = self.spec.get("minReplicas")
        self.least = 1 if least is None else least


@dataclass
class Controller:
    """kube-controller-manager's loop for one HPA, with its memory.

    `flags` as the recordings have them (durations as text); `scale_to_zero` is the gate HPAScaleToZero. The
    names are those of the HPA and of its pods' selector, which messages tell.
    """

    flags: dict[str, Any]
    scale_to_zero: bool
    namespace: str = "default"
    name: str = "x"
    selector: str = "app=x"
    history: History = field(default_factory=History)
    conditions: Conditions = field(default_factory=Conditions)
    desired: int = 0
    last_scale: str | None = None

    def reconcile(
        self,
        hpa_spec: dict[str, Any],
        scale: dict[str, int],
        pods: list[dict[str, Any]],
        metrics: dict[str, Any],
        now: float,
        rivals: Sequence[str] = (),
    ) -> dict[str, Any]:
        """One look at the fleet. `scale`: the replicas asked for and there ("spec", "status"); `pods` and
        `metrics` as the recordings have them; `now` in seconds; `rivals`: other HPAs (namespace/name) whose
        selectors take these pods."""
        one = Reconcile(hpa_spec, scale, pods, metrics, clock(now), rivals)
        self.conditions.put(
            ABLE, True, "SucceededGetScale", "the HPA controller was able to get the target's current scale"
        )
        self.history.begin(one.current, one.now)
        was_zero = self.scale_to_zero and self.conditions.holds(AT_ZERO)
        desired, rescale = self._decide(one, was_zero)
        if desired is None:
            return self._result(one, None, self.desired, rescaled=False)
        if rescale:
            self._rescaled(one, desired)
        else:
            desired = one.current
        self.desired = desired
        return self._result(one, desired, desired, rescaled=rescale)

    def _decide(self, one: Reconcile, was_zero: bool) -> tuple[int | None, bool]:
        """The count, None where none could be found, and whether it is written."""
        if one.current == 0:
            from_zero = (one.least != 0 and was_zero) or (was_zero and _measured_outside(one.spec))
            if not from_zero:
                text = "scaling is disabled since the replica count of the target is zero"
                self.conditions.put(ACTIVE, False, "ScalingDisabled", text)
                if not self.scale_to_zero:
                    self.conditions.drop(AT_ZERO)
                return 0, False
        elif one.current > one.spec["maxReplicas"]:
            one.reason = "Current number of replicas above Spec.MaxReplicas"
            return one.spec["maxReplicas"], True
        elif one.current < one.least:
            one.reason = "Current number of replicas below Spec.MinReplicas"
            return one.least, True
        wanted = self._by_metrics(one)
        if wanted is None:
            return None, False
        desired = self._normalized(one, wanted)
        if one.current == 0 and one.least != 0 and was_zero and desired < one.least:
            desired = one.least
            one.reason = one.reason or "Current number of replicas below Spec.MinReplicas"
        return desired, desired != one.current

    def _by_metrics(self, one: Reconcile) -> int | None:
        """The largest of the metrics' counts; None if all fail, or some do and the rest would go down."""
        if one.rivals and one.pods:
            everyone = [f"{self.namespace}/{self.name}", *one.rivals]
            text = releases.ambiguous(self.selector, everyone)
            self.conditions.put(ACTIVE, False, "AmbiguousSelector", text)
            return None
        one.fetched = True
        asked = self._asked(one)
        replicas, failures = 0, []
        one.statuses = []
        for metric in one.spec["metrics"]:
            try:
                found = kinds.propose(metric, one.metrics, asked, self.namespace)
            except MetricError as error:
                failures.append((kinds.REASONS[metric["type"]], str(error)))
                one.statuses.append({"type": ""})
                continue
            one.statuses.append(found.status)
            if replicas == 0 or found.replicas > replicas:
                replicas, one.name = found.replicas, found.name
        if failures and (len(failures) >= len(one.spec["metrics"]) or replicas < one.current):
            reason, text = failures[0]
            text = f"the HPA was unable to compute the replica count: {text}"
            self.conditions.put(ACTIVE, False, reason, text)
            return None
        text = f"the HPA was able to successfully calculate a replica count from {one.name}"
        self.conditions.put(ACTIVE, True, "ValidMetricFound", text)
        return replicas

    def _asked(self, one: Reconcile) -> Asked:
        return Asked(
            spec=one.current,
            status=one.scale["status"],
            pods=one.pods,
            tolerances=self.tolerances(one.spec),
            moment=Moment(
                one.now,
                self._flag("cpu-initialization-period", "5m"),
                self._flag("initial-readiness-delay", "30s"),
            ),
        )

    def _flag(self, name: str, otherwise: str) -> int:
        return microseconds(self.flags.get(FLAG + name, otherwise))

    def tolerances(self, spec: dict[str, Any]) -> Tolerances:
        """The flag's, or what an HPA sets for a direction."""
        general = float(self.flags.get(FLAG + "tolerance", 0.1))
        behavior = spec.get("behavior") or {}
        own = [(behavior.get(way) or {}).get("tolerance") for way in ("scaleDown", "scaleUp")]
        return Tolerances(*(general if one is None else approximate_float(one) for one in own))

    def _normalized(self, one: Reconcile, wanted: int) -> int:
        """A count held by the windows, the rates and the bounds; negative ones are 0 before."""
        desired = max(0, wanted)
        metric = one.name if wanted > 0 else ""
        if desired > one.current:
            one.reason = f"{metric} above target"
        if desired < one.current:
            one.reason = "All metrics below target"
        behavior = one.spec.get("behavior")
        stable = self._stable(one, desired, behavior)
        most = one.spec["maxReplicas"]
        if behavior is None:
            allowed, reason, text = limits.plainly(one.current, stable, one.least, most)
        else:
            allowed, reason, text = limits.by_policies(
                one.current, stable, one.least, most, behavior, self.history, one.now
            )
        self.conditions.put(LIMITED, allowed != stable, reason, text)
        return allowed

    def _stable(self, one: Reconcile, desired: int, behavior: dict[str, Any] | None) -> int:
        general = self._flag("downscale-stabilization", "5m")
        if behavior is None:
            stable = self.history.highest(desired, one.now, general)
            reason, text = "ScaleDownStabilized", HIGHER
        else:
            down = behavior["scaleDown"].get("stabilizationWindowSeconds")
            down = int32(general // SECOND) if down is None else down
            up = behavior["scaleUp"].get("stabilizationWindowSeconds") or 0
            stable = self.history.stabilized(one.current, desired, one.now, up * SECOND, down * SECOND)
            reason, text = ("ScaleUpStabilized", LOWER)
            if desired < one.current:
                reason, text = ("ScaleDownStabilized", HIGHER)
        if stable == desired:
            reason, text = "ReadyForNewScale", "recommended size matches current size"
        self.conditions.put(ABLE, True, reason, text)
        return stable

    def _rescaled(self, one: Reconcile, desired: int) -> None:
        text = f"the HPA controller was able to update the target scale to {desired}"
        self.conditions.put(ABLE, True, "SucceededRescale", text)
        self.history.changed(one.spec.get("behavior"), one.current, desired, one.now)
        moment = datetime.fromtimestamp(one.now // SECOND, UTC)
        self.last_scale = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        if not self.scale_to_zero:
            self.conditions.drop(AT_ZERO)
        elif one.current > 0 and desired == 0 and one.least == 0 and _measured_outside(one.spec):
            text = "the HPA controller scaled the workload to zero"
            self.conditions.put(AT_ZERO, True, "ScaledToZero", text)
        else:
            text = "the HPA controller did not scale the workload to zero"
            self.conditions.put(AT_ZERO, False, "NotScaledToZero", text)

    def _result(
        self, one: Reconcile, decision: int | None, desired: int, *, rescaled: bool
    ) -> dict[str, Any]:
        """The answer; the status as the API shows it, where 0 current replicas are left out."""
        status = {
            "currentReplicas": one.current or None,
            "desiredReplicas": desired,
            "currentMetrics": one.statuses,
            "lastScaleTime": self.last_scale,
            "conditions": self.conditions.shown(),
        }
        return {
            "decision": decision,
            "spec_replicas_after": decision if rescaled and decision is not None else one.current,
            "fetched": one.fetched,
            "status": status,
            "rescale_reason": one.reason if rescaled else None,
        }


def _measured_outside(spec: dict[str, Any]) -> bool:
    """Whether a metric is there that says something at 0 replicas."""
    return any(metric["type"] in ("Object", "External") for metric in spec["metrics"])
