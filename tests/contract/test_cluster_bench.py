"""A load test as a Job beside its fleet, against the API-server double; its pod's command runs for real."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.bench_pod import BenchPod
from tests.support.cluster import Cluster
from tests.support.engine import Engine, starter
from tests.support.user import SPEC, User, until

from stoker.bench import folder as runs

IMAGE = {**SPEC["kubernetes"], "image": "registry.example/stoker:1"}
MODEL = "gemma-ft"


@pytest.fixture
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with starter(tmp_path_factory.mktemp("engine")) as begin:
        yield begin("--served-model-name", MODEL, key="sk-shop", ttft=0.02, itl=0.002)


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pod sees as its own files."""
    return tmp_path_factory.mktemp("pod")


def serve(user: User, **fields: Any) -> None:
    """A fleet that is up."""
    user.write(**{"kubernetes": IMAGE, "endpoint": {"api_key": "env:SHOP_KEY"}, **fields})
    user.ok("up", SHOP_KEY="sk-shop")


def jobs(user: User) -> list[str]:
    return [name for kind, _, name in user.cluster.store.objects if kind == "Job"]


def test_a_test_runs_in_the_cluster_and_its_result_comes_here(
    user: User, engine: Engine, place: Path
) -> None:
    serve(user, slo={"ttft": "1s"})
    pod = BenchPod(user.cluster, place, f"http://127.0.0.1:{engine.port}")
    pod.key = "sk-shop"
    words = ("--users", "4", "--requests", "60", "--input-len", "16", "--output-len", "4", "--price", "2")
    ran = user("bench", "--in-cluster", "--results", "kept", *words, "-o", "json")
    assert ran.code == 0, ran.err
    found = ran.json()
    assert (found["name"], found["summary"]["requests"], found["summary"]["failed"]) == ("shop", 60, 0)
    assert found["environment"]["price"] == 2.0
    assert found["environment"]["spec"]["name"] == "shop"
    assert found["objectives"]["ttft"] == 1.0
    kept = runs.load(user.stoker.home / "kept")
    assert len(kept.records) == 60
    assert kept.workload["users"] == "4"
    assert "stoker-run" not in ran.err, "what brings the result is for nobody's eyes"
    assert "asking http://127.0.0.1" in ran.err, "what its pod says is relayed"
    (container,) = pod.spec["containers"]
    assert container["image"] == "registry.example/stoker:1"
    assert "sk-shop" not in json.dumps(pod.spec)


def test_it_is_no_replica_and_goes_with_the_fleet(user: User, engine: Engine, place: Path) -> None:
    serve(user)
    pod = BenchPod(user.cluster, place, run_seconds="1000", log="  ...   bench       3s of 1m, 9 done\n")
    process = user.begin("bench", "--in-cluster", "--results", "kept")
    try:
        until(lambda: pod.spec, process=process)
        state = user.ok("status", "-o", "json").json()
        assert len(state["replicas"]) == state["wanted"] == 1
        assert "bench" not in json.dumps(state["services"])
        assert user.ok("why").code == 0
        before = jobs(user)
        user.ok("up", SHOP_KEY="sk-shop")
        assert jobs(user) == before, "a second up leaves it alone"
        assert {kind for kind, _, name in user.cluster.store.objects if name == before[0]} >= {
            "ConfigMap",
            "Job",
        }
        user.ok("down")
        assert jobs(user) == []
        until(lambda: process.poll() is not None)
        said = process.communicate()[1]
        assert process.returncode == 1
        assert "the load test was taken away" in said
        left = [name for kind, _, name in user.cluster.store.objects if "bench" in name and kind != "Event"]
        assert left == []
    finally:
        process.kill()
        process.wait()


def test_ctrl_c_deletes_the_job_and_says_so(user: User, place: Path) -> None:
    serve(user)
    pod = BenchPod(user.cluster, place, run_seconds="1000", log="  ...   bench       3s of 1m, 9 done\n")
    process = user.begin("bench", "--in-cluster", "--results", "kept")
    until(lambda: pod.spec, process=process)
    (name,) = jobs(user)
    until(lambda: any("follow=true" in one for one in user.cluster.requests), process=process)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 130, said
    assert f"interrupted: Job/{name} is deleted" in said
    assert jobs(user) == []
    assert not any("bench" in name for kind, _, name in user.cluster.store.objects if kind != "Event")


