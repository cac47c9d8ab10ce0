"""A fleet in a cluster, verb by verb, against the API-server double."""

import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from tests import models
from tests.conftest import Ran, Stoker

from stoker.targets.simulated.cluster import Cluster
from stoker.targets.simulated.cluster.kinds import BY_KIND

SPEC: dict[str, Any] = {
    "name": "shop", "hardware": "l4:1", "engine": {"max-model-len": "4K"}, "target": "kubernetes", "drain_timeout": "1s",
    "kubernetes": {"weights": {"disk": "projects/p/zones/us-east4-a/disks/d"}},
}  # fmt: skip
COPIED: dict[str, Any] = {"weights": "disk"}


class User:
    """A person with a kubeconfig and a stoker.yaml."""

    def __init__(self, stoker: Stoker, cluster: Cluster) -> None:
        self.stoker, self.cluster = stoker, cluster
        self.config = stoker.home / "kubeconfig"
        self.config.write_text(cluster.kubeconfig())
        folder = stoker.home / "gemma-ft"
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps(models.LLAMA_8B | {"num_hidden_layers": 4}))
        self.write()

    def write(self, **changes: Any) -> None:
        """The stoker.yaml, with changes."""
        spec = {"model": "./gemma-ft", **SPEC, **changes}
        (self.stoker.home / "stoker.yaml").write_text(json.dumps(spec))

    def __call__(self, *argv: str, **env: str) -> Ran:
        return self.stoker(*argv, KUBECONFIG=str(self.config), **env)

    def ok(self, *argv: str, **env: str) -> Ran:
        ran = self(*argv, **env)
        assert ran.code == 0, ran.err
        return ran

    def there(self) -> set[str]:
        """What the cluster holds, but what it held before."""
        kinds = {"Namespace", "Node", "Event", "Pod", "ReplicaSet"}
        return {f"{kind}/{name}" for kind, _, name in self.cluster.store.objects if kind not in kinds}

    def live(self, kind: str, name: str = "shop", namespace: str = "default") -> Any:
        return self.cluster.store.objects[(kind, namespace, name)]

    def writes(self) -> list[str]:
        return [
            r
            for r in self.cluster.requests
            if not r.startswith("GET") and "accessreviews" not in r and "dryRun" not in r
        ]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster() as made:
        for number in range(3):
            made.node(f"l4-{number}", 1, "nvidia-l4")
        yield made


@pytest.fixture
def user(stoker: Stoker, cluster: Cluster) -> User:
    return User(stoker, cluster)


def test_up_twice_status_and_down(user: User) -> None:
    ran = user.ok("up")
    assert "1 of 1 replicas ready" in ran.out
    assert "endpoint  http://shop.default:8000/v1" in ran.out
    assert "Deployment/shop" in user.there()
    state = user.ok("status", "-o", "json").json()
    assert (state["target"], state["wanted"], [r["phase"] for r in state["replicas"]]) == (
        "kubernetes/default",
        1,
        ["Ready"],
    )
    assert state["replicas"][0]["ranks"][0]["host"].startswith("l4-")
    assert state["replicas"][0]["sample"]["running"] == 3.0, "what its own page says"
    assert user.ok("status").out.splitlines()[2].split()[4:6] == ["3", "0"]
    before = len(user.writes())
    user.ok("up")
    assert len(user.writes()) == before, "a second up does nothing"
    assert user.ok("up", "--dry-run").out == "nothing to do\n"
    user.ok("down")
    left = user.there()
    assert left == {name for name in left if name.startswith("Persistent")}
    assert left
    assert user("status").code == 2
    user.ok("up")
    user.ok("down", "--weights")
    assert user.there() == set()


def test_a_dry_run_is_the_difference_field_by_field(user: User) -> None:
    assert "create Deployment/shop" in user.ok("up", "--dry-run").out
    assert user.there() == set()
    user.ok("up")
    user.write(engine={"max-model-len": "8K"})
    out = user.ok("up", "--dry-run").out
    assert "update Deployment/shop\n" in out
    assert "spec.template.spec.containers[engine].command --max-model-len: 4K -> 8K" in out
    assert out.count("update") == 1


