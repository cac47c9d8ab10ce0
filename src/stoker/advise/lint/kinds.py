"""Where pods stand in objects of every kind: the core's workloads, and those of operators that serve models.

What an operator completes (probes, ports, the number of pods) is not held against the object.
Sources: the operators' API references (KServe v1beta1 and v1alpha1, KubeRay v1, KubeAI v1, vLLM's production
stack v1alpha1, AIBrix v1alpha1, LeaderWorkerSet v1).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from stoker.advise.lint.reading import Manifest, Path
from stoker.advise.lint.values import listed, table, text

WORKLOADS = (
    "Deployment", "StatefulSet", "ReplicaSet", "DaemonSet", "LeaderWorkerSet", "Job", "Pod", "Rollout",
    "ReplicationController",
)  # fmt: skip
Role = Literal["server", "worker", "batch", "managed"]
LWS = "leaderworkerset.sigs.k8s.io"
_BATCH = ("Job", "CronJob")
_DEEP = 9
# API groups of what serves models or runs pods by an operator of its own: read in part, or not at all.
OPERATORS = (
    "serving.kserve.io", "ray.io", "kubeai.org", "aibrix.ai", "production-stack.vllm.ai", "llm-d.ai",
    "nvidia.com", "ome.io", "jobset.x-k8s.io", "kaito.sh", "seldon.io", "substratus.ai", "bentoml",
    "kubeflow.org", "argoproj.io", "fluid.io", "volcano.sh", "serving.knative.dev", "inference.k8s.io",
    "tekton.dev", "modelmesh", "dynamo",
)  # fmt: skip
# Kinds of those that hold no pod and no command line.
_PLAIN = frozenset(
    {"InferencePool", "InferenceModel", "InferenceObjective", "HTTPRoute", "Gateway", "EndpointPickerConfig"}
    | {"InferenceModelRewrite", "CustomResourceDefinition", "Application", "AppProject", "ServiceMonitor"}
    | {"ModelAdapter", "LoraAdapter", "VariantAutoscaling", "PodAutoscaler", "ClusterPolicy", "Queue"}
)


@dataclass(frozen=True, slots=True)
class Pods:
    """One pod template. at: the path of its spec. template: the path of what holds its labels.

    role: `server` for pods that clients ask, `worker` for ranks behind another pod, `batch` for those that
    end, `managed` where an operator adds what is missing. count: pods of it in one replica.
    """

    at: Path
    spec: Mapping[str, Any]
    template: Path
    role: Role
    labels: Mapping[str, Any]
    count: int = 1


def pods(one: Manifest) -> list[Pods]:
    """The pod templates of an object, with their paths."""
    if one.kind == "Pod":
        return _at(one, (), ("spec",), "server")
    if one.kind == "CronJob":
        path: Path = ("spec", "jobTemplate", "spec", "template")
        return _at(one, path, (*path, "spec"), "batch")
    if one.kind == "LeaderWorkerSet":
        return _group(one)
    if one.kind in WORKLOADS:
        path = ("spec", "template")
        return _at(one, path, (*path, "spec"), "batch" if one.kind in _BATCH else "server")
    if operated(one) and one.kind not in _PLAIN:
        return [*_searched(one.body, (), _DEEP), *_models(one)]
    return []


def operated(one: Manifest) -> bool:
    """Whether an object is an operator's that runs pods by itself."""
    group = text(one.get("apiVersion")).partition("/")[0]
    return any(name in group for name in OPERATORS)


def unread(one: Manifest) -> str:
    """What of an operator's object is not read, in words; empty where all of it is, or it holds no engine."""
    if not operated(one) or one.kind in _PLAIN:
        return ""
    if one.kind in ("RayService", "RayCluster", "RayJob"):
        return "its pods are; serveConfigV2 and what Ray Serve starts in them are not"
    if one.kind == "InferenceService":
        return "its containers are; what its ServingRuntime adds is not"
    if one.kind in (
        "LLMInferenceService",
        "LLMInferenceServiceConfig",
        "ServingRuntime",
        "ClusterServingRuntime",
    ):
        return "its containers are; what its configuration or its InferenceService adds is not"
    if one.kind in ("Model", "VLLMRuntime") and _models(one):
        return "its engine's options are; the pods that the operator makes of it are not"
    return "the pods that its operator makes are not checked" if pods(one) else "nothing in it is"


def _at(one: Manifest, template: Path, path: Path, role: Role, count: int = 1) -> list[Pods]:
    spec = one.get(*path)
    if not isinstance(spec, dict) or not spec:
        return []
    labels = table(table(one.get(*template, "metadata")).get("labels"))
    return [Pods(path, spec, template, role, labels, count)]


def _group(one: Manifest) -> list[Pods]:
    """A LeaderWorkerSet: without a template of its own the leader is one of the workers."""
    base: Path = ("spec", "leaderWorkerTemplate")
    size = one.get(*base, "size", default=1)
    size = size if isinstance(size, int) and not isinstance(size, bool) and size > 0 else 1
    leader, worker = (*base, "leaderTemplate"), (*base, "workerTemplate")
    first = _at(one, leader, (*leader, "spec"), "server")
    return [*first, *_at(one, worker, (*worker, "spec"), "worker", size - bool(first))]


