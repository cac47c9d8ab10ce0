"""`stoker lint` on objects of operators: what is read is held against the rules, what is not is said."""

import json
from typing import Any

import pytest

from stoker.advise.lint import lint

ENGINE: dict[str, Any] = {
    "name": "main",
    "image": "vllm/vllm-openai:v0.32.0",
    "args": ["/m", "--swap-space=4", "-tp=4"],
    "env": [{"name": "HF_TOKEN", "value": "hf_abc"}],
    "resources": {"limits": {"nvidia.com/gpu": "1"}},
}
ALL = {"lint-not-read", "lint-option", "lint-ranks", "lint-secret-value"}
TOKEN = {"lint-not-read", "lint-secret-value"}
POD = {"containers": [ENGINE]}
RAY = {"headGroupSpec": {"template": {"spec": {"containers": [ENGINE | {"command": ["ray", "start"]}]}}}}
MODEL = {"modelFormat": {"name": "huggingface"}, **{key: ENGINE[key] for key in ("args", "env", "resources")}}

CASES: list[tuple[str, str, dict[str, Any], set[str]]] = [
    ("serving.kserve.io/v1beta1", "InferenceService", {"predictor": POD}, ALL),
    ("serving.kserve.io/v1beta1", "InferenceService", {"predictor": {"model": MODEL}}, ALL),
    ("serving.kserve.io/v1beta1", "InferenceService",
     {"predictor": {"model": MODEL | {"modelFormat": {"name": "sklearn"}}}}, TOKEN),
    ("serving.kserve.io/v1alpha1", "ClusterServingRuntime", POD, ALL),
    ("serving.kserve.io/v1alpha1", "LLMInferenceService",
     {"parallelism": {"tensor": 4}, "template": {"containers": [ENGINE | {"args": []}]}},
     TOKEN | {"lint-ranks"}),
    ("ray.io/v1", "RayService", {"serveConfigV2": "a: 1", "rayClusterConfig": RAY}, TOKEN),
    ("ray.io/v1", "RayCluster", RAY, TOKEN),
    ("kubeai.org/v1", "Model", {"engine": "VLLM", "url": "hf://a/b", "resourceProfile": "nvidia-gpu-l4:1",
                               "args": ENGINE["args"], "env": {"HF_TOKEN": "hf_abc"}}, ALL),
    ("orchestration.aibrix.ai/v1alpha1", "StormService",
     {"template": {"spec": {"roles": [{"template": {"spec": POD}}]}}}, ALL),
    ("production-stack.vllm.ai/v1alpha1", "VLLMRuntime",
     {"model": {"modelURL": "a/b"}, "vllmConfig": {"tensorParallelSize": 4, "extraArgs": ["--swap-space=4"],
                                                   "env": ENGINE["env"]},
      "deploymentConfig": {"image": {"name": ENGINE["image"]}, "resources": {"gpu": "1"}}}, ALL),
    ("apps.nvidia.com/v1alpha1", "NIMService", {"image": {"repository": "a"}}, {"lint-not-read"}),
    ("inference.networking.k8s.io/v1", "InferencePool", {"targetPortNumber": 8000}, set()),
]  # fmt: skip


@pytest.mark.parametrize(("api", "kind", "spec", "rules"), CASES, ids=[row[1] for row in CASES])
def test_an_operators_object(api: str, kind: str, spec: dict[str, Any], rules: set[str]) -> None:
    body = {"apiVersion": api, "kind": kind, "metadata": {"name": "x"}, "spec": spec}
    assert {one.rule for one in lint({"m.yaml": json.dumps(body)}) if one.rule != "lint-release"} == rules


def test_options_in_a_config_file_of_a_config_map() -> None:
    held = {"c.yaml": "swap-space: 4\ntensor-parallel-size: 4"}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": held}
    engine = ENGINE | {"args": ["/m", "--config", "/etc/c.yaml"], "env": []}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x"},
           "spec": {"template": {"spec": {"containers": [engine], "hostIPC": True}}}}  # fmt: skip
    found = {one.rule for one in lint({"m.yaml": json.dumps(job), "c.yaml": json.dumps(config)})}
    assert found == {"lint-option", "lint-ranks", "lint-root"}
    assert "lint-ranks" not in {one.rule for one in lint({"m.yaml": json.dumps(job)})}


def test_a_native_sidecar_runs_the_engine() -> None:
    before = [ENGINE | {"restartPolicy": "Always"}, ENGINE]
    pod = {"initContainers": before, "containers": [{"name": "p", "image": "a:1"}]}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": pod}
    found = [one for one in lint({"m.yaml": json.dumps(body)}) if one.rule == "lint-ranks"]
    assert len(found) == 1, "what runs before the others is no server"
