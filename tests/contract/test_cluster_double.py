"""The API-server double, over its HTTP side: what a real server would answer."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from tests.support.cluster import Cluster

APPLY = {"Content-Type": "application/apply-patch+yaml"}


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster() as made:
        made.node("gpu-0", 4, "nvidia-l4")
        yield made


class Client:
    """A user of the API."""

    def __init__(self, cluster: Cluster) -> None:
        self.http = httpx2.Client(base_url=cluster.url, timeout=10)

    def apply(self, path: str, body: Any, manager: str = "me", **more: str) -> httpx2.Response:
        where = f"{path}/{body['metadata']['name']}"
        return self.http.patch(
            where, content=json.dumps(body), headers=APPLY, params={"fieldManager": manager, **more}
        )

    def get(self, path: str, **params: str) -> Any:
        return self.http.get(path, params=params).raise_for_status().json()


@pytest.fixture
def client(cluster: Cluster) -> Iterator[Client]:
    made = Client(cluster)
    yield made
    made.http.close()


MAPS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
PODS = "/api/v1/namespaces/default/pods"


def deployment(gpus: int = 1, replicas: int = 2, image: str = "a:1", **notes: str) -> dict[str, Any]:
    container = {"name": "engine", "image": image, "resources": {"limits": {"nvidia.com/gpu": str(gpus)}}}
    meta = {"labels": {"app": "x"}, "annotations": notes}
    rolling = {"maxSurge": 0, "maxUnavailable": 1}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "x"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "x"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
            "template": {"metadata": meta, "spec": {"containers": [container]}},
        },
    }


def until(found: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


def test_apply_owns_fields_and_takes_back_what_is_gone(client: Client) -> None:
    body: dict[str, Any] = {"metadata": {"name": "m"}, "data": {"a": "1", "b": "2"}}
    assert client.apply(MAPS, body).status_code == 200
    client.apply(MAPS, {"metadata": {"name": "m"}, "data": {"c": "3"}}, "other")
    del body["data"]["b"]
    client.apply(MAPS, body)
    assert client.get(f"{MAPS}/m")["data"] == {"a": "1", "c": "3"}


def test_a_conflict_names_manager_and_field(client: Client) -> None:
    client.apply(MAPS, {"metadata": {"name": "m"}, "data": {"a": "1"}}, "first")
    refused = client.apply(MAPS, {"metadata": {"name": "m"}, "data": {"a": "2"}}, "second")
    assert refused.status_code == 409
    assert (
        refused.json()["message"] == 'Apply failed with 1 conflict: conflict with "first" using v1: .data.a'
    )
    assert refused.json()["details"]["causes"][0]["field"] == ".data.a"
    assert (
        client.apply(
            MAPS, {"metadata": {"name": "m"}, "data": {"a": "2"}}, "second", force="true"
        ).status_code
        == 200
    )
    assert client.apply(MAPS, {"metadata": {"name": "m"}, "data": {"a": "1"}}, "first").status_code == 409


def test_a_dry_run_changes_nothing(client: Client) -> None:
    client.apply(MAPS, {"metadata": {"name": "m"}, "data": {"a": "1"}})
    would = client.apply(MAPS, {"metadata": {"name": "m"}, "data": {"a": "2"}}, dryRun="All").json()
    assert would["data"] == {"a": "2"}
    assert client.get(f"{MAPS}/m")["data"] == {"a": "1"}


def test_what_is_applied_twice_keeps_its_version(client: Client) -> None:
    first, second = (
        client.apply(MAPS, {"metadata": {"name": "m"}, "data": {"a": "1"}}).json() for _ in range(2)
    )
    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]


def test_pods_live_and_a_rollout_replaces_them(client: Client) -> None:
    def images(ready: bool = True) -> list[str]:
        pods = client.get(PODS, labelSelector="app=x")["items"]
        return sorted(
            p["spec"]["containers"][0]["image"]
            for p in pods
            if not ready
            or any(
                c["type"] == "Ready" and c["status"] == "True"
                for c in p.get("status", {}).get("conditions", ())
            )
        )

    client.apply(DEPLOYMENTS, deployment())
    until(lambda: images() == ["a:1", "a:1"])
    client.apply(DEPLOYMENTS, deployment(image="a:2"))
    until(lambda: images() == ["a:2", "a:2"] and len(images(ready=False)) == 2)
    until(lambda: client.get(f"{DEPLOYMENTS}/x")["status"]["readyReplicas"] == 2)


def test_a_pod_without_a_gpu_waits_and_says_why(client: Client) -> None:
    client.apply(DEPLOYMENTS, deployment(gpus=3))
    until(
        lambda: (
            [p["status"]["phase"] for p in client.get(PODS)["items"] if "status" in p].count("Pending") == 1
        )
    )
    until(
        lambda: any(
            e["reason"] == "FailedScheduling"
            for e in client.get("/api/v1/namespaces/default/events")["items"]
        )
    )
    (event,) = client.get("/api/v1/namespaces/default/events", fieldSelector="reason=FailedScheduling")[
        "items"
    ]
    lacking, _, preempted = event["message"].partition(" no new claims to deallocate, preemption: ")
    assert lacking == "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
    assert preempted == "0/1 nodes are available: 1 No preemption victims found for incoming pod."


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("ImagePullBackOff", "ImagePullBackOff"),
        ("CrashLoopBackOff", "CrashLoopBackOff"),
        ("OOMKilled", "CrashLoopBackOff"),
    ],
)
def test_faults(client: Client, fault: str, reason: str) -> None:
    client.apply(DEPLOYMENTS, deployment(1, 1, "a:1", **{"fake/fault": fault, "fake/log": "the last words"}))

    def waiting() -> Any:
        pods = client.get(PODS)["items"]
        state = pods[0].get("status", {}).get("containerStatuses", [{}])[0].get("state", {}) if pods else {}
        return state.get("waiting", {}).get("reason") == reason

    until(waiting)
    pod = client.get(PODS)["items"][0]["metadata"]["name"]
    assert client.http.get(f"{PODS}/{pod}/log").text == "the last words"


def test_a_watch_brings_what_comes(client: Client, cluster: Cluster) -> None:
    since = client.get(MAPS)["metadata"]["resourceVersion"]
    seen: list[tuple[str, str]] = []

    def watch() -> None:
        query = {"watch": "true", "resourceVersion": since, "timeoutSeconds": "3"}
        with httpx2.stream("GET", f"{cluster.url}{MAPS}", params=query, timeout=10) as answer:
            for line in answer.iter_lines():
                event = json.loads(line)
                seen.append((event["type"], event["object"]["metadata"]["name"]))

    thread = threading.Thread(target=watch)
    thread.start()
    client.apply(MAPS, {"metadata": {"name": "m"}, "data": {"a": "1"}})
    client.apply(MAPS, {"metadata": {"name": "m"}, "data": {"a": "2"}})
    client.http.delete(f"{MAPS}/m")
    thread.join()
    assert seen == [("ADDED", "m"), ("MODIFIED", "m"), ("DELETED", "m")]


def test_what_is_not_there_or_not_allowed(client: Client, cluster: Cluster) -> None:
    cluster.absent.add("VolumeSnapshot")
    assert (
        client.http.get("/apis/snapshot.storage.k8s.io/v1/namespaces/default/volumesnapshots").status_code
        == 404
    )
    assert (
        client.apply("/api/v1/namespaces/nowhere/configmaps", {"metadata": {"name": "m"}}).status_code == 404
    )
    cluster.forbidden.add(("patch", "configmaps"))
    refused = client.apply(MAPS, {"metadata": {"name": "m"}})
    assert refused.status_code == 403
    assert 'cannot patch resource "configmaps"' in refused.json()["message"]
    cluster.token = "another"
    assert client.http.get(MAPS).status_code == 401