def test_a_change_rolls_out(user: User) -> None:
    user.write(replicas=2)
    user.ok("up")
    user.write(replicas=2, engine={"max-model-len": "8K"})
    user.ok("up")
    pods = [body for (kind, _, _), body in user.cluster.store.objects.items() if kind == "Pod"]
    assert len(pods) == 2
    assert all("8K" in pod["spec"]["containers"][0]["command"] for pod in pods)


def test_weights_are_copied_then_snapshot_then_claimed(user: User) -> None:
    (user.stoker.home / "gemma-ft" / "config.json").unlink()
    user.write(model="gs://acme-models/gemma-ft", kubernetes=COPIED, engine={})
    seen: list[str] = []
    store = user.cluster.store
    store.admit.append(lambda kind, body: seen.append(f"{kind}/{body['metadata']['name']}"))
    user.ok("up", STOKER_OFFLINE="1")
    order = [seen.index(next(s for s in seen if s.startswith(kind))) for kind in ("Job/", "VolumeSnapshot/")]
    assert order == sorted(order)
    claims = sorted(name for kind, _, name in store.objects if kind == "PersistentVolumeClaim")
    assert len(claims) == 2
    user.ok("down")
    assert {name.partition("/")[0] for name in user.there()} >= {"PersistentVolumeClaim", "VolumeSnapshot"}


def test_a_copy_that_fails_is_said_and_tried_again(user: User) -> None:
    denied = '{"level":"error","msg":"googleapi: Error 403: shop does not have storage.objects.list access"}'
    broken = {"fake/start-seconds": "0.3", "fake/exit-code": "1", "fake/log": denied}
    model: dict[str, Any] = {"model": "gs://acme-models/gemma-ft", "engine": {}}
    user.write(kubernetes={**COPIED, "annotations": broken}, **model)
    begun = time.monotonic()
    ran = user("up", "--timeout", "60s", STOKER_OFFLINE="1")
    assert ran.code == 1, ran.err
    assert time.monotonic() - begun < 30, "nobody waits for what has given up"
    assert "the copy may not read the bucket" in ran.err
    assert "roles/storage.objectViewer" in ran.err
    user.write(kubernetes=COPIED, **model)
    assert "it failed before, and is tried again" in user.ok("up", "--dry-run", STOKER_OFFLINE="1").out
    assert "1 of 1 replicas ready" in user.ok("up", STOKER_OFFLINE="1").out


def test_fleets_of_one_name_in_two_namespaces(user: User) -> None:
    ladder = {**SPEC["kubernetes"], "capacity": ["on-demand", "spot"]}
    user.write(kubernetes=ladder)
    user.cluster.node("any", 8, "nvidia-l4")
    for node in user.cluster.store.list("Node"):
        node["metadata"]["labels"] |= {"cloud.google.com/compute-class": "a-shop"}
    user.ok("up", "-n", "a")
    for node in user.cluster.store.list("Node"):
        node["metadata"]["labels"] |= {"cloud.google.com/compute-class": "b-shop"}
    user.ok("up", "-n", "b")
    user.ok("down", "-n", "a", "--weights")
    left = {(kind, name) for kind, _, name in user.cluster.store.objects}
    assert ("ComputeClass", "b-shop") in left
    assert ("ComputeClass", "a-shop") not in left
    assert any(kind == "PersistentVolume" and name.startswith("b-shop") for kind, name in left)
    assert user.ok("up", "-n", "b", "--dry-run").out == "nothing to do\n"


def test_a_range_from_zero_is_refused_before_anything_is_applied(user: User) -> None:
    user.write(replicas="0..3", scaling={"metrics": {"queue-depth": 5}})
    ran = user("up")
    assert ran.code == 2
    assert "replicas: 0..3 begins at 0" in ran.err
    assert user.there() == set()


def test_scale_and_restart(user: User) -> None:
    user.ok("up")
    assert "3 of 3 replicas ready" in user.ok("scale", "3").out
    before = {name for kind, _, name in user.cluster.store.objects if kind == "Pod"}
    user.ok("restart")
    after = {name for kind, _, name in user.cluster.store.objects if kind == "Pod"}
    assert len(after) == 3
    assert not before & after


