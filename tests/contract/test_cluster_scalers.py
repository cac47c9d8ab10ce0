"""Who scales a fleet in a cluster: an HPA, GKE's own metrics, KEDA; switched, taken down, explained."""

from typing import Any

import pytest
from tests.support.cluster.kinds import BY_KIND
from tests.support.user import SPEC, User, until

GATEWAY = {"routing": "gateway", "image": "registry.example/stoker:1"}
KEDA = {**SPEC["kubernetes"], "scaler": "keda", "metrics": "prometheus"}
QUEUE: dict[str, Any] = {"replicas": "1..3", "scaling": {"metrics": {"queue-depth": 5}}}
HELD: dict[str, Any] = {"replicas": "1..3", "scaling": {"metrics": {"in-flight": 8}}}
EXTERNAL = "v1beta1.external.metrics.k8s.io"


def scalers(user: User) -> set[str]:
    kinds = ("HorizontalPodAutoscaler/", "ScaledObject/", "AutoscalingMetric/")
    return {one for one in user.there() if one.startswith(kinds)}


def rules(user: User) -> list[str]:
    return [one["rule"] for one in user.ok("why", "-o", "json").json()]


def test_the_scaler_is_switched_and_taken_down(user: User) -> None:
    user.write(**QUEUE)
    user.ok("up")
    assert scalers(user) == {"HorizontalPodAutoscaler/shop"}
    user.write(**QUEUE, kubernetes={**SPEC["kubernetes"], "scaler": "autoscaling-metric"})
    user.ok("up")
    assert scalers(user) == {"HorizontalPodAutoscaler/shop", "AutoscalingMetric/shop"}
    user.write(**QUEUE, kubernetes=KEDA)
    assert "HorizontalPodAutoscaler/shop goes first" in user.ok("up", "--dry-run").out
    user.ok("up")
    until(lambda: scalers(user) == {"ScaledObject/shop", "HorizontalPodAutoscaler/keda-hpa-shop"})
    version = user.live("HorizontalPodAutoscaler", "keda-hpa-shop")["metadata"]["uid"]
    user.ok("up")
    assert user.live("HorizontalPodAutoscaler", "keda-hpa-shop")["metadata"]["uid"] == version, "it is KEDA's"
    assert "keda-hpa-shop" in user.ok("status").out
    (metric,) = user.ok("status", "-o", "json").json()["scaling"]["metrics"]
    assert metric["metric"] == "queue-depth"
    user.write(**QUEUE)
    user.ok("up")
    assert scalers(user) == {"HorizontalPodAutoscaler/shop"}
    user.write(**QUEUE, kubernetes=KEDA)
    user.ok("up")
    user.ok("down")
    until(lambda: scalers(user) == set())


def test_a_scaler_of_somebody_else_keeps_keda_out(user: User) -> None:
    user.write(**QUEUE, kubernetes=KEDA)
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization"}}}
    spec = {"scaleTargetRef": target, "maxReplicas": 3, "metrics": [metric]}
    kind = BY_KIND["HorizontalPodAutoscaler"]
    user.cluster.store.create(kind, "default", {"metadata": {"name": "mine"}, "spec": spec})
    ran = user("up")
    assert ran.code == 2
    assert "already managed by the hpa 'mine'" in ran.err
    assert "kubectl delete hpa mine" in ran.err


def test_a_fixed_number_takes_keda_away(user: User) -> None:
    user.write(**{**QUEUE, "replicas": "2..3"}, kubernetes=KEDA)
    user.ok("up")
    assert user.live("Deployment")["spec"]["replicas"] == 2
    ran = user("scale", "3")
    assert ran.code == 2
    assert "2..3" in ran.err
    user.write(replicas=1, kubernetes=KEDA)
    user.ok("up")
    assert user.live("Deployment")["spec"]["replicas"] == 1
    assert scalers(user) == set()