def _searched(value: Any, path: Path, deep: int) -> Iterator[Pods]:
    """Every map with containers in it."""
    if deep == 0:
        return
    if isinstance(value, dict):
        found = value.get("containers")
        if isinstance(found, list) and any(isinstance(one, dict) for one in found):
            yield Pods(path, value, path[:-1], "managed", {})
            return
        for key, inner in value.items():
            yield from _searched(inner, (*path, key), deep - 1)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _searched(inner, (*path, index), deep - 1)


def _models(one: Manifest) -> list[Pods]:
    """Kinds that name an engine's options without a container."""
    made: dict[str, Any] | None = None
    path: Path = ("spec",)
    if one.kind == "Model" and "kubeai" in text(one.get("apiVersion")):
        made = _kubeai(one)
    elif one.kind == "VLLMRuntime":
        made = _runtime(one)
    elif one.kind == "InferenceService" and one.get("spec", "predictor", "model"):
        made, path = _predictor(table(one.get("spec", "predictor", "model"))), ("spec", "predictor", "model")
    elif one.kind.startswith("LLMInferenceService"):
        return [*_llm(one, ("spec",)), *_llm(one, ("spec", "prefill"))]
    return [Pods(path, {"containers": [made]}, path, "managed", {})] if made else []


def _predictor(model: Mapping[str, Any]) -> dict[str, Any]:
    """KServe's model: its runtime's arguments, which are vLLM's too where that serves it."""
    named = f"{table(model.get('modelFormat')).get('name')} {model.get('runtime')}".lower()
    serves = any(name in named for name in ("vllm", "huggingface"))
    return {**model, "name": "model", "command": ["vllm", "serve", "MODEL"] if serves else ["the runtime's"]}


def _llm(one: Manifest, path: Path) -> list[Pods]:
    """KServe's LLMInferenceService: its own configuration starts vLLM, with these sizes."""
    sizes = table(one.get(*path, "parallelism"))
    inside = listed(one.get(*path, "template", "containers"))
    main = next((c for c in inside if table(c).get("name") == "main"), None)
    if not isinstance(main, dict) or main.get("command"):
        return []
    names = {"tensor": "tensor-parallel-size", "pipeline": "pipeline-parallel-size"}
    words = [f"--{names[key]}={value}" for key, value in sizes.items() if key in names]
    env = {text(table(e).get("name")): table(e).get("value") for e in listed(main.get("env"))}
    script = " ".join(["vllm serve MODEL", *words, text(env.get("VLLM_ADDITIONAL_ARGS"))])
    at: Path = (*path, "template")
    made = {**main, "command": ["sh", "-c", script], "args": listed(main.get("args"))}
    return [Pods(at, {"containers": [made]}, at, "managed", {})]


def _kubeai(one: Manifest) -> dict[str, Any] | None:
    """KubeAI's Model: options of `vllm serve`, variables in a map, GPUs by the name of a profile."""
    spec = table(one.get("spec"))
    if text(spec.get("engine")) != "VLLM":
        return None
    profile, _, count = text(spec.get("resourceProfile")).partition(":")
    limits = {"nvidia.com/gpu": count or "1"} if "gpu" in profile and "cpu" not in profile else {}
    env = [{"name": name, "value": value} for name, value in table(spec.get("env")).items()]
    return {
        "name": "server",
        "image": text(spec.get("image")),
        "command": ["vllm", "serve", "MODEL"],
        "args": listed(spec.get("args")),
        "env": env,
        "resources": {"limits": limits or {"x/gpu": "unknown"}},
    }


def _runtime(one: Manifest) -> dict[str, Any]:
    """The production stack's VLLMRuntime: options under names of its own."""
    config, given = table(one.get("spec", "vllmConfig")), table(one.get("spec", "deploymentConfig"))
    names = {"tensorParallelSize": "tensor-parallel-size", "maxModelLen": "max-model-len", "dtype": "dtype"}
    names |= {"maxNumSeqs": "max-num-seqs", "gpuMemoryUtilization": "gpu-memory-utilization"}
    words = [f"--{names[key]}={value}" for key, value in config.items() if key in names]
    image, resources = table(given.get("image")), table(given.get("resources"))
    name = "/".join(filter(None, (text(image.get("registry")), text(image.get("name")))))
    gpu = {"nvidia.com/gpu": resources["gpu"]} if "gpu" in resources else {}
    return {
        "name": "vllm",
        "image": name,
        "command": ["vllm", "serve", text(one.get("spec", "model", "modelURL"))],
        "args": [*words, *listed(config.get("extraArgs"))],
        "env": listed(config.get("env")),
        "resources": {"limits": gpu},
    }


def labels_of(one: Manifest) -> list[dict[str, Any]]:
    """The labels of its pods: those of the templates, and those that a LeaderWorkerSet adds."""
    return [_labels(one, pod) for pod in pods(one) if pod.role != "managed"]


def _labels(one: Manifest, pod: Pods) -> dict[str, Any]:
    labels = dict(table(one.get("metadata", "labels")) if one.kind == "Pod" else pod.labels)
    if one.kind == "Job":
        labels |= {"job-name": one.name, "batch.kubernetes.io/job-name": one.name}
    if one.kind == "LeaderWorkerSet":
        labels[f"{LWS}/name"] = one.name
        if "leaderTemplate" in pod.at or not one.get("spec", "leaderWorkerTemplate", "leaderTemplate"):
            labels[f"{LWS}/worker-index"] = "0"
    return labels
