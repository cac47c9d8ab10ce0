"""Decisions of the pod template, one by one."""

import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.golden.cases import BASE, CASES, SCALED
from tests.support.manifests import one, plan_of, pod_specs, rendered

from stoker.errors import UsageError
from stoker.findings import Finding
from stoker.operate.render import write
from stoker.render.command import pod_words
from stoker.render.manifests import choose
from stoker.render.manifests.adapter import adapter_rules
from stoker.render.manifests.manifest import Manifest, kustomization
from stoker.render.manifests.scaling import quantity


def container(text: str) -> dict[str, Any]:
    found: dict[str, Any] = one(rendered(text), "Deployment")["spec"]["template"]["spec"]["containers"][0]
    return found


def engines(objects: tuple[Manifest, ...]) -> list[dict[str, Any]]:
    """The specs of the engine's pods, the leader's first."""
    return [spec for spec in pod_specs(objects) if spec["containers"][0]["name"] == "engine"]


def test_a_range_leaves_the_number_of_replicas_to_the_hpa() -> None:
    assert "replicas" not in one(rendered(BASE + SCALED), "Deployment")["spec"]
    assert one(rendered(BASE + "replicas: 3\n"), "Deployment")["spec"]["replicas"] == 3


@pytest.mark.parametrize("case", ["single-gpu", "multi-node"])
def test_a_pod_outlives_its_drain(case: str) -> None:
    """Its preStop drains, and not vLLM: that would take new requests meanwhile, and leave open streams
    without an end."""
    text, model = CASES[case]
    leader, *workers = engines(rendered(text + "drain_timeout: 120s\n", model))
    engine = leader["containers"][0]
    assert "--shutdown-timeout" not in engine["command"]
    program, linger, drain = engine["lifecycle"]["preStop"]["exec"]["command"][1:]
    assert (program, drain) == ("/etc/stoker/leave.py", "120")
    assert leader["terminationGracePeriodSeconds"] > int(linger) + 120
    for worker in workers:
        program, _, outlives = worker["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1:]
        assert program == "/etc/stoker/outlive.py"
        assert worker["terminationGracePeriodSeconds"] > int(outlives) > int(linger) + 120


def test_a_simulated_engine_drains_by_itself() -> None:
    objects = rendered(CASES["simulated"][0] + "drain_timeout: 120s\n", None)
    engine = engines(objects)[0]["containers"][0]
    assert engine["lifecycle"]["preStop"] == {"sleep": {"seconds": 15}}
    assert engine["command"][engine["command"].index("--shutdown-timeout") + 1] == "120"


LOADED = ["stoker_witness.Witness"]


@pytest.mark.parametrize(
    ("key", "loaded"),
    [("", LOADED), ("endpoint: {api_key: 'env:SHOP_KEY'}\n", [*LOADED, "stoker_guard.Guard"])],
)
def test_every_engine_with_an_api_has_a_witness_and_the_guard_stands_before_it(
    key: str, loaded: list[str]
) -> None:
    objects = rendered(CASES["multi-node"][0] + key, CASES["multi-node"][1])
    leader, worker = (one["containers"][0] for one in engines(objects))
    words = leader["command"]
    assert [words[n + 1] for n, word in enumerate(words) if word == "--middleware"] == loaded
    assert "--middleware" not in worker["command"]
    assert {"name": "PYTHONPATH", "value": "/etc/stoker"} in leader["env"]
    texts = one(objects, "ConfigMap")["data"]
    assert {f"{name.split('.')[0]}.py" for name in loaded} < set(texts)
    folder = files("stoker.render.manifests") / "scripts"
    assert {name: text for name, text in texts.items() if name != "stoker_guard.py"} == {
        entry.name: entry.read_text() for entry in folder.iterdir() if entry.name.endswith(".py")
    }


def test_the_start_budget_grows_with_the_weights_and_a_slower_source() -> None:
    def budget(case: str) -> int:
        pod = one(rendered(*CASES[case]), "Deployment")["spec"]["template"]["spec"]
        found: int = pod["containers"][0]["startupProbe"]["failureThreshold"]
        return found

    assert (
        budget("single-gpu") < budget("tensor-parallel") < budget("weights-gcsfuse") < budget("weights-hub")
    )


def test_another_source_has_other_weights_and_the_same_source_the_same() -> None:
    other = BASE.replace("-ft,", "-v2,")
    tuned, retuned = (
        BASE.replace("served_name: gemma-ft", f"adapters: {{sql: gs://acme-models/sql-{n}}}") for n in "12"
    )
    names = [
        one(rendered(text), "Job")["metadata"]["name"]
        for text in (BASE, BASE + SCALED, other, tuned, retuned)
    ]
    assert names[0] == names[1]
    assert len(set(names)) == 4, "an adapter is a part of what a disk holds"


def test_the_ranks_of_a_group_find_their_leader() -> None:
    objects = rendered(*CASES["multi-node"])
    group = one(objects, "LeaderWorkerSet")
    # the set's shared headless Service would have its own name, which is taken by the one that has an address
    assert one(objects, "Service")["metadata"]["name"] == group["metadata"]["name"]
    assert group["spec"]["networkConfig"] == {"subdomainPolicy": "UniquePerReplica"}


def test_no_secret_stands_in_arguments() -> None:
    found = container(BASE + "endpoint: {api_key: 'env:SHOP_KEY'}\n")
    assert "--api-key" not in found["command"]
    (key,) = [e for e in found["env"] if e["name"] == "VLLM_API_KEY"]
    assert key["valueFrom"]["secretKeyRef"] == {"name": "shop-keys", "key": "api-key"}


def refused(text: str, *config: Any) -> Finding:
    with pytest.raises(UsageError) as caught:
        rendered(text, *config)
    return caught.value.finding


def test_a_disk_that_cannot_take_so_many_readers_is_refused() -> None:
    found = refused(BASE + "replicas: 101\n")
    assert (found.rule, "101 nodes" in found.what) == ("disk-readers", True)
    assert rendered(BASE + "replicas: 101\nkubernetes: {disk: {type: hyperdisk-ml}}\n")


def _small_on_t4(more: str) -> tuple[str, Any]:
    text, files = CASES["single-gpu"]
    return text.replace("hardware: l4", "hardware: t4:2") + more, files


def test_the_disk_is_one_that_the_machine_can_attach() -> None:
    def classes(text: str) -> list[str]:
        return [o.body["parameters"]["type"] for o in rendered(text) if o.kind == "StorageClass"]

    new = BASE.replace("l4:4", "b200:1")
    assert classes(BASE) == ["pd-ssd"]
    assert classes(new) == ["hyperdisk-ml", "pd-ssd"], "it is read as one, and was written as the other"
    found = refused(new + "kubernetes: {disk: {type: pd-ssd}}\n")
    assert (found.rule, "pd-ssd" in found.what) == ("disk-machine", True)
    assert found.at.endswith(":21"), "of the type"
    found = refused(*_small_on_t4("kubernetes: {disk: {zones: [us-east4-a, us-east4-c]}}\n"))
    assert (found.rule, "hyperdisk-ml" in found.what) == ("disk-machine", True)
    assert "disk.zones" in found.fix
    assert found.at.endswith(":14"), "of the disk, as no type is named"
    found = refused(BASE + "kubernetes: {weights: {disk: projects/p/zones/multi-zone/disks/d}}\n")
    assert found.rule == "disk-zones"


def test_a_cache_is_not_shared_where_a_rollout_has_two_pods() -> None:
    hub = BASE.replace("gs://acme-models/gemma-3-27b-ft", "hf://google/gemma-3-27b-it")
    assert one(rendered(hub), "PersistentVolumeClaim")["spec"]["accessModes"] == ["ReadWriteOnce"]
    surging = rendered(hub + "kubernetes: {surge: true}\n")
    assert not [o for o in surging if o.kind == "PersistentVolumeClaim"]
    volumes = one(surging, "Deployment")["spec"]["template"]["spec"]["volumes"]
    assert [v for v in volumes if "ephemeral" in v]


@pytest.mark.parametrize(
    ("change", "rule", "column"),
    [
        (
            "kubernetes: {routing: gateway-api, gateway: {class_name: gke-l7-global-external-managed}}\n",
            "gateway-class",
            36,
        ),
        ("kubernetes: {weights: hub}\n", "kubernetes-weights", 14),
        (
            "replicas: 1..2\nscaling: {metrics: {queue-depth: 1}}\nkubernetes: {metrics: none}\n",
            "kubernetes-metrics",
            14,
        ),
    ],
)
def test_choices_that_do_not_go_together(change: str, rule: str, column: int) -> None:
    text = BASE + change
    found = refused(text)
    assert found.rule == rule
    assert found.at.endswith(f":{text.count(chr(10))}:{column}"), "at the field's own place"


def test_a_folder_of_this_machine_is_out_of_a_clusters_reach() -> None:
    found = refused(BASE.replace("gs://acme-models/gemma-3-27b-ft", "/data/m"))
    assert (found.rule, "/data/m" in found.what) == ("kubernetes-weights", True)
    assert "gs://BUCKET/FOLDER" in found.fix


def test_a_gpu_that_gke_does_not_have() -> None:
    assert "RTX-4090" in refused(BASE.replace("l4:4", "rtx-4090:4")).what


def test_the_prometheus_adapters_rules_name_what_the_hpa_asks() -> None:
    text = CASES["scaled-prometheus"][0]
    hpa = one(rendered(text), "HorizontalPodAutoscaler")
    asked = {metric["pods"]["metric"]["name"] for metric in hpa["spec"]["metrics"]}
    rules = adapter_rules(choose(plan_of(text)))
    assert rules is not None
    assert asked == {"vllm_num_requests_waiting", "vllm_num_requests_running"}
    assert all(f"as: {name}" in rules for name in asked)


@pytest.mark.parametrize(("value", "text"), [(5.0, "5"), (2.5, "2500m"), (12.25, "12250m")])
def test_quantities(value: float, text: str) -> None:
    assert quantity(value) == text


def test_a_render_replaces_its_own_files_and_nobody_elses(tmp_path: Path) -> None:
    folder, name = tmp_path / "out", "kustomization.yaml"
    write({"a.yaml": "a", name: kustomization(["a.yaml"], [])}, folder)
    assert write({"b.yaml": "b", name: kustomization(["b.yaml"], [])}, folder) == ("a.yaml",)
    (folder / "mine.yaml").write_text("kept")
    added = (folder / name).read_text().replace("- b.yaml", "- b.yaml\n  - mine.yaml")
    (folder / name).write_text(added)
    assert write({"c.yaml": "c", name: kustomization(["c.yaml"], [])}, folder) == ("b.yaml",)
    assert sorted(path.name for path in folder.iterdir()) == ["c.yaml", name, "mine.yaml"]
    assert yaml.safe_load((folder / name).read_text())["resources"] == ["c.yaml"]


@pytest.mark.parametrize("theirs", ["kustomization.yaml", "prometheus.yaml", "notes.txt"])
def test_a_folder_of_somebody_else_is_left_as_it_is(theirs: str, tmp_path: Path) -> None:
    (tmp_path / theirs).write_text("resources: [precious.yaml]\n")
    (tmp_path / "precious.yaml").write_text("kept")
    with pytest.raises(UsageError, match="holds something else"):
        write({"b.yaml": "b", "kustomization.yaml": kustomization(["b.yaml"], [])}, tmp_path)
    assert (tmp_path / "precious.yaml").read_text() == "kept"
    assert not (tmp_path / "b.yaml").exists()


def test_traces_reach_the_collector_from_every_rank() -> None:
    text = (
        "name: shop\nmodel: gs://b/m\nhardware: {gpu: h100-80gb, count: 16, machine: "
        "a3-highgpu-8g}\nstrategy: multi-node\ntarget: kubernetes\nengine: {otlp-traces-endpoint: "
        "'grpc://collector.obs:4327', max-model-len: 4K}\n"
    )
    objects = rendered(text)
    group = one(objects, "LeaderWorkerSet")["spec"]["leaderWorkerTemplate"]
    for role in ("leaderTemplate", "workerTemplate"):
        engine = group[role]["spec"]["containers"][0]
        assert (
            engine["command"][engine["command"].index("--otlp-traces-endpoint") + 1]
            == "grpc://collector.obs:4327"
        )
        assert {"name": "OTEL_SERVICE_NAME", "value": "shop"} in engine["env"]
    policy = one(objects, "NetworkPolicy", "shop-engine")
    assert {"ports": [{"port": 4327, "protocol": "TCP"}]} in policy["spec"]["egress"]


@pytest.mark.parametrize(
    ("address", "ports"),
    [
        ("https://otel.example/v1/traces", [443]),
        ("grpc://collector.obs", [443]),
        ("http://collector.obs/v1/traces", [80, 443]),
        ("http://[::1]:4318", [4318]),
    ],
)
def test_the_port_of_a_collector_without_one_is_its_protocols(address: str, ports: list[int]) -> None:
    text = (
        f"name: shop\nmodel: gs://b/m\nhardware: l4\ntarget: kubernetes\nengine: {{otlp-traces-endpoint: "
        f"'{address}', max-model-len: 4K}}\n"
    )
    policy = one(rendered(text), "NetworkPolicy", "shop-engine")
    assert {"ports": [{"port": port, "protocol": "TCP"} for port in ports]} in policy["spec"]["egress"]


@pytest.mark.parametrize(
    ("version", "options", "left_out"),
    [
        ("0.32.0", {}, "/health,/metrics,/metrics/"),
        ("0.16.0", {}, "/health,/metrics,/metrics/"),
        ("0.15.1", {}, None),
        ("0.32.0", {"disable-access-log-for-endpoints": "/ping"}, "/ping"),
        ("0.32.0", {"disable-uvicorn-access-log": True}, None),
    ],
)
def test_who_only_looks_leaves_no_line_in_the_engines_log(
    version: str, options: dict[str, object], left_out: str | None
) -> None:
    plan = plan_of(BASE.replace("{max-model-len: 32K}", json.dumps({"max-model-len": "4K", **options})))
    spec = replace(plan.spec, engine=replace(plan.spec.engine, version=version))
    argv = [*pod_words(replace(plan, spec=spec), "/m", 8000), "--end"]
    flag = "--disable-access-log-for-endpoints"
    assert (argv[argv.index(flag) + 1] if flag in argv else None) == left_out