def test_a_rollback_goes_to_what_was_ready_weights_included(user: User) -> None:
    first, second = (
        {"weights": {"disk": f"projects/p/zones/us-east4-a/disks/{name}"}} for name in ("v1", "v2")
    )
    user.write(kubernetes=first)
    user.ok("up")
    claim = user.live("Deployment")["spec"]["template"]["spec"]["volumes"][3]
    assert user("rollback").code == 2, "there is nothing to go back to"
    user.write(kubernetes={**second, "annotations": {"fake/fault": "ImagePullBackOff"}})
    assert user("up", "--timeout", "2s").code == 4
    assert user.live("Deployment")["spec"]["template"]["spec"]["volumes"][3] != claim
    out = user.ok("rollback").out
    assert "1 of 1 replicas ready; the file still says otherwise" in out
    assert user.live("Deployment")["spec"]["template"]["spec"]["volumes"][3] == claim
    user.write(kubernetes=first, engine={"max-model-len": "8K"})
    user.ok("up")
    assert "8K" in user.live("Deployment")["spec"]["template"]["spec"]["containers"][0]["command"]
    user.ok("rollback", "--to", "1")
    assert "4K" in user.live("Deployment")["spec"]["template"]["spec"]["containers"][0]["command"]
    assert user("rollback", "--to", "9").code == 2


def test_a_range_is_the_hpas_to_move(user: User) -> None:
    user.write(replicas="2..3", scaling={"metrics": {"queue-depth": 5}})
    user.ok("up")
    assert user.live("HorizontalPodAutoscaler")["spec"]["maxReplicas"] == 3
    key = ("Deployment", "default", "shop")
    live = user.cluster.store.objects[key]
    user.cluster.store.put(key, {**live, "spec": {**live["spec"], "replicas": 3}}, "kube-controller-manager")
    user.ok("up")
    assert user.live("Deployment")["spec"]["replicas"] == 3, "up does not fight the HPA"
    ran = user("scale", "1")
    assert ran.code == 2
    assert "an HPA moves the replicas" in ran.err


def test_replicas_go_to_an_hpa_and_come_back_without_one_lost(user: User) -> None:
    user.write(replicas=3)
    user.ok("up")
    before = {pod["metadata"]["uid"] for pod in user.cluster.store.list("Pod")}
    user.write(replicas="1..5", scaling={"metrics": {"queue-depth": 5}})
    assert "spec.replicas" not in user.ok("up", "--dry-run").out
    user.ok("up")
    user.ok("up")
    assert user.live("Deployment")["spec"]["replicas"] == 3
    assert {pod["metadata"]["uid"] for pod in user.cluster.store.list("Pod")} == before
    key = ("Deployment", "default", "shop")
    live = user.cluster.store.objects[key]
    user.cluster.store.put(key, {**live, "spec": {**live["spec"], "replicas": 4}}, "kube-controller-manager")
    user.write(replicas=2)
    user.ok("up")
    assert user.live("Deployment")["spec"]["replicas"] == 2
    user.ok("scale", "1")
    assert user.live("Deployment")["spec"]["replicas"] == 1


def test_the_least_of_a_range_is_there_from_the_beginning(user: User) -> None:
    user.cluster.lives.hpa_moves = False
    user.write(replicas="2..3", scaling={"metrics": {"queue-depth": 5}})
    assert "2 of 2 replicas ready" in user.ok("up").out
    assert user.ok("up", "--dry-run").out == "nothing to do\n"


def test_scale_and_restart_keep_to_what_runs(user: User) -> None:
    user.ok("up")
    user.write(engine={"max-model-len": "8K"})
    assert "3 of 3 replicas ready" in user.ok("scale", "3").out
    assert "4K" in user.live("Deployment")["spec"]["template"]["spec"]["containers"][0]["command"], (
        "an edit is for `up`"
    )
    user.ok("restart")
    live = user.live("Deployment")["spec"]
    assert live["replicas"] == 3
    assert "4K" in live["template"]["spec"]["containers"][0]["command"]
    user.write(kubernetes={**SPEC["kubernetes"], "annotations": {"fake/fault": "ImagePullBackOff"}})
    assert user("up", "--timeout", "2s").code == 4
    user.write()
    ran = user("scale", "2")
    assert ran.code == 2
    assert "runs another spec than this one, which was never ready" in ran.err


