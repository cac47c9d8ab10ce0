"""The checks before `up`: what a cluster lacks for a fleet, as findings."""

from dataclasses import replace
from typing import Any

from tests.support.manifests import plan_of

from stoker.advise.cluster import check_cluster
from stoker.advise.cluster_facts import ClusterFacts, Denied, Node, Pool, Quota
from stoker.render.manifests import choose
from stoker.render.manifests.choices import Cluster

L4 = {"cloud.google.com/gke-accelerator": "nvidia-l4"}
GOOD = ClusterFacts("gke_p_us-east4_c", nodes=(Node(L4, 4), Node({}, 0)), adapter=True)


def cluster(more: str = "", **kubernetes: Any) -> Cluster:
    text = (
        f"name: shop\nmodel: gs://b/m\nhardware: l4:4\nengine: {{max-model-len: 4K}}\ntarget: "
        f"kubernetes\nkubernetes: {kubernetes}\n{more}"
    )
    return choose(plan_of(text))


SCALED = "replicas: 1..5\nscaling: {metrics: {queue-depth: 5}}\n"


def rules(facts: ClusterFacts, about: Cluster | None = None) -> list[str]:
    return [f"{one.severity} {one.rule}" for one in check_cluster(facts, about or cluster())]


def test_a_cluster_that_has_it_all() -> None:
    assert rules(GOOD, cluster(SCALED)) == []


def test_what_is_missing_and_forbidden() -> None:
    bare = replace(GOOD, missing=("PodMonitoring",), denied=(Denied("create", "apps", "deployments"),))
    first, second = check_cluster(bare, cluster())
    assert "PodMonitoring" in first.what
    assert (first.rule, second.rule) == ("kube-missing", "kube-forbidden")
    assert "deployments in default" in second.what
    assert 'apiGroups: ["apps"], resources: ["deployments"]' in second.fix


def test_what_stands_in_no_namespace_needs_a_cluster_role() -> None:
    denied = (
        Denied("create", "", "secrets"),
        Denied("create", "storage.k8s.io", "storageclasses", wide=True),
    )
    (found,) = check_cluster(replace(GOOD, denied=denied), cluster())
    assert (
        found.what == "you may not create secrets in default and storageclasses of the cluster"
    )  # the words
    assert found.fix.startswith('a Role with {apiGroups: [""], resources: ["secrets"]')
    assert 'and a ClusterRole with {apiGroups: ["storage.k8s.io"], resources: ["storageclasses"]' in found.fix
    (wide,) = check_cluster(replace(GOOD, denied=denied[1:]), cluster())
    assert (wide.rule, "secrets" in wide.what, "storageclasses" in wide.what) == (found.rule, False, True)


def test_a_quota_counts_what_the_fleet_holds_already() -> None:
    full = Quota("the quota gpus", 8, 8)
    assert rules(replace(GOOD, quotas=(full,))) == ["error kube-quota"]
    assert rules(replace(GOOD, quotas=(full,), running=4)) == []
    (found,) = check_cluster(replace(GOOD, quotas=(Quota("the quota gpus", 8, 6),)), cluster())
    assert [one in found.what for one in ("the quota gpus of default", "2 GPUs", "needs 4")] == [True] * 3


def test_no_node_has_the_gpu() -> None:
    none = replace(
        GOOD, nodes=(Node(L4, 1), Node({"cloud.google.com/gke-accelerator": "nvidia-tesla-t4"}, 4))
    )
    (found,) = check_cluster(none, cluster())
    assert (found.rule, found.severity) == ("kube-no-gpu-node", "warning")
    assert "4 x nvidia-l4" in found.what
    assert "nodes have: nvidia-l4 x 1, nvidia-tesla-t4 x 4" in found.why
    assert "--machine-type g2-standard-48" in found.fix
    assert rules(replace(none, pools=(Pool("l4", "nvidia-l4", 4, 20),))) == [], "a pool that grows from zero"
    assert rules(replace(none, growing=True)) == []
    assert rules(none, cluster(capacity=["on-demand"])) == []
    assert rules(replace(none, nodes=None)) == [], "nobody could look"