def test_a_fleet_that_may_go_to_zero(user: User) -> None:
    held = {**HELD, "replicas": "0..3", "endpoint": {"queue_timeout": "1h"}}
    user.write(**held, kubernetes={**KEDA, **GATEWAY})
    ran = user.ok("up")
    assert "kube-zero" not in ran.err
    assert user.live("Deployment")["spec"].get("replicas", 1) == 1, "it is seen to start"
    asleep = user.live("Deployment")
    body = {**asleep, "spec": {**asleep["spec"], "replicas": 0}}
    user.cluster.store.put(("Deployment", "default", "shop"), body, "keda")
    user.ok("up")
    assert user.live("Deployment")["spec"]["replicas"] == 0, "KEDA wakes it"
    assert user.ok("why").out.strip()


def test_an_hpa_to_zero_is_warned_of(user: User) -> None:
    user.write(**{**HELD, "replicas": "0..3"}, kubernetes={**SPEC["kubernetes"], **GATEWAY})
    said = user("up").err
    assert "an HPA goes to 0 replicas from Kubernetes 1.37 on" in said
    assert "a request that wakes the fleet is given up after 30s" in said


def test_definitions_that_are_not_there_stop_it_first(user: User) -> None:
    user.write(**QUEUE, kubernetes=KEDA)
    user.cluster.absent.add("ScaledObject")
    ran = user("up")
    assert ran.code == 2
    assert "has no ScaledObject" in ran.err
    assert "helm install keda" in ran.err
    assert user.there() == set()


def test_keda_is_explained(user: User) -> None:
    fallback = {**KEDA, "keda": {"fallback": 2}}
    user.write(**QUEUE, kubernetes=fallback)
    user.ok("up")
    keda = user.cluster.lives.keda
    for conditions, rule in (
        ([{"type": "Ready", "status": "False", "reason": "TriggerError", "message": "x"}], "keda-failing"),
        (
            [{"type": "Fallback", "status": "True", "reason": "FallbackExists", "message": ""}],
            "keda-fallback",
        ),
        (
            [{"type": "Paused", "status": "True", "reason": "ScaledObjectPaused", "message": ""}],
            "keda-paused",
        ),
    ):
        keda.conditions, keda.failing = conditions, [0]
        until(lambda rule=rule: f"why-hpa-{rule}" in rules(user))  # type: ignore[misc]
    keda.conditions = [{"type": "Fallback", "status": "True", "reason": "FallbackExists", "message": ""}]
    until(lambda: "why-hpa-keda-fallback" in rules(user))
    (found,) = [one for one in user.ok("why", "-o", "json").json() if one["rule"] == "why-hpa-keda-fallback"]
    assert "2 replicas, while queue-depth gives no figure" in found["what"]
    keda.conditions = []
    user.cluster.store.delete(("PodMonitor", "default", "shop"))
    assert rules(user) == ["why-hpa-no-scrape"]


@pytest.mark.parametrize("service", ["keda-operator-metrics-apiserver", "custom-metrics-stackdriver-adapter"])
def test_the_gateways_count_link_by_link(user: User, service: str) -> None:
    user.write(**HELD, kubernetes={**SPEC["kubernetes"], **GATEWAY})
    behind = {"namespace": "other", "name": service}
    user.cluster.store.create(
        BY_KIND["APIService"], "", {"metadata": {"name": EXTERNAL}, "spec": {"service": behind}}
    )
    said = user("up").err
    assert ("other/keda-operator-metrics-apiserver serves" in said) == service.startswith("keda")
    if service.startswith("keda"):
        assert rules(user) == ["why-hpa-external-taken"]
        return
    (metric,) = user.ok("status", "-o", "json").json()["scaling"]["metrics"]
    assert metric["metric"] == "in-flight"
    assert rules(user) == ["why-hpa-no-figures"]
    user.cluster.store.delete(("PodMonitoring", "default", "shop-gateway"))
    assert rules(user) == ["why-hpa-no-gateway-scrape"]
    for key in [key for key in user.cluster.store.objects if key[0] == "Pod" and "gateway" in key[2]]:
        pod = user.cluster.store.objects[key]
        notes = {**pod["metadata"].get("annotations", {}), "fake/metrics": "stoker_gateway_held_total 0\n"}
        user.cluster.store.put(key, {**pod, "metadata": {**pod["metadata"], "annotations": notes}})
    assert rules(user) == ["why-hpa-gateway-page", "why-hpa-no-gateway-scrape"]