def test_all_fleets_of_a_cluster(user: User) -> None:
    user.ok("up")
    user.write(name="other", endpoint={"port": 9000})
    user.ok("up", "-n", "ml")
    found = json.loads(user.ok("status", "-A", "-o", "json").out)
    assert [(one["name"], one["target"], one["endpoint"], one["model"]) for one in found] == [
        ("shop", "kubernetes/default", "http://shop.default:8000", "gemma-ft"),
        ("other", "kubernetes/ml", "http://other.ml:9000", "gemma-ft"),
    ]
    assert "other   kubernetes/ml   revision 1   1 of 1 ready" in user.ok("status", "-A", "-n", "ml").out
    assert "shop" not in user.ok("status", "-A", "-n", "ml").out
    (user.stoker.home / "stoker.yaml").unlink()
    assert "shop" in user.ok("status", "-A", "--target", "kubernetes").out
    assert "no fleet runs there" in user.ok("status", "-A").out, "this machine's"


def test_a_fleet_is_known_without_its_file(user: User) -> None:
    user.ok("up")
    (user.stoker.home / "stoker.yaml").unlink()
    far = ("--target", "kubernetes")
    assert "1 of 1 ready" in user.ok("status", *far).out
    assert "2 of 2 replicas ready" in user.ok("scale", "2", "--name", "shop", *far).out
    assert user("status", "--name", "nobody", *far).code == 2
    user.ok("down", *far)
    assert "no fleet is in default" in user("why", *far).err


def test_what_the_file_has_no_more_goes(user: User) -> None:
    user.write(replicas="1..3", scaling={"metrics": {"queue-depth": 5}})
    user.ok("up")
    user.write(kubernetes={**SPEC["kubernetes"], "network_policy": False})
    user.ok("up")
    assert not {name for name in user.there() if name.startswith(("Horizontal", "NetworkPolicy"))}


def test_keys_travel_in_a_secret_alone(user: User) -> None:
    user.write(endpoint={"api_key": "env:SHOP_KEY"})
    ran = user.ok("up", SHOP_KEY="s3cret-value")
    assert "s3cret-value" not in ran.out + ran.err
    assert user.live("Secret", "shop-keys")["data"] == {"api-key": "czNjcmV0LXZhbHVl"}
    pods = json.dumps(
        [body for (kind, _, _), body in user.cluster.store.objects.items() if kind in ("Pod", "Deployment")]
    )
    assert "s3cret-value" not in pods
    before = len(user.writes())
    user.ok("up", SHOP_KEY="s3cret-value")
    assert len(user.writes()) == before
    out = user.ok("up", "--dry-run", SHOP_KEY="another").out
    assert out == "update Secret/shop-keys\n  another key\n"


