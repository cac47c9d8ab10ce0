"""What goes wrong in a cluster: `up` ends at its deadline with the cause, and `why` names it."""

import time
from typing import Any

import pytest

from stoker.catalog.gpus import gpus
from tests.cluster.conftest import GPU, Place

CUDA = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."
FLAG = "vllm serve: error: unrecognized arguments: --no-such-flag"
FAULTS = [
    ({"fake/fault": "ImagePullBackOff"}, "why-image-missing", "there is no such image"),
    ({"fake/fault": "OOMKilled"}, "why-host-memory", "the host's memory ran out"),
    ({"fake/fault": "CrashLoopBackOff", "fake/log": CUDA}, "engine-gpu-memory", "the GPU is out of memory"),
    ({"fake/fault": "CrashLoopBackOff", "fake/log": FLAG}, "engine-option", "does not know --no-such-flag"),
    (
        {"fake/run-seconds": "0.5", "fake/exit-code": "1", "fake/log": CUDA},
        "engine-gpu-memory",
        "the GPU is out of memory",
    ),
]


@pytest.mark.parametrize(("annotations", "rule", "said"), FAULTS)
def test_a_pod_that_does_not_come_up(place: Place, annotations: dict[str, str], rule: str, said: str) -> None:
    place.write(annotations={"fake/ready-seconds": "300", **annotations})
    ran = place("up", "--timeout", "15s")
    assert ran.code == 4, ran.err
    assert said in ran.err
    assert place.rules()[0] == rule


@pytest.mark.parametrize("fault", ["NeverReady", "ContainerCreating"])
def test_a_pod_that_says_nothing(place: Place, fault: str) -> None:
    place.write(annotations={"fake/fault": fault})
    ran = place("up", "--timeout", "8s")
    assert ran.code == 4
    assert "stoker logs" in ran.err, "the next thing to look at"
    (replica,) = place.ok("status", "-o", "json").json()["replicas"]
    assert replica["phase"] in ("Starting", "Loading", "Warming", "Scheduled", "Pulling")


def test_more_replicas_than_gpus(place: Place) -> None:
    total = place.offer.total
    place.write(replicas=total + 1)
    ran = place("up", "--timeout", "20s")
    assert ran.code == 4
    assert f"Insufficient {GPU}" in ran.err
    assert place.rules()[0] == "why-gpu-taken"
    place.write(replicas=1)
    place.up()
    assert place.rules() == []


def test_a_rollout_without_a_spare_gpu(place: Place) -> None:
    total = place.offer.total
    place.write(replicas=total, kubernetes={"surge": True})
    place.up()
    place.write(replicas=total, kubernetes={"surge": True}, engine={"max-model-len": "8K"})
    ran = place("up", "--timeout", "15s")
    assert ran.code == 4
    assert place.rules()[0] == "why-rollout-gpu"
    assert "surge: false" in ran.err
    place.write(replicas=total, kubernetes={"surge": False}, engine={"max-model-len": "8K"})
    place.ok("up", "--timeout", f"{min(280, 60 + 20 * total)}s")


def test_a_gpu_that_no_node_has(place: Place) -> None:
    if place.offer.platform != "gke":
        pytest.skip("nodes are not labelled with their GPU")
    free = (
        name
        for name, gpu in gpus().items()
        if gpu.accelerator and gpu.accelerator not in place.offer.accelerators
    )
    other = next(free)
    place.write(hardware=f"{other}:1")
    ran = place("up", "--timeout", "10s")
    assert ran.code == 4
    assert "no node has the GPU that was asked for" in ran.err
    assert "why-no-accelerator" in place.rules()


def test_a_label_that_no_node_has(place: Place) -> None:
    place.write(kubernetes={"node_selector": {"acme/no-such": "node"}})
    ran = place("up", "--timeout", "10s")
    assert ran.code == 4
    assert "why-no-accelerator" in place.rules()


