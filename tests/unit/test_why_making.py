"""Why no pod is made: what admission, quotas and controllers of 1.30 to 1.36 say, and that something is
always said."""

from dataclasses import replace

import pytest

from stoker.advise.why import why
from stoker.fleet.state import Evidence, FleetState, Replica, Service

NOW = 1000.0
FORBIDDEN = 'Error creating: pods "shop-7d9c-" is forbidden: '
REFUSALS = [
    (
        "limit-range",
        FORBIDDEN
        + "[maximum cpu usage per Container is 4, but limit is 6, maximum memory usage per Container is 1Gi, "
        "but limit is 16Gi]",
        "maximum cpu usage per Container is 4",
    ),
    (
        "limit-range",
        FORBIDDEN + "minimum memory usage per Container is 64Gi, but request is 16Gi",
        "minimum memory usage",
    ),
    ("limit-range", FORBIDDEN + "maximum cpu usage per Pod is 2, but limit is 4", "per Pod is 2"),
    (
        "limit-range",
        FORBIDDEN + "cpu max limit to request ratio per Container is 1, but provided ratio is 2.000000",
        "cpu max limit to request ratio",
    ),
    (
        "limit-range",
        'Error creating: Pod "shop-7d9c-x2x" is invalid: spec.containers[0].resources.requests: Invalid '
        'value: "4": must be less than or equal to cpu limit of 2',
        "must be less than or equal to cpu limit of 2",
    ),
    (
        "quota-asks",
        FORBIDDEN + "failed quota: cores: must specify limits.cpu for: engine",
        "the namespace's quota cores wants limits.cpu",
    ),
    (
        "namespace-quota",
        FORBIDDEN
        + "exceeded quota: cores, requested: limits.cpu=4, used: limits.cpu=0, limited: limits.cpu=2",
        "cores",
    ),
    ("quota-unready", FORBIDDEN + "status unknown for quota: cores, resources: limits.cpu", "cores"),
    (
        "policy-denied",
        FORBIDDEN
        + "ValidatingAdmissionPolicy 'team-label' with binding 'all' denied request: pods need the label team",
        "team-label refuses the pods: pods need the label team",
    ),
    (
        "priority-class",
        FORBIDDEN + "no PriorityClass with name serving was found",
        "the priority class serving",
    ),
    (
        "runtime-class",
        FORBIDDEN + 'pod rejected: RuntimeClass "nvidia" not found',
        "the runtime class nvidia",
    ),
    (
        "webhook-denied",
        'Error creating: admission webhook "policy.acme" denied the request: no',
        "policy.acme",
    ),
    (
        "webhook-down",
        'Error creating: Internal error occurred: failed calling webhook "policy.acme": failed to call '
        'webhook: Post "https://p.acme.svc:443/?timeout=10s": no endpoints available for service "p"',
        "policy.acme",
    ),
    (
        "pod-security",
        FORBIDDEN + 'violates PodSecurity "restricted:latest": hostNetwork=true',
        "Pod Security",
    ),
    (
        "pod-invalid",
        'Error creating: Pod "shop-7d9c-x2x" is invalid: spec.hostPort: Invalid value: 99999999',
        "spec.hostPort",
    ),
    (
        "no-service-account",
        FORBIDDEN + 'error looking up service account ml/shop: serviceaccount "shop" not found',
        "shop",
    ),
    (
        "create-refused",
        "Error creating: etcdserver: mvcc: database space exceeded",
        "database space exceeded",
    ),
    (
        "create-refused",
        FORBIDDEN + "something that nobody has thought of",
        "something that nobody has thought of",
    ),
]
OWNERS = ["ReplicaSet/shop-7d9c", "Job/shop-1a2b-copy", "StatefulSet/shop"]


def fleet(
    *evidence: Evidence,
    wanted: int = 2,
    replicas: tuple[Replica, ...] = (),
    services: tuple[Service, ...] = (),
) -> FleetState:
    return FleetState(
        "shop", "kubernetes/ml", NOW, wanted=wanted, replicas=replicas, services=services, evidence=evidence
    )


def event(reason: str, text: str, subject: str) -> Evidence:
    return Evidence("event", subject, reason, text, 3, NOW - 12)


@pytest.mark.parametrize(("rule", "text", "said"), REFUSALS)
def test_a_refused_pod_of_the_workload(rule: str, text: str, said: str) -> None:
    (found,) = why(fleet(event("FailedCreate", text, OWNERS[0])), NOW)
    assert found.rule == f"why-{rule}"
    assert said in found.what
    assert found.fix
    assert "{" not in found.what + found.fix.replace("{spec", "").replace("cpu_limit", "").replace(
        "kubernetes: {", ""
    )
    (found,) = why(
        fleet(
            Evidence("condition", "Deployment/shop", "FailedCreate", text.removeprefix("Error creating: "))
        ),
        NOW,
    )
    assert found.rule == f"why-{rule}", (
        "the workload's own condition says the same where events may not be read"
    )