def test_a_model_that_only_the_cluster_may_read(user: User) -> None:
    """The hub's token is the cluster's: from here the model is asked for without, or not at all."""
    hub = {**SPEC["kubernetes"], "weights": "hub"}
    user.write(model={"source": "hf://acme/gated", "token": "secret:hub/token"}, kubernetes=hub)
    user.ok("up", STOKER_OFFLINE="1")
    env = user.live("Deployment")["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}} in env


def test_fields_of_others_are_theirs(user: User) -> None:
    user.ok("up")
    key = ("Deployment", "default", "shop")
    live = json.loads(json.dumps(user.cluster.store.objects[key]))
    live["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 7
    user.cluster.store.put(key, live, "kubectl-edit")
    assert "terminationGracePeriodSeconds: 7 -> " in user.ok("up", "--dry-run").out
    ran = user("up")
    assert ran.code == 2
    assert 'conflict with "kubectl-edit"' in ran.err
    assert ".spec.template.spec.terminationGracePeriodSeconds" in ran.err
    user.ok("up", "--force-conflicts")
    assert user.live("Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > 7


def test_a_name_that_is_taken_is_left_alone(user: User) -> None:
    user.cluster.store.create(BY_KIND["Deployment"], "default", {"metadata": {"name": "shop"}, "spec": {"replicas": 0, "template": {"metadata": {"labels": {}}, "spec": {"containers": []}}}})  # fmt: skip
    ran = user("up")
    assert ran.code == 2
    assert "a Deployment named shop is there already" in ran.err
    assert user.there() == {"Deployment/shop"}, "nothing was applied"


@pytest.mark.parametrize(
    ("fault", "said"),
    [("ImagePullBackOff", "ImagePullBackOff"), ("OOMKilled", "the host's memory ran out"), ("NeverReady", "has been Starting")],
)  # fmt: skip
def test_a_deadline_says_why(user: User, fault: str, said: str) -> None:
    user.write(kubernetes={**SPEC["kubernetes"], "annotations": {"fake/fault": fault}})
    ran = user("up", "--timeout", "4s")
    assert ran.code == 4
    assert said in ran.out + ran.err


def test_a_pod_without_a_gpu_says_so(user: User) -> None:
    user.write(replicas=4)
    ran = user("up", "--timeout", "4s")
    assert ran.code == 4
    assert "3 Insufficient nvidia.com/gpu" in ran.err
    assert "every GPU of that kind is taken" in ran.err
    (found,) = user.ok("why", "-o", "json").json()
    assert found["rule"] == "why-gpu-taken"
    out = user.ok("why").out
    assert "  cause  every GPU of that kind is taken\n" in out
    user.write(replicas=3)
    user.ok("up")
    assert "nothing is wrong, 3 of 3 replicas are ready" in user.ok("why").out


def test_an_hpa_without_metrics_is_explained_link_by_link(user: User) -> None:
    def rules() -> list[str]:
        return [one["rule"] for one in user.ok("why", "-o", "json").json()]

    user.write(replicas="1..3", scaling={"metrics": {"queue-depth": 5}})
    user.ok("up")
    out = user.ok("status").out
    assert "<unknown>/5 (avg)" in out
    assert "no figure reaches it: unable to get metric" in out
    assert rules() == ["why-hpa-no-figures"]
    for said, rule in (
        ("no custom metrics API (custom.metrics.k8s.io) registered", "why-hpa-adapter"),
        ("the server is currently unable to handle the request", "why-hpa-adapter-down"),
        ("Permission monitoring.timeSeries.list denied: 403", "why-hpa-rights"),
        ("the server could not find the metric vllm_num_requests_waiting for pods", "why-hpa-name"),
    ):
        user.cluster.lives.hpa_says = said
        time.sleep(0.3)
        assert rules() == [rule]
    space = user.live("PodMonitoring")
    target = {"health": "down", "lastError": "context deadline exceeded"}
    failing = {"name": "http", "unhealthyTargets": 1, "sampleGroups": [{"sampleTargets": [target]}]}
    user.cluster.store.status(("PodMonitoring", "default", "shop"), endpointStatuses=[failing])
    assert rules() == ["why-hpa-scrape"], "the link nearest to the engine, without what follows from it"
    user.cluster.store.delete(("PodMonitoring", "default", "shop"))
    assert rules() == ["why-hpa-no-scrape"]
    assert space["spec"]["selector"]["matchLabels"]


def test_a_metric_that_the_engine_does_not_serve_and_a_target_it_never_reaches(user: User) -> None:
    notes = {"fake/metrics": "vllm:num_requests_waiting 0\n"}
    user.write(
        replicas="1..3", scaling={"metrics": {"batch-size": 300}}, kubernetes={**SPEC["kubernetes"], "annotations": notes},
        engine={"max-model-len": "4K", "max-num-seqs": 64},
    )  # fmt: skip
    user.ok("up")
    found = user.ok("why", "-o", "json").json()
    assert [one["rule"] for one in found] == ["why-hpa-page", "why-hpa-unreachable"]
    assert found[0]["what"].endswith("the engine serves no metric vllm:num_requests_running")
    assert found[1]["what"].endswith("300 running a replica, and the engine runs 64 at once at most")


def test_missing_definitions_and_rights_are_found_before_anything_is_applied(user: User) -> None:
    user.cluster.absent.add("PodMonitoring")
    ran = user("up")
    assert ran.code == 2
    assert "has no PodMonitoring" in ran.err
    user.cluster.forbidden.add(("create", "deployments"))
    said = user("up").err
    assert "has no PodMonitoring" in said
    assert "you may not create deployments" in said, "all of it at once"
    user.cluster.absent.clear()
    ran = user("up")
    assert ran.code == 2
    assert "you may not create deployments in default" in ran.err
    assert 'apiGroups: ["apps"], resources: ["deployments"]' in ran.err
    assert user.there() == set()


def test_who_has_rights_in_one_namespace_alone(user: User) -> None:
    cluster_wide = ("nodes", "namespaces", "computeclasses", "storageclasses", "resourcequotas")
    strangers = ("roles", "rolebindings", "gateways", "leaderworkersets", "events")
    user.cluster.forbidden |= {("list", one) for one in (*cluster_wide, *strangers)} | {("get", "namespaces")}
    user.cluster.forbidden |= {("create", "controllerrevisions"), ("patch", "controllerrevisions")}
    namespace = {"kind": "Namespace", "metadata": {"name": "team"}}
    user.cluster.store.create(BY_KIND["Namespace"], "", namespace)
    ran = user.ok("up", "-n", "team")
    assert "1 of 1 replicas ready" in ran.out
    assert "no way back to this is kept: ControllerRevision/shop-1 is forbidden" in ran.err
    assert user.ok("up", "-n", "team", "--dry-run").out == "nothing to do\n"
    assert "nothing is wrong" in user.ok("why", "-n", "team").out
    user.ok("down", "-n", "team")
    assert ("Deployment", "team", "shop") not in user.cluster.store.objects


def test_what_only_warns_is_said_while_something_is_to_be_done(user: User) -> None:
    user.write(replicas="1..2", scaling={"metrics": {"queue-depth": 5}})
    assert "serves no custom metrics" in user.ok("up").err
    assert "serves no custom metrics" not in user.ok("up").err


def test_a_namespace_that_is_not_there_is_made(user: User) -> None:
    user.ok("up", "-n", "ml-serve")
    assert ("Deployment", "ml-serve", "shop") in user.cluster.store.objects
    user.ok("down", "-n", "ml-serve")


def test_logs_are_the_pods(user: User) -> None:
    user.write(kubernetes={**SPEC["kubernetes"], "annotations": {"fake/log": "one\ntwo"}})
    user.ok("up")
    assert [line.partition(" | ")[2] for line in user.ok("logs").out.splitlines()] == ["one", "two"]
    assert user("logs", "nobody").code == 2


def test_logs_of_all_pods_are_followed_until_the_last_is_gone(user: User) -> None:
    import subprocess
    import sys

    user.write(replicas=2, kubernetes={**SPEC["kubernetes"], "annotations": {"fake/log": "one\ntwo"}})
    user.ok("up")
    env = {**user.stoker.env, "KUBECONFIG": str(user.config)}
    argv = [sys.executable, "-m", "stoker", "logs", "-f"]
    process = subprocess.Popen(argv, env=env, cwd=user.stoker.home, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    seen = [process.stdout.readline() for _ in range(4)]
    user.ok("scale", "3")
    seen += [process.stdout.readline() for _ in range(2)]
    user.ok("down")
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert out == ""
    pods = {line.partition(" | ")[0].strip() for line in seen}
    assert len(pods) == 3, "the new pod's lines come too"
    assert sorted(line.partition(" | ")[2].strip() for line in seen) == ["one"] * 3 + ["two"] * 3


def test_an_admission_refusal_is_shown_as_it_is(user: User) -> None:
    from stoker.targets.simulated.cluster.store import Refused

    def deny(kind: str, _: Any) -> None:
        if kind == "Deployment":
            raise Refused(
                400, "BadRequest", 'admission webhook "policy.acme" denied the request: no GPUs on Mondays'
            )

    user.cluster.store.admit.append(deny)
    ran = user("up")
    assert ran.code == 2
    assert "Deployment/shop is not admitted" in ran.err
    assert 'admission webhook "policy.acme" denied the request: no GPUs on Mondays' in ran.err


def test_a_cluster_that_comes_back_is_resumed(user: User) -> None:
    failing = {"left": 2}

    def flaky(kind: str, _: Any) -> None:
        from stoker.targets.simulated.cluster.store import Refused

        if kind == "Service" and failing["left"]:
            failing["left"] -= 1
            raise Refused(503, "ServiceUnavailable", "etcd leader changed")

    user.cluster.store.admit.append(flaky)
    ran = user("up")
    assert ran.code == 0, "what is away for a moment is waited for"
    assert "away, tried again: etcd leader changed" in ran.err


@pytest.mark.parametrize(
    ("config", "code", "said"),
    [
        ("", 2, "no kubeconfig can be used"),
        ("apiVersion: v1\nkind: Config\n", 2, "it has no 'clusters'"),
        ("nonsense: [", 2, "no kubeconfig can be used"),
        ("apiVersion: v1\nkind: Config\ncurrent-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n"
         "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\nusers: [{name: u, user: {}}]\n", 1, "does not answer"),
    ],
)  # fmt: skip
def test_a_kubeconfig_that_leads_nowhere(user: User, config: str, code: int, said: str) -> None:
    user.config.write_text(config)
    begun = time.monotonic()
    ran = user("up", "--dry-run")
    assert ran.code == code, ran.err
    assert said in ran.err
    assert time.monotonic() - begun < 10


def test_something_that_is_no_api_server(user: User) -> None:
    statuses = iter([200, 404])

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(next(statuses))
            self.end_headers()
            self.wfile.write(b"<html>sign in</html>")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        config = user.cluster.kubeconfig().replace(user.cluster.url, f"http://127.0.0.1:{server.server_port}")
        user.config.write_text(config)
        for _ in range(2):
            ran = user("up", "--dry-run")
            assert ran.code == 2
            assert "is no Kubernetes API server" in ran.err
        server.shutdown()


def test_a_context_that_is_not_there_and_credentials_that_are_not_taken(user: User) -> None:
    ran = user("up", "--set", "kubernetes.context=other")
    assert ran.code == 2
    assert "known: double" in ran.err
    user.cluster.token = "fresh"
    ran = user("up")
    assert ran.code == 2
    assert "does not take these credentials" in ran.err


def test_ctrl_c_stops_the_waiting_only(user: User) -> None:
    import signal

    user.write(kubernetes={**SPEC["kubernetes"], "annotations": {"fake/ready-seconds": "60"}})
    import os
    import subprocess
    import sys

    env = {**user.stoker.env, "KUBECONFIG": str(user.config)}
    process = subprocess.Popen([sys.executable, "-m", "stoker", "up"], env=env, cwd=user.stoker.home, stderr=subprocess.PIPE, text=True)  # fmt: skip
    deadline = time.monotonic() + 20
    while "Deployment/shop" not in user.there():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "the fleet goes on" in err
    assert "Deployment/shop" in user.there()


def test_the_library_in_a_cluster(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    import stoker

    monkeypatch.setenv("KUBECONFIG", str(user.config))
    monkeypatch.setenv("STOKER_HOME", str(user.stoker.home))
    monkeypatch.chdir(user.stoker.home)
    spec = stoker.load((user.stoker.home / "stoker.yaml").read_text())
    with pytest.raises(stoker.NoSuchFleet):
        stoker.connect(spec)
    with stoker.up(spec) as fleet:
        assert fleet.url == "http://shop.default:8000"
        assert fleet.status().ready == 1
        assert fleet.scale(2).ready == 2
    again = stoker.connect(spec)
    assert again.status().ready == 2, "a cluster's fleet outlives the block"
    again.down()
    with pytest.raises(stoker.NoSuchFleet):
        again.status()
