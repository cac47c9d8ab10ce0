"""KEDA in place of an HPA, and back: kubectl is the judge, the operator is the cluster's."""

import time
from collections.abc import Callable

import pytest

from tests.cluster.conftest import Place

SCALING = {"metrics": {"queue-depth": 5}}
OWN, KEDAS = "horizontalpodautoscaler.autoscaling/shop", "horizontalpodautoscaler.autoscaling/keda-hpa-shop"


def until(found: Callable[[], object]) -> None:
    deadline = time.monotonic() + 90
    while not found():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.5)


def test_keda_takes_over_from_an_hpa_and_gives_it_back(place: Place) -> None:
    if place.kubectl.run("get", "scaledobjects.keda.sh").returncode:
        pytest.skip("the cluster has no KEDA")

    def names(kind: str) -> list[str]:
        return place.kubectl.ok("get", kind, "-o", "name").split()

    by_hpa = {"metrics": "stackdriver" if place.offer.platform == "gke" else "prometheus"}
    by_keda = {**by_hpa, "scaler": "keda", "keda": {"server": "http://prometheus.example:9090"}}
    place.write(replicas="1..2", scaling=SCALING, kubernetes=by_hpa)
    ran = place("up", "--timeout", "120s")
    if ran.code == 2 and "has no Pod" in ran.err:
        pytest.skip("the cluster has no PodMonitoring and no PodMonitor")
    assert ran.code == 0, ran.err
    before = place.kubectl.get("deployment", "shop")["metadata"]["uid"]
    assert names("horizontalpodautoscalers") == [OWN]
    place.write(replicas="1..2", scaling=SCALING, kubernetes=by_keda)
    place.up()
    until(lambda: names("horizontalpodautoscalers") == [KEDAS])
    spec = place.kubectl.get("scaledobject", "shop")["spec"]
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (1, 2)
    place.up()
    assert names("horizontalpodautoscalers") == [KEDAS], "what KEDA made is KEDA's"
    assert "keda-hpa-shop" in place.ok("status").out
    place.write(replicas="1..2", scaling=SCALING, kubernetes=by_hpa)
    place.up()
    assert names("horizontalpodautoscalers") == [OWN]
    assert not names("scaledobjects.keda.sh")
    assert place.kubectl.get("deployment", "shop")["metadata"]["uid"] == before, "no replica was lost"
