"""`stoker lint` on manifests: the guide's, each rule by itself, and Stoker's own, which must be clean."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.scalers import BUDGET, args, pod

from stoker.advise.lint import is_manifest, lint
from stoker.advise.sarif import sarif
from stoker.findings import Finding

GUIDE = Path(__file__).resolve().parents[1] / "data/guide"
GOLDEN = Path(__file__).resolve().parents[1] / "golden/manifests"


def guide() -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(GUIDE.glob("*.yaml"))}


def test_what_is_wrong_with_the_guides_manifests() -> None:
    found = {(one.rule, one.at.rpartition(":")[0]) for one in lint(guide())}
    assert found == {
        ("lint-public", "gradio.yaml:6"),
        ("lint-service-selector", "gradio.yaml:7"),
        ("lint-hpa-behavior", "hpa_running.yaml:5"),
        ("lint-hpa-behavior", "hpa_waiting.yaml:5"),
        ("lint-twice", "hpa_waiting.yaml:4"),
        ("lint-budget", "model_deployment.yaml:3"),
        ("lint-strategy", "model_deployment.yaml:8"),
        ("lint-placeholder", "model_deployment.yaml:5"),
        ("lint-placeholder", "model_deployment.yaml:19"),
        ("lint-placeholder", "model_deployment.yaml:46"),
        ("lint-placeholder", "volume.yaml:18"),
        ("lint-hpa-replicas", "model_deployment.yaml:9"),
        ("lint-drain", "model_deployment.yaml:17"),
        ("lint-service-links", "model_deployment.yaml:17"),
        ("lint-readiness", "model_deployment.yaml:21"),
        ("lint-startup", "model_deployment.yaml:21"),
        ("lint-root", "model_deployment.yaml:21"),
        ("lint-image-old", "model_deployment.yaml:22"),
        ("lint-shm-limit", "model_deployment.yaml:37"),
        ("lint-volume-mode", "model_deployment.yaml:39"),
        ("lint-volume-mode", "volume.yaml:8"),
        ("lint-monitoring-namespace", "monitoring.yaml:3"),
        ("lint-empty", "multi_node.yaml:1"),
        ("lint-image-tag", "volume.yaml:37"),
        ("lint-privileged", "volume.yaml:40"),
    }


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.yaml")), ids=lambda path: path.stem)
def test_stokers_own_manifests_are_clean(path: Path) -> None:
    found = [one for one in lint({path.name: path.read_text()}) if one.severity != "note"]
    assert found == [], "\n".join(map(str, found))


HPA: dict[str, Any] = {
    "apiVersion": "autoscaling/v2",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "v"},
    "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "v"},
        "maxReplicas": 3,
        "behavior": {},
        "metrics": [
            {
                "type": "Pods",
                "pods": {
                    "metric": {"name": "vllm:num_requests_waiting"},
                    "target": {"type": "AverageValue", "averageValue": "5"},
                },
            }
        ],
    },
}


CASES: list[tuple[str, list[dict[str, Any]]]] = [
    ("image-tag", [pod(container={"image": "vllm/vllm-openai:latest"})]),
    ("image-tag", [pod(container={"image": "registry:5000/vllm"})]),
    ("image-old", [pod(container={"image": "vllm/vllm-openai:v0.9.1"})]),
    ("readiness", [pod(container={"readinessProbe": None})]),
    ("startup", [pod(container={"startupProbe": None, "livenessProbe": None})]),
    ("liveness-kills", [pod(container={"startupProbe": None})]),
    ("drain", [pod(pod={"terminationGracePeriodSeconds": None})]),
    ("prestop", [pod(container={"lifecycle": None})]),
    ("drain", [pod(container={"lifecycle": None}, pod={"terminationGracePeriodSeconds": None})]),
    ("service-links", [pod(pod={"enableServiceLinks": None})]),
    ("root", [pod(pod={"securityContext": None})]),
    ("strategy", [pod(strategy={})]),
    ("ranks", [pod(container=args("--tensor-parallel-size", "1", gpus=4))]),
    (
        "ranks",
        [
            pod(
                container=args(
                    "--tensor-parallel-size=4", gpus=2, volumeMounts=[{"name": "s", "mountPath": "/dev/shm"}]
                ),
                pod={"volumes": [{"name": "s", "emptyDir": {"medium": "Memory", "sizeLimit": "3Gi"}}]},
            )
        ],
    ),
    ("shm", [pod(container=args("--tensor-parallel-size=2", gpus=2))]),
    ("no-gpu", [pod(container={"resources": {}})]),
    ("option", [pod(container=args("--swap-space", "4"))]),
    ("option", [pod(container=args("--no-such-flag"))]),
    ("option", [pod(container={"command": ["sh", "-c", "vllm serve /m --disable-log-requests"]})]),
    ("remote-code", [pod(container=args("--trust-remote-code"))]),
    ("secret-argument", [pod(container=args("--api-key", "abc"))]),
    ("secret-value", [pod(container={"env": [{"name": "HF_TOKEN", "value": "hf_abc"}]})]),
    (
        "monitoring-selector",
        [
            pod(),
            {
                "apiVersion": "monitoring.coreos.com/v1",
                "kind": "PodMonitor",
                "metadata": {"name": "v"},
                "spec": {"selector": {"matchLabels": {"app": "w"}}},
            },
        ],
    ),
    ("placeholder", [pod(pod={"nodeSelector": {"gpu": "<your-gpu>"}})]),
]


@pytest.mark.parametrize(("rule", "bodies"), CASES)
def test_each_rule_finds_its_case_alone(rule: str, bodies: list[dict[str, Any]]) -> None:
    text = "---\n".join(json.dumps(body, indent=1) + "\n" for body in [*bodies, BUDGET])
    assert {one.rule for one in lint({"m.yaml": text})} == {f"lint-{rule}"}


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    assert lint({"m.yaml": "---\n".join(json.dumps(body) + "\n" for body in (pod(), BUDGET, HPA))}) == ()


def test_a_script_may_use_its_own_variables() -> None:
    job = pod(container={"command": ["sh", "-c", "vllm serve ${MODEL} --port ${PORT}"]})
    assert lint({"m.yaml": json.dumps(job) + "\n---\n" + json.dumps(BUDGET)}) == ()


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "a: &x [*x]",
        "\x00",
        "kind: 3",
        "apiVersion: v1\nkind: Pod\nspec: 7",
        "kind: Deployment\nspec: {template: {spec: {containers: [3, {image: vllm, args: 3}]}}}",
        "- 1",
        "kind: List\nitems: 3",
        "[" * 200,
    ],
)
def test_whatever_a_file_holds_it_is_read(text: str) -> None:
    for one in lint({"m.yaml": text}):
        assert one.at.startswith("m.yaml:")
        assert one.fix


def test_which_files_are_manifests() -> None:
    assert is_manifest("apiVersion: v1\nkind: Pod\n")
    assert is_manifest("# nothing\n---\n")
    assert not is_manifest("model: gs://b/m\n")


def test_findings_as_sarif() -> None:
    whole = sarif(lint(guide()), "0.1.0")
    (run,) = whole["runs"]
    assert whole["version"] == "2.1.0"
    ids = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    for result in run["results"]:
        assert ids[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
        (place,) = result["locations"]
        assert place["physicalLocation"]["artifactLocation"]["uri"] in guide()
        assert place["physicalLocation"]["region"]["startLine"] >= 1
    (bare,) = sarif([Finding("what", "why", "fix")], "0")["runs"][0]["results"]
    assert "locations" not in bare
