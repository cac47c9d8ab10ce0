"""Objects that scale, with nothing wrong but what a test changes, and what `stoker lint` finds in them."""

import copy
import json
import re
from typing import Any

from stoker.advise.lint import lint
from stoker.catalog.rules import fill, variants
from stoker.findings import Finding

Body = dict[str, Any]
WAITING, RUNNING, CACHE = "vllm:num_requests_waiting", "vllm:num_requests_running", "vllm:kv_cache_usage_perc"
GMP = "prometheus.googleapis.com"


def pod(**more: Any) -> dict[str, Any]:
    """A Deployment with nothing wrong, changed."""
    container = {
        "name": "engine",
        "image": "vllm/vllm-openai:v0.32.0",
        "command": ["vllm", "serve", "/m"],
        "resources": {"limits": {"nvidia.com/gpu": 1}},
        "startupProbe": {"tcpSocket": {"port": 8000}, "failureThreshold": "{{ n }}"},  # long enough
        "readinessProbe": {"tcpSocket": {"port": 8000}},
        "livenessProbe": {"tcpSocket": {"port": 8000}},
        "lifecycle": {"preStop": {"sleep": {"seconds": 15}}},
        **more.pop("container", {}),
    }
    spec = {
        "terminationGracePeriodSeconds": 330,
        "enableServiceLinks": False,
        "securityContext": {"runAsNonRoot": True},
        "containers": [{k: v for k, v in container.items() if v is not None}],
        **more.pop("pod", {}),
    }
    strategy = {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    template = {
        "metadata": {"labels": {"app": "v"}},
        "spec": {k: v for k, v in spec.items() if v is not None},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "v"},
        "spec": {"strategy": strategy, "template": template, **more},
    }


BUDGET = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "v"}}


def args(*words: str, gpus: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "command": ["vllm", "serve", "/m", *words],
        "resources": {"limits": {"nvidia.com/gpu": gpus}},
        **more,
    }


def pods(name: str = WAITING, value: object = "5", **more: object) -> Body:
    """A metric of type Pods."""
    target = {"type": "AverageValue", "averageValue": value} | more
    return {"type": "Pods", "pods": {"metric": {"name": name}, "target": target}}


def external(name: str, how: str = "AverageValue", value: object = "5", **metric: object) -> Body:
    """A metric of type External."""
    key = "averageValue" if how == "AverageValue" else "value"
    return {
        "type": "External",
        "external": {"metric": {"name": name, **metric}, "target": {"type": how, key: value}},
    }


def cpu() -> Body:
    return {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}},
    }


def hpa(
    *metrics: Body, name: str = "v", kind: str = "Deployment", api: str = "apps/v1", **spec: object
) -> Body:
    """An HPA with nothing wrong, changed; a field of None is left out."""
    target = {"apiVersion": api, "kind": kind, "name": "v"}
    body: Body = {
        "scaleTargetRef": target,
        "maxReplicas": 3,
        "behavior": {},
        "metrics": list(metrics) or [pods()],
    }
    body |= spec
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name},
        "spec": {key: value for key, value in body.items() if value is not None},
    }


def keda(query: str | None = f"sum({WAITING})", threshold: str = "5", **spec: object) -> Body:
    """A ScaledObject with nothing wrong, changed; `how` is its trigger's metricType."""
    data: Body = {"serverAddress": "http://p:9090", "query": query, "threshold": threshold}
    trigger: Body = {"type": "prometheus", "metadata": data}
    if (how := spec.pop("how", None)) is not None:
        trigger["metricType"] = how
    slow = {"scaleUp": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 300}]}}
    behavior = spec.pop("behavior", slow)
    body: Body = {
        "scaleTargetRef": {"name": "v"},
        "minReplicaCount": 1,
        "maxReplicaCount": 3,
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": behavior}},
        "triggers": [trigger],
    } | spec
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": "v"},
        "spec": {key: value for key, value in body.items() if value is not None},
    }


def of(body: Body, **meta: object) -> Body:
    """The same with other metadata."""
    return body | {"metadata": body["metadata"] | meta}


def object_(kind: str, spec: Body, **meta: object) -> Body:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "x", **meta}, "spec": spec}


def quota(**hard: object) -> Body:
    return object_(
        "ResourceQuota",
        {"hard": {name.replace("gpu", "requests.nvidia.com/gpu"): hard[name] for name in hard}},
    )


def vertical(**spec: object) -> Body:
    return object_("VerticalPodAutoscaler", {"targetRef": {"kind": "Deployment", "name": "v"}, **spec})


