"""What is read of a cluster's pods and of the events about them."""

from typing import Any

from stoker.targets.kubernetes.pods import evidence, replicas


def pod(name: str, phase: str, **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {}, "creationTimestamp": "2026-11-02T10:00:00Z"},
        "spec": {"nodeName": "n", "containers": [{"name": "engine"}]},
        "status": {"phase": phase, **status},
    }


def test_pods_that_never_run_again_are_no_replicas() -> None:
    """An evicted pod stays for hours, while its owner has made another long since."""
    ready = {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": None}]}
    pods = [pod("shop-a", "Failed", reason="Evicted"), pod("shop-b", "Running", **ready)]
    assert [(one.name, one.phase) for one in replicas(pods, lambda _: ())] == [("shop-b", "Ready")]


def test_events_of_a_fleet_whose_name_begins_alike_and_of_hpas() -> None:
    def about(kind: str, name: str) -> dict[str, Any]:
        return {
            "type": "Warning",
            "reason": "Failed",
            "message": "x",
            "involvedObject": {"kind": kind, "name": name},
            "lastTimestamp": "2026-11-02T10:00:00Z",
        }

    events = [about("Pod", "shop-1"), about("Pod", "shop-eu-1"), about("HorizontalPodAutoscaler", "shop")]
    assert [one.subject for one in evidence(events, "shop", ["shop-eu"])] == ["Pod/shop-1"]


def test_an_event_that_goes_on_is_as_new_as_its_last_time() -> None:
    """The scheduler writes the newer kind of event: what happens again is counted in its series."""
    event = {
        "type": "Warning",
        "reason": "FailedScheduling",
        "message": "0/3 nodes are available",
        "involvedObject": {"kind": "Pod", "name": "shop-1"},
        "eventTime": "2026-11-02T10:00:00.000000Z",
        "series": {"count": 9, "lastObservedTime": "2026-11-02T11:00:00.000000Z"},
    }
    (found,) = evidence([event], "shop")
    assert (found.count, found.subject) == (9, "Pod/shop-1")
    (first,) = evidence([{**event, "series": None}], "shop")
    assert (first.count, found.last_seen - first.last_seen) == (1, 3600.0)
    assert evidence([event], "other") == ()