def test_the_rollout_suits_the_spare_gpus() -> None:
    two = replace(GOOD, nodes=(Node(L4, 4), Node(L4, 4)))
    (stops_first,) = check_cluster(two, cluster())
    assert (stops_first.rule, stops_first.severity) == ("kube-rollout", "note")
    assert "have 8 GPUs and a replica takes 4" in stops_first.why
    assert rules(two, cluster(surge=True)) == []
    assert rules(two, cluster("replicas: 2\n")) == [], "the other one answers meanwhile"
    (waits,) = check_cluster(GOOD, cluster(surge=True))
    assert (waits.rule, "8 GPUs" in waits.what, "have 4" in waits.what) == ("kube-rollout", True, True)
    assert rules(replace(GOOD, growing=True), cluster(surge=True)) == []
    assert rules(GOOD, cluster(surge=True, capacity=["on-demand"])) == []


def test_a_node_fits_as_the_pods_select_it() -> None:
    text = (
        "name: shop\nmodel: gs://b/m\nhardware: {gpu: h100-80gb, count: 8, machine: "
        "a3-megagpu-8g}\ntarget: kubernetes\n"
    )
    mega = {
        "cloud.google.com/gke-accelerator": "nvidia-h100-mega-80gb",
        "node.kubernetes.io/instance-type": "a3-megagpu-8g",
    }
    about = choose(plan_of(text))
    assert rules(replace(GOOD, nodes=(Node(mega, 8),)), about) == []
    (found,) = check_cluster(replace(GOOD, pools=()), about)
    assert (found.rule, "8 x nvidia-h100-mega-80gb" in found.what) == ("kube-no-gpu-node", True)


def test_another_machine_with_the_same_gpu_does_not_fit() -> None:
    text = (
        "name: shop\nmodel: gs://b/m\nhardware: {gpu: l4, count: 4, machine: g2-standard-48}\ntarget: "
        "kubernetes\n"
    )
    about = choose(plan_of(text))
    (found,) = check_cluster(replace(GOOD, pools=(Pool("p", "nvidia-l4", 4, 3, "g2-standard-96"),)), about)
    assert (found.rule, "g2-standard-48" in found.what) == ("kube-no-gpu-node", True)
    assert rules(replace(GOOD, pools=(Pool("p", "nvidia-l4", 4, 3, "g2-standard-48"),)), about) == []


def test_buckets_are_mounted_by_a_driver() -> None:
    about = cluster(weights="gcsfuse")
    assert rules(GOOD, about) == [], "nobody could look"
    assert rules(replace(GOOD, drivers=("pd.csi.storage.gke.io",)), about) == ["error kube-gcsfuse"]
    assert rules(replace(GOOD, drivers=("gcsfuse.csi.storage.gke.io",)), about) == []


def test_a_compute_class_that_is_not_there() -> None:
    asked = cluster(compute_class="gpus")
    assert rules(replace(GOOD, classes=("other",)), asked) == ["error kube-compute-class"]
    assert rules(replace(GOOD, classes=("gpus",)), asked) == []


def test_the_projects_quota_and_the_adapter_are_warnings() -> None:
    assert rules(replace(GOOD, project=Quota("NVIDIA_L4_GPUS in us-east4", 8, 6))) == [
        "warning kube-gpu-quota"
    ]
    assert rules(replace(GOOD, adapter=False), cluster(SCALED)) == ["warning kube-adapter"]
    assert rules(replace(GOOD, adapter=False)) == [], "no HPA asks for it"