def agent(name: str = WAITING, **gauge: object) -> Body:
    """GKE's AutoscalingMetric `x` with a metric `queue`."""
    metrics = [{"gauge": {"name": "queue", "prometheusMetricName": name, **gauge}}]
    container = {"endpoint": {"port": 8000, "path": "/metrics"}, "metrics": metrics}
    selector = {"matchLabels": {"app": "v"}}
    return object_(
        "AutoscalingMetric", {"metrics": [{"pod": {"selector": selector, "containers": [container]}}]}
    )


def rules(
    *names: str, default: bool = False, query: str = "sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)"
) -> Body:
    """The values of a Prometheus adapter's chart."""
    custom = [
        {"seriesQuery": f'{WAITING}{{pod!=""}}', "name": {"as": name}, "metricsQuery": query}
        for name in names
    ]
    return {"rules": {"default": default, "custom": custom}}


def alert(expr: str) -> Body:
    return object_("PrometheusRule", {"groups": [{"name": "g", "rules": [{"alert": "A", "expr": expr}]}]})


def recording(name: str) -> Body:
    return object_("PrometheusRule", {"groups": [{"name": "g", "rules": [{"record": name, "expr": "1"}]}]})


def down(window: int, **more: object) -> Body:
    return {"scaleDown": {"stabilizationWindowSeconds": window, **more}}


def up(value: int = 4, every: int = 15, **more: object) -> Body:
    return {"scaleUp": {"policies": [{"type": "Pods", "value": value, "periodSeconds": every}], **more}}


def slow_start(**more: Any) -> Body:
    """An engine whose start may take 20 minutes."""
    return pod(container={"startupProbe": {"tcpSocket": {"port": 8000}, "failureThreshold": 120}, **more})


def on(device: str, *words: str) -> Body:
    """An engine that is kept to a GPU."""
    return pod(container=args(*words), pod={"nodeSelector": {"cloud.google.com/gke-accelerator": device}})


def group(size: int = 2) -> Body:
    """A LeaderWorkerSet of pods with 8 GPUs each."""
    template = pod(container=args("--tensor-parallel-size", "8", gpus=8))["spec"]["template"]
    template["spec"]["volumes"] = [{"name": "s", "emptyDir": {"medium": "Memory", "sizeLimit": "9Gi"}}]
    template["spec"]["containers"][0]["volumeMounts"] = [{"name": "s", "mountPath": "/dev/shm"}]
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": "v"},
        "spec": {"leaderWorkerTemplate": {"size": size, "workerTemplate": template}},
    }


TOTAL = f"{GMP}|{WAITING}|gauge"
LWS = {"kind": "LeaderWorkerSet", "api": "leaderworkerset.x-k8s.io/v1"}
ENGINE = pod()
OTHER = pod(container={"image": "nginx:1.29", "command": ["nginx"]})
OLD = pod(container={"image": "vllm/vllm-openai:v0.10.2"})
RANGED = "sum(rate(vllm:generation_tokens_total[15m]))"

Case = tuple[str, str, list[Body], list[Body]]
IGNORED = {"lint-image-old"}  # of an old release, which is what a case is about


def found(bodies: list[Body]) -> list[Finding]:
    text = "---\n".join(json.dumps(body, indent=1) + "\n" for body in [*copy.deepcopy(bodies), BUDGET])
    return [one for one in lint({"m.yaml": text}) if one.rule not in IGNORED]


def is_variant(one: Finding, rule: str, case: str) -> bool:
    """Whether a finding is of that variant: by the parts of its headline that are no value."""
    row = next(row for row in variants(f"lint-{rule}") if row.case == case)
    pieces = [piece for piece in fill(row.what, dict.fromkeys(names(row.what), "\0")).split("\0") if piece]
    return one.rule == row.id and all(piece in one.what for piece in pieces) and one.severity == row.severity


def names(text: str) -> list[str]:
    return [piece.split("}")[0].split("|")[0] for piece in text.split("{")[1:]]


def check(rule: str, case: str, wrong: list[Body], right: list[Body]) -> None:
    """Asserts that a variant is found in the one, at its place and alone, and nothing in the other."""
    some = found(wrong)
    assert [one for one in some if is_variant(one, rule, case)], some
    assert {one.rule for one in some} == {f"lint-{rule}"}, some
    assert found(right) == []
    for one in some:
        file, line, column = one.at.rsplit(":", 2)
        assert (file, line.isdigit(), column.isdigit()) == ("m.yaml", True, True)
        assert not re.search(r"\{\w+\}", f"{one.what} {one.why} {one.fix}"), one


def ids(cases: list[Case]) -> list[str]:
    """A name for each."""
    return [f"{number}-{rule}-{case}" for number, (rule, case, _, _) in enumerate(cases)]
