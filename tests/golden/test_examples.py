"""Every example comes to what is checked in, and what Google's own matrix runs fits as Google runs it."""

from pathlib import Path

import pytest
import yaml
from tools import examples

from stoker.operate.plan import plan
from stoker.operate.render import rendered
from stoker.render.manifests import manifests as objects_of
from tests.support import manifests

# Model, GPU, ranks: Google's matrix of models and GPUs (AI on GKE, inference reference).
MATRIX = {
    "l4-gemma-3-1b": 1,
    "l4-gemma-3-27b": 8,
    "l4-qwen3-32b": 8,
    "h100-gemma-3-27b": 1,
    "h100-gpt-oss-20b": 1,
    "h100-qwen3-32b": 1,
    "h100-llama-3.3-70b": 4,
    "h100-llama-4-scout": 8,
    "h200-llama-3.3-70b": 4,
}
# What each way to serve is for: the kind that no cluster is without it, and the example that shows it.
SHOWN = {
    "l4-gemma-3-1b": "Deployment",
    "l4-gemma-3-27b": "Deployment",
    "multi-node-llama-3.1-405b": "LeaderWorkerSet",
    "weights-on-disk": "VolumeSnapshot",
    "gateway": "Role",
    "gateway-api": "InferencePool",
    "adapter": "Deployment",
    "scaled-queue-depth-stackdriver": "PodMonitoring",
    "scaled-queue-depth-prometheus": "PodMonitor",
    "scaled-batch-size-stackdriver": "PodMonitoring",
    "scaled-batch-size-prometheus": "PodMonitor",
    "scaled-five-prometheus": "PodMonitor",
    "scaled-autoscaling-metric": "AutoscalingMetric",
    "keda-to-zero": "ScaledObject",
}


@pytest.mark.parametrize("name", examples.names())
def test_it_comes_to_what_is_checked_in(name: str) -> None:
    folder = examples.EXAMPLES / name / "expected"
    here = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert here == examples.expected(name), "`make examples` writes it again; look at what changed"


@pytest.mark.parametrize("name", examples.names())
def test_a_strict_server_takes_its_manifests(name: str) -> None:
    manifests.check(objects_of(examples.decided(name)), manifests.RELEASES[-1:])


@pytest.mark.parametrize("name", examples.names())
def test_it_is_planned_and_rendered_with_no_network_and_no_token(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOKER_OFFLINE", "1")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    decided = plan(examples.spec_of(name))
    assert decided.kv_cache_tokens == examples.decided(name).kv_cache_tokens
    assert "catalog" in decided.warnings[0]
    _, files = rendered(examples.spec_of(name))
    told = {f"manifests/{file}" for file in files if file.endswith(".yaml")}
    assert told == {file for file in examples.expected(name) if file != "plan.json"}


@pytest.mark.parametrize(("name", "kind"), SHOWN.items())
def test_each_way_to_serve_has_an_example(name: str, kind: str) -> None:
    folder = Path(examples.EXAMPLES / name / "expected" / "manifests")
    found = [yaml.safe_load(path.read_text()) for path in folder.glob("*.yaml")]
    kinds = {body.get("kind") for body in found}  # the adapter's values are no object
    assert kind in kinds
    assert ("HorizontalPodAutoscaler" in kinds) == name.startswith("scaled")


@pytest.mark.parametrize(("name", "ranks"), MATRIX.items())
def test_what_google_runs_fits(name: str, ranks: int) -> None:
    found = examples.plan_of(name)
    assert found["tensor_parallel_size"] == ranks
    assert found["max_concurrency"] >= 1