@pytest.mark.parametrize(("rule", "text", "said"), REFUSALS)
def test_a_refused_pod_of_the_copy(rule: str, text: str, said: str) -> None:
    """While the weights are copied there is no workload yet, and nothing is asked of it."""
    copy = Service("weights", "Loading", NOW - 60, detail="the copy is about to start")
    (found,) = why(fleet(event("FailedCreate", text, OWNERS[1]), wanted=0, services=(copy,)), NOW)
    assert found.rule == f"why-{rule}"
    assert said in found.what


def test_what_somebody_holds() -> None:
    ready = Replica("shop-1", "Ready", NOW - 60)
    paused = Evidence("condition", "Deployment/shop", "DeploymentPaused", "Deployment is paused")
    (found,) = why(fleet(paused, wanted=1, replicas=(ready,)), NOW)
    assert (found.rule, found.severity) == ("why-paused", "warning")
    assert "kubectl rollout resume Deployment/shop" in found.fix
    assert [one.rule for one in why(fleet(paused), NOW)] == ["why-paused", "why-unknown"]
    copy = Service("weights", "Loading", NOW - 60, detail="the copy is about to start")
    held = Evidence("condition", "Job/shop-1a2b-copy", "JobSuspended", "Job suspended")
    (found,) = why(fleet(held, wanted=0, services=(copy,)), NOW)
    assert found.rule == "why-suspended"
    assert "Job/shop-1a2b-copy" in found.fix
    going = Evidence(
        "condition", "Namespace/ml", "NamespaceTerminating", "Some resources are remaining: pods. has 1"
    )
    assert [one.rule for one in why(fleet(going), NOW)] == ["why-namespace-terminating"]
    kept = Evidence("condition", "Service/shop", "FinalizerHolds", "acme.example/keep")
    (found,) = why(replace(fleet(kept), stopping=True), NOW)
    assert found.rule == "why-finalizer"
    assert "Service/shop" in found.fix
    assert "acme.example/keep" in found.what
    gone = Evidence("condition", "Service/shop", "ServiceGone", "there is no Service shop")
    assert [one.rule for one in why(fleet(gone, wanted=1, replicas=(ready,)), NOW)] == ["why-service-gone"]


LEFT = [
    ((), "nothing is said of it yet"),
    (
        (
            Evidence(
                "condition",
                "Deployment/shop",
                "MinimumReplicasUnavailable",
                "Deployment does not have minimum availability.",
            ),
        ),
        "minimum availability",
    ),
    (
        (
            Evidence("condition", "Deployment/shop", "MinimumReplicasUnavailable", "no"),
            Evidence(
                "condition",
                "Deployment/shop",
                "ProgressDeadlineExceeded",
                'ReplicaSet "shop-7d9c" has timed out progressing.',
            ),
        ),
        "timed out progressing",
    ),
    (
        (event("Odd", "an event of a kind that nobody knows", "Deployment/shop"),),
        "an event of a kind that nobody knows",
    ),
]


@pytest.mark.parametrize(("evidence", "said"), LEFT)
@pytest.mark.parametrize("ready", [0, 1])
def test_something_is_said_while_replicas_are_missing(
    evidence: tuple[Evidence, ...], said: str, ready: int
) -> None:
    there = tuple(Replica(f"shop-{number}", "Ready", NOW - 60) for number in range(ready))
    (found,) = why(fleet(*evidence, replicas=there), NOW)
    assert found.rule == "why-unknown"
    assert said in found.what + found.why
    assert f"{2 - ready} of 2 replicas" in found.what
    assert found.fix
    below = Evidence(
        "condition", "HorizontalPodAutoscaler/shop", "FailedGetPodsMetric", "no metrics returned"
    )
    rules = [one.rule for one in why(fleet(*evidence, below, replicas=there), NOW)]
    assert rules == ["why-hpa-no-figures", "why-unknown"], "an HPA's trouble does not explain a missing pod"


def test_what_stands_beside_is_never_silent() -> None:
    ready = Replica("shop-1", "Ready", NOW - 60)
    for service in (
        Service("weights", "Loading", NOW - 60, detail="copying"),
        Service("gateway", "Starting", NOW),
    ):
        (found,) = why(fleet(wanted=1, replicas=(ready,), services=(service,)), NOW)
        assert found.rule == "why-unknown"
        assert found.what.startswith(service.role)


def test_a_replica_on_its_way_out() -> None:
    leaving = Replica("shop-1", "Draining", NOW - 20)
    (found,) = why(fleet(wanted=1, replicas=(leaving,)), NOW)
    assert (found.rule, found.severity) == ("why-leaving", "note")
    assert why(replace(fleet(wanted=1, replicas=(leaving,)), stopping=True), NOW) == ()


def test_events_of_what_stands_beside_are_over_once_it_is_ready() -> None:
    text = FORBIDDEN + "exceeded quota: cores, requested"
    ready = Replica("shop-1", "Ready", NOW - 60)
    refused = event("FailedCreate", text, "ReplicaSet/shop-page-5c")
    for phase, rules in (("Starting", ["why-namespace-quota"]), ("Ready", [])):
        page = Service("page", phase, NOW - 60, detail="" if phase == "Ready" else "0 of 1 ready")  # type: ignore[arg-type]
        found = why(fleet(refused, wanted=1, replicas=(ready,), services=(page,)), NOW)
        assert [one.rule for one in found] == rules