def test_a_quota_of_the_namespace(place: Place, real: None) -> None:
    if place.offer.total < 2:
        pytest.skip("two GPUs are needed")
    place.kubectl.space()
    hard = {f"requests.{GPU}": "1"}
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "gpus"},
        "spec": {"hard": hard},
    }
    place.kubectl.create(quota)
    place.write(replicas=2)
    ran = place("up")
    assert ran.code == 3
    assert "the quota gpus" in ran.err
    assert "the fleet needs 2" in ran.err
    assert place.marks() == {}, "nothing was applied"
    place.write()
    place.up()
    ran = place("scale", "2", "--timeout", "20")
    assert ran.code == 4
    assert "the namespace's quota gpus is used up" in ran.err
    assert place.rules()[0] == "why-namespace-quota"


def test_a_service_account_that_is_not_there(place: Place, real: None) -> None:
    place.write(kubernetes={"service_account": "nobody"})
    ran = place("up", "--timeout", "20s")
    assert ran.code == 4
    assert place.rules()[0] == "why-no-service-account"


def test_a_secret_that_is_not_there(place: Place, real: None) -> None:
    """Real kubelets say so; fake nodes may run the pod all the same."""
    place.write(endpoint={"api_key": "secret:nobody/key"})
    ran = place("up", "--timeout", "15s")
    if ran.code == 4:
        assert place.rules()[0] == "why-secret-missing"


def test_a_group_whose_controller_is_not_there(place: Place) -> None:
    if "LeaderWorkerSet" not in place.offer.kinds:
        pytest.skip("the cluster does not know LeaderWorkerSet")
    place.write(hardware={"gpu": place.offer.gpu, "count": 2}, strategy="multi-node")
    ran = place("up", "--timeout", "20s")
    assert ran.code in (0, 4), ran.err
    if not place.real or ran.code == 0:
        return  # its controller runs there
    assert place.rules()[0] == "why-no-controller"
    place.ok("down")


def test_an_hpa_without_its_metric(place: Place) -> None:
    inside = {"metrics": "stackdriver" if place.offer.platform == "gke" else "prometheus"}
    place.write(replicas="1..2", scaling={"metrics": {"queue-depth": 5}}, kubernetes=inside)
    ran = place("up", "--timeout", "120s")
    if ran.code == 2 and "has no Pod" in ran.err:
        pytest.skip("the cluster has no PodMonitoring and no PodMonitor")
    assert ran.code == 0
    deadline = time.monotonic() + 60
    while not any(rule.startswith("why-hpa") for rule in place.rules()):
        status = place.kubectl.get("horizontalpodautoscaler", "shop").get("status", {})
        if any(
            one["type"] == "ScalingActive" and one["status"] == "True"
            for one in status.get("conditions") or ()
        ):
            pytest.skip("a metrics API of the cluster serves the metric")
        assert time.monotonic() < deadline
        time.sleep(1)


LIMITS = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "small"}}
REFUSALS = [
    (
        {**LIMITS, "spec": {"limits": [{"type": "Container", "max": {"memory": "64Mi"}}]}},
        "why-limit-range",
        "64Mi",
    ),
    (
        {**LIMITS, "spec": {"limits": [{"type": "Container", "max": {"cpu": "10m"}}]}},
        "why-limit-range",
        "10m",
    ),
    (
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "cores"},
            "spec": {"hard": {"limits.cpu": "10m"}},
        },
        "why-namespace-quota",
        "cores",
    ),
]


@pytest.mark.parametrize(("body", "rule", "said"), REFUSALS)
def test_pods_that_the_namespace_does_not_let_in(
    place: Place, real: None, body: dict[str, Any], rule: str, said: str
) -> None:
    place.kubectl.space()
    place.kubectl.create(body)
    ran = place("up", "--timeout", "15s")
    assert ran.code == 4, ran.err
    assert said in ran.err
    assert place.rules() == [rule]
    assert "nothing is wrong" not in place.ok("why").out


def test_limits_of_cores_where_the_namespace_asks_for_them(place: Place, real: None) -> None:
    place.kubectl.space()
    hard = {"limits.cpu": "64"}
    place.kubectl.create(
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "cores"}, "spec": {"hard": hard}}
    )
    place.up()
    (engine,) = place.pods()[0]["spec"]["containers"]
    assert engine["resources"]["limits"]["cpu"] == engine["resources"]["requests"]["cpu"]
    version = place.marks()
    place.up()
    assert place.marks() == version, "the same again changes nothing"


