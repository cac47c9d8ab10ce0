"""A fleet's life in a cluster: up, a second up, a change, scale, restart, rollback, down."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.cluster.conftest import Place

# Down by nobody's hand but ours, whatever the metrics API of the cluster says of the load.
SCALING = {"metrics": {"queue-depth": 5}, "behavior": {"scaleDown": {"selectPolicy": "Disabled"}}}


def container(place: Place) -> list[str]:
    """The command of the live Deployment."""
    live = place.kubectl.get("deployment", place.name)
    found: list[str] = live["spec"]["template"]["spec"]["containers"][0]["command"]
    return found


def test_from_an_empty_namespace_to_ready_and_away_again(place: Place) -> None:
    ran = place.up()
    assert "1 of 1 replicas ready" in ran.out
    (pod,) = place.pods()
    assert pod["spec"]["nodeName"]
    assert pod["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] in ("1", 1)
    state = place.ok("status", "-o", "json").json()
    assert (state["wanted"], [one["phase"] for one in state["replicas"]]) == (1, ["Ready"])
    assert state["replicas"][0]["name"] == pod["metadata"]["name"]
    assert "nothing is wrong" in place.ok("why").out
    place.ok("down")
    left = place.kubectl.get(
        "deployments,replicasets,pods,services,jobs,configmaps,secrets,serviceaccounts,networkpolicies,poddisruptionbudgets",
        "-l",
        "app.kubernetes.io/managed-by=stoker",
    )
    assert [one["kind"] for one in left if not one["metadata"].get("deletionTimestamp")] == []
    assert place("status").code == 2


def test_a_second_up_changes_nothing(place: Place) -> None:
    place.up()
    before = place.marks()
    assert len(before) >= 5
    place.up()
    assert place.marks() == before
    assert place.ok("up", "--dry-run").out == "nothing to do\n"


def test_a_dry_run_changes_nothing_and_names_every_field(place: Place) -> None:
    out = place.ok("up", "--dry-run").out
    assert f"create Namespace/{place.kubectl.namespace}" in out
    assert "create Deployment/shop" in out
    assert place.kubectl.run("get", "namespace", place.kubectl.namespace).returncode != 0
    place.up()
    before = place.marks()
    place.write(engine={"max-model-len": "8K"})
    out = place.ok("up", "--dry-run").out
    assert "spec.template.spec.containers[engine].command --max-model-len: 4K -> 8K" in out
    assert place.marks() == before


def test_a_change_rolls_out_to_every_replica(place: Place) -> None:
    if place.offer.total < 2:
        pytest.skip("two GPUs are needed")
    place.write(replicas=2)
    place.up()
    place.write(replicas=2, engine={"max-model-len": "8K"})
    place.up()
    pods = place.pods()
    assert len(pods) == 2
    assert all("8K" in pod["spec"]["containers"][0]["command"] for pod in pods)


def test_scale_and_restart(place: Place) -> None:
    place.up()
    place.ok("scale", "0")
    assert place.kubectl.get("deployment", "shop")["spec"]["replicas"] == 0
    place.ok("scale", "1")
    (before,) = place.pods()
    place.ok("restart")
    (after,) = place.pods()
    assert before["metadata"]["uid"] != after["metadata"]["uid"]


def test_a_rollback_goes_to_what_was_ready(place: Place) -> None:
    place.up()
    assert place("rollback").code == 2
    place.write(engine={"max-model-len": "8K"}, annotations={"fake/fault": "ImagePullBackOff"})
    assert place("up", "--timeout", "10s").code == 4
    assert "8K" in container(place)
    place.ok("rollback")
    assert "4K" in container(place)
    found = [one["phase"] for one in place.ok("status", "-o", "json").json()["replicas"]]
    assert [phase for phase in found if phase != "Draining"] == ["Ready"]


def test_a_pod_that_is_deleted_is_waited_for(place: Place) -> None:
    place.up()
    (pod,) = place.pods()
    place.kubectl.ok("delete", "pod", pod["metadata"]["name"], "--wait=false")
    place.up()
    (after,) = place.pods()
    assert after["metadata"]["uid"] != pod["metadata"]["uid"]


def test_an_interrupted_up_goes_on_by_itself_and_is_resumed(place: Place) -> None:
    place.write(annotations={"fake/ready-seconds": "20"})
    env = {**place.stoker.env, "KUBECONFIG": str(place.kubectl.config), "STOKER_OFFLINE": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "stoker", "up"],
        env=env,
        cwd=place.stoker.home,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while place.kubectl.run("get", "deployment", "shop").returncode:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.2)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "the fleet goes on" in err
    before = place.kubectl.get("deployment", "shop")["metadata"]
    assert "1 of 1 replicas ready" in place.up().out
    assert place.kubectl.get("deployment", "shop")["metadata"]["uid"] == before["uid"]


def test_the_number_of_replicas_is_the_hpas(place: Place) -> None:
    if place.offer.total < 2:
        pytest.skip("two GPUs are needed")
    inside = {"metrics": "stackdriver" if place.offer.platform == "gke" else "prometheus"}
    place.write(replicas="1..2", scaling=SCALING, kubernetes=inside)
    ran = place("up", "--timeout", "120s")
    if ran.code == 2 and "has no Pod" in ran.err:
        pytest.skip("the cluster has no PodMonitoring and no PodMonitor")
    assert ran.code == 0, ran.err
    spec = place.kubectl.get("horizontalpodautoscaler", "shop")["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (1, 2)
    place.kubectl.ok(
        "patch",
        "horizontalpodautoscaler",
        "shop",
        "--type=merge",
        "-p",
        json.dumps({"spec": {"minReplicas": 2}}),
    )
    deadline = time.monotonic() + 90
    while place.kubectl.get("deployment", "shop")["spec"].get("replicas") != 2:
        assert time.monotonic() < deadline, "the HPA did not take it to its minimum"
        time.sleep(0.5)
    place.kubectl.ok(
        "patch",
        "horizontalpodautoscaler",
        "shop",
        "--type=merge",
        "-p",
        json.dumps({"spec": {"minReplicas": 1}}),
    )
    place.up()
    assert place.kubectl.get("deployment", "shop")["spec"]["replicas"] == 2, "up does not fight the HPA"
    ran = place("scale", "1")
    assert ran.code == 2
    assert "an HPA moves the replicas" in ran.err
    out = place.ok("status").out
    assert "Deployment/shop" in out
    assert "MINPODS" in out


def test_replicas_go_to_an_hpa_and_come_back_without_one_lost(place: Place) -> None:
    if place.offer.total < 3:
        pytest.skip("three GPUs are needed")
    inside = {"metrics": "stackdriver" if place.offer.platform == "gke" else "prometheus"}
    place.write(replicas=2, kubernetes=inside)
    place.up()
    before = {pod["metadata"]["uid"] for pod in place.pods()}
    place.write(replicas="1..3", scaling=SCALING, kubernetes=inside)
    assert "spec.replicas" not in place.ok("up", "--dry-run").out
    place.up()
    assert {pod["metadata"]["uid"] for pod in place.pods()} == before, "no replica was lost on the way"
    place.kubectl.ok("scale", "deployment", "shop", "--replicas=3")
    place.up()
    assert place.kubectl.get("deployment", "shop")["spec"]["replicas"] == 3
    place.kubectl.ok("scale", "deployment", "shop", "--replicas=2")
    place.write(replicas="3..4", scaling=SCALING, kubernetes=inside)
    place.up()
    deadline = time.monotonic() + 90
    while place.kubectl.get("deployment", "shop")["spec"]["replicas"] != 3:
        assert time.monotonic() < deadline, "the HPA did not take it to its minimum"
        time.sleep(0.5)
    place.write(replicas=1, kubernetes=inside)
    place.up()
    assert place.kubectl.get("deployment", "shop")["spec"]["replicas"] == 1


def test_the_least_of_a_range_is_there_from_the_beginning(place: Place) -> None:
    if place.offer.total < 2:
        pytest.skip("two GPUs are needed")
    inside = {"metrics": "stackdriver" if place.offer.platform == "gke" else "prometheus"}
    place.write(replicas="2..3", scaling=SCALING, kubernetes=inside)
    assert "2 of 2 replicas ready" in place.up().out
    assert place.ok("up", "--dry-run").out == "nothing to do\n"


def test_logs_of_all_pods(place: Place) -> None:
    place.write(annotations={"fake/log": "one\ntwo"})
    place.up()
    (pod,) = place.pods()
    lines = place.ok("logs").out.splitlines()
    assert [line.partition(" | ")[2] for line in lines][:2] == ["one", "two"]
    assert lines[0].strip().startswith(pod["metadata"]["name"])
