"""Every spec that is taken renders objects that a strict API server takes."""

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests import models
from tests.support import manifests

from stoker.errors import StokerError

HARDWARE = st.sampled_from(
    ["l4:4", "l4", "h100-80gb", "a100-80gb:2", {"gpu": "h100-80gb", "count": 16}, "l40s:4", "mi300x", "t4"]
)
SOURCES = st.sampled_from(["gs://b/models/m", "gs://b", "s3://b/m", "hf://org/m"])
CLUSTER = st.fixed_dictionaries(
    {},
    optional={
        "platform": st.sampled_from(["gke", "plain"]),
        "namespace": st.sampled_from(["default", "ml-serve"]),
        "weights": st.sampled_from(
            ["disk", "gcsfuse", "stream", "hub", {"disk": "projects/p/zones/z/disks/d"}, {"disk": "d"}]
        ),
        "disk": st.fixed_dictionaries(
            {},
            optional={
                "type": st.sampled_from(["pd-ssd", "hyperdisk-ml"]),
                "size": st.just("300Gi"),
                "zones": st.sampled_from([[], ["a"], ["a", "b"]]),
                "storage_class": st.just("fast"),
                "snapshot_class": st.just("snaps"),
            },
        ),
        "metrics": st.sampled_from(["stackdriver", "prometheus", "none"]),
        "scaler": st.sampled_from(["hpa", "autoscaling-metric", "keda"]),
        "keda": st.fixed_dictionaries(
            {},
            optional={
                "server": st.just("http://prometheus.example:9090"),
                "polling": st.just("5s"),
                "cooldown": st.just("0s"),
                "fallback": st.just(2),
            },
        ),
        "service_account": st.just("mlp"),
        "capacity": st.lists(
            st.sampled_from(["on-demand", "spot", "flex-start", "reservation:r"]), max_size=3, unique=True
        ),
        "compute_class": st.just("gpus"),
        "surge": st.booleans(),
        "priority_class": st.just("high"),
        "node_selector": st.just({"pool": "a"}),
        "tolerations": st.just([{"key": "k", "operator": "Exists"}]),
        "labels": st.just({"team": "ml"}),
        "annotations": st.just({"fake/ready-seconds": "3"}),
        "network_policy": st.booleans(),
        "clients": st.just({"app": "web"}),
        "image": st.just("registry.example/stoker:1"),
        "logs": st.sampled_from(["text", "json"]),
        "routing": st.sampled_from(["service", "gateway", "gateway-api"]),
        "gateway": st.fixed_dictionaries(
            {},
            optional={
                "class_name": st.sampled_from(["gke-l7-rilb", "istio"]),
                "host": st.just("a.example"),
                "tls_secret": st.just("tls"),
                "proxies": st.just(["10.0.0.0/8"]),
            },
        ),
    },
)
METRICS: tuple[dict[str, Any] | None, ...] = (
    None,
    {"queue-depth": 5, "batch-size": 12.5},
    {"kv-cache": "80%"},
    {"ttft": "1s"},
    {"in-flight": 8, "kv-cache": 0.5},
)
SCALED: dict[str, Any] = {
    "behavior": {
        "scaleUp": {
            "selectPolicy": "Max",
            "policies": [{"type": "Percent", "value": 50, "periodSeconds": 30}],
        }
    },
}


EXAMPLES = 150
FLOOR = 45  # of them at least so many render: fewer, and the strategies ask for what nobody may ask for


class Counted:
    """How many of the generated specs were tried, and how many of them rendered."""

    tried = rendered = 0


def test_every_spec_renders_valid_manifests() -> None:
    Counted.tried = Counted.rendered = 0
    every_spec_renders_valid_manifests()
    assert Counted.tried >= EXAMPLES
    assert Counted.rendered >= FLOOR, (
        f"{Counted.rendered} of {Counted.tried} rendered: the others prove little"
    )


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    hardware=HARDWARE,
    source=SOURCES,
    cluster=CLUSTER,
    scaled=st.sampled_from(METRICS),
    key=st.sampled_from([None, "env:KEY", "secret:keys/api"]),
    read=st.booleans(),
    adapters=st.booleans(),
    objectives=st.booleans(),
)
def every_spec_renders_valid_manifests(
    hardware: Any,
    source: str,
    cluster: dict[str, Any],
    scaled: dict[str, Any] | None,
    key: str | None,
    read: bool,
    adapters: bool,
    objectives: bool,
) -> None:
    spec: dict[str, Any] = {
        "name": "f",
        "model": {"source": source, "token": "secret:hub/token"},
        "hardware": hardware,
        "engine": {"max-model-len": "4K"},
        "target": "kubernetes",
        "kubernetes": cluster,
    }
    if adapters:
        spec["model"]["adapters"] = {"sql": source}
    if scaled:
        low = 0 if "in-flight" in scaled else 1
        spec |= {"replicas": f"{low}..5", "scaling": {**SCALED, "metrics": scaled}}
    if objectives:
        spec["slo"] = {"ttft": "500ms", "itl": "50ms"}
    if key:
        spec["endpoint"] = {"api_key": key}
    Counted.tried += 1
    try:
        objects = manifests.rendered(json.dumps(spec), models.LLAMA_70B if read else None)
    except StokerError as error:
        assert error.finding.why  # noqa: PT017
        return
    Counted.rendered += 1
    manifests.check(objects, manifests.RELEASES[-1:])
    text = "".join(one.text() for one in objects)
    assert "secret:keys" not in text
    assert "secret:hub" not in text
    assert "env:KEY" not in text
    scalers = [o for o in objects if o.kind in ("HorizontalPodAutoscaler", "ScaledObject")]
    assert len(scalers) == (scaled is not None)