def test_several_nodes_of_machines_with_a_fabric_are_told() -> None:
    text = (
        "name: shop\nmodel: gs://b/m\nhardware: {{gpu: h100-80gb, count: {}, machine: "
        "a3-highgpu-8g}}\nstrategy: {}\ntarget: kubernetes\n"
    )
    ready = replace(GOOD, nodes=None)
    assert rules(ready, choose(plan_of(text.format(16, "multi-node")))) == ["warning kube-fabric"]
    assert rules(ready, choose(plan_of(text.format(8, "tensor-parallel")))) == []


def test_a_release_that_does_not_know_the_pods_fields() -> None:
    (found,) = check_cluster(replace(GOOD, release=(1, 28)), cluster())
    assert (found.rule, found.severity) == ("kube-release", "error")
    assert "runs Kubernetes 1.28, and the fleet needs 1.30" in found.what
    assert rules(replace(GOOD, release=(1, 36))) == []


GATEWAY = {"routing": "gateway", "image": "registry.example/stoker:1"}
BY_GATEWAY = "replicas: {range}\nscaling: {{metrics: {{in-flight: 8}}}}\n"


def test_who_serves_what_the_hpa_asks_for() -> None:
    held = cluster(BY_GATEWAY.format(range="1..5"), **GATEWAY)
    assert rules(replace(GOOD, adapter=False), held) == [], "no pods' metric is asked for"
    (found,) = check_cluster(replace(GOOD, external=False), held)
    assert (found.rule, "external.metrics.k8s.io" in found.why) == ("kube-adapter", True)
    taken = replace(GOOD, external=True, external_owner="keda/keda-operator-metrics-apiserver")
    (found,) = check_cluster(taken, held)
    assert (found.rule, found.severity) == ("kube-external-metrics", "warning")
    assert "keda/keda-operator-metrics-apiserver serves" in found.what
    assert rules(taken, cluster(SCALED)) == [], "queue-depth comes by the other API"


def test_keda_and_gkes_own_need_no_adapter() -> None:
    none = replace(GOOD, adapter=False, external=False)
    assert rules(none, cluster(SCALED, scaler="keda", metrics="prometheus")) == []
    assert rules(replace(none, release=(1, 35)), cluster(SCALED, scaler="autoscaling-metric")) == []


def test_definitions_of_other_scalers_that_are_missing() -> None:
    lost = replace(GOOD, missing=("ScaledObject",))
    (found,) = check_cluster(lost, cluster(SCALED, scaler="keda", metrics="prometheus"))
    assert (found.rule, found.severity) == ("kube-missing", "error")
    assert "helm install keda" in found.fix


def test_a_gke_that_is_too_old_for_its_own_metrics() -> None:
    old = replace(GOOD, release=(1, 34), missing=("AutoscalingMetric",))
    (found,) = check_cluster(old, cluster(SCALED, scaler="autoscaling-metric"))
    assert (found.rule, found.severity) == ("kube-gke-release", "error")
    assert "1.34" in found.what
    assert "1.35" in found.what
    unknown = replace(old, release=None)
    (found,) = check_cluster(unknown, cluster(SCALED, scaler="autoscaling-metric"))
    assert (found.rule, "1.35.1-gke.1396000" in found.fix) == ("kube-missing", True)


def test_zero_replicas() -> None:
    held = cluster(BY_GATEWAY.format(range="0..5"), **GATEWAY)
    assert rules(replace(GOOD, release=(1, 36)), held) == ["warning kube-zero", "warning kube-zero-hold"]
    assert rules(replace(GOOD, release=(1, 37)), held) == ["warning kube-zero-hold"]
    full = replace(GOOD, release=(1, 37), quotas=(Quota("the quota gpus", 4, 4),))
    assert rules(full, held)[0] == "error kube-quota", "`up` begins with one"
    more = BY_GATEWAY.format(range="0..5") + "endpoint: {queue_timeout: 1h}\n"
    by_keda = cluster(more, scaler="keda", metrics="prometheus", **GATEWAY)
    assert rules(replace(GOOD, release=(1, 36)), by_keda) == []
