"""Specs whose manifests are checked in: one base a strategy, and one for each other choice changed alone."""

from typing import Any

from tests import models

BASE = """
name: shop
model: {source: gs://acme-models/gemma-3-27b-ft, served_name: gemma-ft}
hardware: l4:4
engine: {max-model-len: 32K}
target: kubernetes
"""
SINGLE = """
name: chat
model: gs://acme-models/llama-3.1-8b-ft
hardware: l4
engine: {max-model-len: 8K}
target: kubernetes
"""
GROUP = """
name: big
model: hf://meta-llama/Llama-3.1-70B-Instruct
hardware: {gpu: h100-80gb, count: 16, machine: a3-highgpu-8g}
strategy: multi-node
engine: {max-model-len: 32K}
target: kubernetes
"""
SCALED = (
    "replicas: 1..5\nscaling: {metrics: {queue-depth: 5}, behavior: {scaleDown: "
    "{stabilizationWindowSeconds: 300, policies: [{type: Pods, value: 1, periodSeconds: 60}]}}}\n"
)
WITH_GATEWAY = "routing: gateway, image: 'registry.example/stoker:1'"
BEHAVIOR = "behavior: {scaleDown: {policies: [{type: Pods, value: 1, periodSeconds: 60}]}}"
FIVE = (
    "replicas: 1..5\nscaling: {metrics: {queue-depth: 5, batch-size: 12.5, kv-cache: 80%, ttft: 500ms, "
    "in-flight: 16}}\n"
)
CASES: dict[str, tuple[str, dict[str, Any] | None]] = {
    "single-gpu": (SINGLE, models.LLAMA_8B),
    "tensor-parallel": (BASE, models.GEMMA3_27B),
    "multi-node": (GROUP, models.LLAMA_70B),
    "multi-node-scaled": (GROUP + SCALED, models.LLAMA_70B),
    "scaled": (BASE + SCALED, models.GEMMA3_27B),
    "scaled-prometheus": (
        BASE
        + SCALED.replace("queue-depth: 5", "queue-depth: 5, batch-size: 12.5")
        + "kubernetes: {metrics: prometheus}\n",
        models.GEMMA3_27B,
    ),
    "scaled-five-prometheus": (
        BASE + FIVE + f"kubernetes: {{metrics: prometheus, {WITH_GATEWAY}}}\n",
        models.GEMMA3_27B,
    ),
    "scaled-in-flight-stackdriver": (
        BASE
        + "replicas: 1..5\nscaling: {metrics: {kv-cache: 0.8, in-flight: 16}}\n"
        + f"kubernetes: {{context: gke_acme_us-east4_serving, {WITH_GATEWAY}}}\n",
        models.GEMMA3_27B,
    ),
    "scaled-autoscaling-metric": (
        BASE
        + "replicas: 1..5\nscaling: {metrics: {queue-depth: 5, kv-cache: 80%}}\n"
        + "kubernetes: {scaler: autoscaling-metric}\n",
        models.GEMMA3_27B,
    ),
    "multi-node-autoscaling-metric": (
        GROUP + SCALED + "kubernetes: {scaler: autoscaling-metric}\n",
        models.LLAMA_70B,
    ),
    "scaled-keda": (
        BASE
        + FIVE.replace("in-flight: 16}", f"in-flight: 16}}, {BEHAVIOR}")
        + f"kubernetes: {{scaler: keda, metrics: prometheus, keda: {{fallback: 3}}, {WITH_GATEWAY}}}\n",
        models.GEMMA3_27B,
    ),
    "scaled-keda-to-zero": (
        BASE
        + "replicas: 0..4\nscaling: {metrics: {in-flight: 16, kv-cache: 80%}}\n"
        + f"kubernetes: {{scaler: keda, keda: {{server: 'http://frontend.gmp:9090'}}, {WITH_GATEWAY}}}\n",
        models.GEMMA3_27B,
    ),
    "scaled-to-zero": (
        BASE
        + "replicas: 0..4\nscaling: {metrics: {in-flight: 16}}\n"
        + f"kubernetes: {{metrics: prometheus, {WITH_GATEWAY}}}\n",
        models.GEMMA3_27B,
    ),
    "multi-node-keda": (
        GROUP + SCALED + "kubernetes: {scaler: keda, metrics: prometheus}\n",
        models.LLAMA_70B,
    ),
    "operator": (
        BASE + "kubernetes: {metrics: prometheus, monitoring: {namespace: observability, labels: {release: "
        "kube-prometheus-stack}}}\n",
        models.GEMMA3_27B,
    ),
    "plain": (BASE + "kubernetes: {platform: plain, node_selector: {gpu: l4}}\n", models.GEMMA3_27B),
    "weights-gcsfuse": (BASE + "kubernetes: {weights: gcsfuse}\n", models.GEMMA3_27B),
    "weights-stream": (BASE + "kubernetes: {weights: stream}\n", models.GEMMA3_27B),
    "weights-hub": (
        BASE.replace("gs://acme-models/gemma-3-27b-ft", "hf://google/gemma-3-27b-it").replace(
            "served_name: gemma-ft", "token: secret:hub/token"
        )
        + "replicas: 2\n",
        models.GEMMA3_27B,
    ),
    "weights-hub-on-disk": (
        BASE.replace("gs://acme-models/gemma-3-27b-ft", "hf://google/gemma-3-27b-it")
        + "kubernetes: {weights: disk}\n",
        models.GEMMA3_27B,
    ),
    "existing-disk": (
        BASE + "kubernetes: {weights: {disk: projects/acme/zones/us-east4-a/disks/models-v1}}\n",
        models.GEMMA3_27B,
    ),
    "hyperdisk-zones": (
        BASE + "kubernetes: {disk: {type: hyperdisk-ml, zones: [us-east4-a, us-east4-c]}}\n",
        models.GEMMA3_27B,
    ),
    "own-classes": (
        BASE + "kubernetes: {disk: {storage_class: fast, snapshot_class: snaps, size: 200Gi}}\n",
        models.GEMMA3_27B,
    ),
    "disk-machine": (BASE.replace("l4:4", "b200:1"), models.GEMMA3_27B),
    "existing-disk-zones": (
        BASE + "kubernetes: {weights: {disk: projects/acme/zones/multi-zone/disks/models-v1}, disk: {zones: "
        "[us-east4-a, us-east4-c]}}\n",
        models.GEMMA3_27B,
    ),
    "weights-hub-surge": (
        BASE.replace("gs://acme-models/gemma-3-27b-ft", "hf://google/gemma-3-27b-it").replace(
            "l4:4", "b200:1"
        )
        + "kubernetes: {surge: true}\n",
        models.GEMMA3_27B,
    ),
    "adapters": (
        SINGLE.replace(
            "model: gs://acme-models/llama-3.1-8b-ft",
            "model: {source: gs://acme-models/llama-3.1-8b-ft, adapters: {sql: gs://acme-models/sql-lora}}",
        ),
        models.LLAMA_8B,
    ),
    "capacity": (
        BASE + "kubernetes: {capacity: ['reservation:gpus', on-demand, flex-start, spot], surge: true}\n",
        models.GEMMA3_27B,
    ),
    "compute-class": (BASE + "kubernetes: {compute_class: gpus}\n", models.GEMMA3_27B),
    "api-key": (BASE + "endpoint: {api_key: 'env:SHOP_KEY', port: 9000}\n", models.GEMMA3_27B),
    "own-account": (BASE + "kubernetes: {service_account: mlp, namespace: ml-serve}\n", models.GEMMA3_27B),
    "pods": (
        BASE + "kubernetes: {labels: {team: ml}, annotations: {a/b: c}, tolerations: [{key: x, operator: "
        "Exists}], priority_class: high}\n",
        models.GEMMA3_27B,
    ),
    "clients": (BASE + "kubernetes: {clients: {app: web}, metrics: none}\n", models.GEMMA3_27B),
    "no-network-policy": (BASE + "kubernetes: {network_policy: false}\n", models.GEMMA3_27B),
    "gateway": (
        BASE
        + "replicas: 2\nendpoint: {api_key: 'secret:shop-api/key'}\nkubernetes: {routing: gateway, image: "
        "'registry.example/stoker:1'}\n",
        models.GEMMA3_27B,
    ),
    "gateway-api": (
        BASE + "kubernetes: {routing: gateway-api, gateway: {proxies: [10.129.0.0/23]}}\n",
        models.GEMMA3_27B,
    ),
    "gateway-api-public": (
        BASE + "endpoint: {api_key: 'secret:shop-api/key'}\nkubernetes: {routing: gateway-api, gateway: "
        "{class_name: gke-l7-regional-external-managed, proxies: [10.129.0.0/23], host: shop.example, "
        "tls_secret: shop-tls}}\n",
        models.GEMMA3_27B,
    ),
    "gateway-api-plain": (
        BASE + "kubernetes: {platform: plain, node_selector: {gpu: l4}, routing: gateway-api, gateway: "
        "{class_name: internal}}\n",
        models.GEMMA3_27B,
    ),
    "page": (BASE + "kubernetes: {image: 'registry.example/stoker:1'}\n", models.GEMMA3_27B),
    "gateway-clients-page": (
        BASE
        + "kubernetes: {routing: gateway, image: 'registry.example/stoker:1', clients: {app: web}, logs: "
        "json}\n",
        models.GEMMA3_27B,
    ),
    "copy-class": (BASE + "kubernetes: {disk: {copy_class: fast}}\n", models.GEMMA3_27B),
    "weights-stream-s3": (BASE.replace("gs://", "s3://"), models.GEMMA3_27B),
    "objectives": (BASE + "slo: {ttft: 500ms, itl: 50ms}\n", models.GEMMA3_27B),
    "objectives-prometheus": (
        BASE + "slo: {ttft: 500ms, itl: 50ms}\nkubernetes: {metrics: prometheus}\n",
        models.GEMMA3_27B,
    ),
    "traces": (
        BASE.replace("32K", "32K, otlp-traces-endpoint: 'https://otel.example/v1/traces'"),
        models.GEMMA3_27B,
    ),
    "unread-model": (BASE, None),
    "simulated": (
        "name: sim\ntarget: kubernetes\nreplicas: 2\nengine: {kind: simulated, image: "
        "'registry.example/stoker:1'}\n",
        None,
    ),
}