def test_ctrl_c_brings_what_was_measured_by_then(user: User, engine: Engine, place: Path) -> None:
    serve(user)
    BenchPod(user.cluster, place, f"http://127.0.0.1:{engine.port}").key = "sk-shop"
    words = ("--users", "2", "--duration", "10m", "--output-len", "8", "--results", "kept")
    process = user.begin("bench", "--in-cluster", *words)
    until(lambda: (place / "run" / "records.jsonl").exists(), process=process)
    until(lambda: (place / "run" / "records.jsonl").stat().st_size > 1000, process=process)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130, said
    assert "is deleted" in said
    kept = runs.load(user.stoker.home / "kept")
    assert kept.interrupted
    assert kept.records
    until(lambda: not any("bench" in name for kind, _, name in user.cluster.store.objects if kind == "Pod"))


def test_an_image_that_cannot_be_pulled_is_named(user: User, place: Path) -> None:
    serve(user)
    BenchPod(user.cluster, place, fault="ImagePullBackOff")
    ran = user("bench", "--in-cluster")
    assert ran.code == 4
    assert "the load test has not begun" in ran.err
    assert "registry.example/stoker:1" in ran.err
    assert jobs(user) == []


def test_a_pod_that_ends_without_a_result_is_told_with_its_last_words(user: User, place: Path) -> None:
    serve(user)
    log = "/usr/bin/python: No module named stoker.bench"
    BenchPod(user.cluster, place, run_seconds="0.2", exit_code="1", log=log)
    ran = user("bench", "--in-cluster")
    assert ran.code == 1
    assert "the load test ended without a result" in ran.err
    assert ran.err.count(log) == 2, "as it came, and as the cause"


def test_what_the_endpoint_refuses_is_said_as_the_pod_says_it(
    user: User, engine: Engine, place: Path
) -> None:
    serve(user)
    BenchPod(user.cluster, place, f"http://127.0.0.1:{engine.port}").key = "sk-other"
    ran = user("bench", "--in-cluster", "--requests", "3")
    assert ran.code == 2
    assert "wants another key" in ran.err


def test_prompts_go_along(user: User, engine: Engine, place: Path) -> None:
    serve(user)
    pod = BenchPod(user.cluster, place, f"http://127.0.0.1:{engine.port}")
    pod.key = "sk-shop"
    (user.stoker.home / "load").mkdir()
    (user.stoker.home / "load" / "mine.jsonl").write_text('{"prompt": "one two", "max_tokens": 3}\n')
    (user.stoker.home / "load" / "load.yaml").write_text("prompts: mine.jsonl\nusers: 2\nrequests: 6\n")
    ran = user("bench", "load/load.yaml", "--in-cluster", "--results", "kept")
    assert ran.code == 0, ran.err
    kept = runs.load(user.stoker.home / "kept")
    assert [one.output for one in kept.records] == [3] * 6
    row = json.dumps({"prompt": "word " * 500}) + "\n"
    (user.stoker.home / "large.jsonl").write_text(row * 500)
    before = len(user.writes())
    ran = user("bench", "--in-cluster", "--prompts", "large.jsonl")
    assert ran.code == 2
    assert "too large to go along into the cluster" in ran.err
    assert len(user.writes()) == before, "nothing is made"


def test_a_job_that_is_refused_leaves_nothing(user: User) -> None:
    serve(user)
    before = user.there()
    user.cluster.forbidden.add(("patch", "jobs"))
    ran = user("bench", "--in-cluster")
    assert ran.code == 2
    assert "jobs" in ran.err
    assert user.there() == before


def test_without_an_image_and_without_a_cluster_it_says_what_is_missing(user: User) -> None:
    serve(user, kubernetes=SPEC["kubernetes"])
    ran = user("bench", "--in-cluster")
    assert ran.code == 2
    assert "needs Stoker's own image" in ran.err
    ran = user("bench", "--in-cluster", "--url", "http://127.0.0.1:1")
    assert ran.code == 2
    assert "--in-cluster needs a fleet in a cluster" in ran.err


def test_a_pod_that_finds_no_node_is_told_by_the_rules_of_why(
    cluster: Cluster, user: User, place: Path
) -> None:
    serve(user)
    BenchPod(cluster, place)
    for node in cluster.store.list("Node"):
        spec = {**node["spec"], "unschedulable": True}
        cluster.store.put(("Node", "", node["metadata"]["name"]), {**node, "spec": spec})
    process = user.begin("bench", "--in-cluster")
    until(lambda: any(kind == "Event" and "bench" in name for kind, _, name in cluster.store.objects))
    before = len(cluster.requests)
    until(lambda: sum("/events" in one for one in cluster.requests[before:]) > 3, process=process)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert "cordoned" in said