def test_a_priority_class_that_is_not_there(place: Place, real: None) -> None:
    place.write(kubernetes={"priority_class": "acme-no-such"})
    ran = place("up", "--timeout", "15s")
    assert ran.code == 4, ran.err
    assert place.rules() == ["why-priority-class"]


def test_an_admission_policy_on_pods(place: Place, real: None) -> None:
    name, label = place.kubectl.namespace, {"kubernetes.io/metadata.name": place.kubectl.namespace}
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]
    policy = {
        "matchConstraints": {"resourceRules": rules},
        "validations": [{"expression": "'team' in object.metadata.labels", "message": "label the team"}],
    }
    binding = {
        "policyName": name,
        "validationActions": ["Deny"],
        "matchResources": {"namespaceSelector": {"matchLabels": label}},
    }
    group = "admissionregistration.k8s.io/v1"
    place.kubectl.space()
    for kind, spec in (("ValidatingAdmissionPolicy", policy), ("ValidatingAdmissionPolicyBinding", binding)):
        place.kubectl.create({"apiVersion": group, "kind": kind, "metadata": {"name": name}, "spec": spec})
    try:
        time.sleep(5)  # until the API server has compiled it
        ran = place("up", "--timeout", "20s")
        assert ran.code == 4, ran.err
        assert "label the team" in ran.err
        assert place.rules() == ["why-policy-denied"]
    finally:
        for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
            place.kubectl.run("delete", kind, name)


def test_a_rollout_that_somebody_paused(place: Place) -> None:
    place.up()
    place.kubectl.ok("patch", "deployment", "shop", "--type=merge", "-p", '{"spec": {"paused": true}}')
    assert place.rules() == ["why-paused"]


def test_a_replica_larger_than_any_node(place: Place) -> None:
    if place.offer.platform != "gke":
        pytest.skip("nodes are not labelled with their GPU")
    place.write(hardware=f"{place.offer.gpu}:{place.offer.largest * 2}")
    ran = place("up", "--timeout", "15s")
    if ran.code in (2, 3):
        pytest.skip("no machine type has as many")
    assert ran.code == 4, ran.err
    assert place.rules() == ["why-too-large"]


def test_a_service_that_somebody_deleted(place: Place) -> None:
    place.up()
    place.kubectl.ok("delete", "service", "shop")
    assert place.rules() == ["why-service-gone"]
    place.up()
    assert place.rules() == []


def test_a_finalizer_that_holds_down(place: Place) -> None:
    place.up()
    patch = '{"metadata": {"finalizers": ["acme.example/keep"]}}'
    place.kubectl.ok("patch", "service", "shop", "--type=merge", "-p", patch)
    ran = place("down")
    assert ran.code == 4, ran.err
    assert "Service/shop" in ran.err
    assert "acme.example/keep" in ran.err
    place.kubectl.ok("patch", "service", "shop", "--type=merge", "-p", '{"metadata": {"finalizers": null}}')
    place.ok("down")


def test_a_route_without_a_controller(place: Place) -> None:
    crds = (
        "gateways.gateway.networking.k8s.io",
        "httproutes.gateway.networking.k8s.io",
        "inferencepools.inference.networking.k8s.io",
    )
    if not place.real or any(place.kubectl.run("get", one).returncode for one in crds):
        pytest.skip("the cluster does not know the Gateway API, or the double runs its controller")
    inside = {"routing": "gateway-api", "gateway": {"proxies": ["10.129.0.0/23"]}, "platform": "plain"}
    place.write(kubernetes={**inside, "metrics": "none", "gateway": {"class_name": "nobodys"}})
    ran = place("up", "--timeout", "25s")
    if ran.code == 2:
        pytest.skip(ran.err)
    assert ran.code == 4, ran.err
    assert "why-no-route" in place.rules()
