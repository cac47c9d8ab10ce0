"""What scales a fleet in a cluster: each metric over each back-end, and what each of them cannot serve."""

from typing import Any

import pytest
import yaml
from tests import models
from tests.golden.cases import BASE, CASES, GROUP, SCALED
from tests.support.manifests import one, plan_of, rendered

from stoker.errors import SpecError, UsageError
from stoker.render.gcloud import calls
from stoker.render.manifests import choose
from stoker.render.manifests.adapter import adapter_rules
from stoker.render.manifests.keda import query
from stoker.render.manifests.monitoring import promise, scope
from stoker.render.manifests.scaling import METRICS, known, of_trigger, quantity
from stoker.render.panels import panels
from stoker.render.rules import groups
from stoker.spec import load

GATEWAY = "routing: gateway, image: 'registry.example/stoker:1'"


def scaled(metrics: str, kubernetes: str, replicas: str = "1..5") -> str:
    more = f"replicas: {replicas}\nscaling: {{metrics: {{{metrics}}}}}\n"
    return f"{BASE}{more}kubernetes: {{{kubernetes}}}\n"


def asked(text: str) -> dict[str, tuple[str, str]]:
    """What the HPA asks for: the type and the target of each name."""
    out = {}
    for metric in one(rendered(text), "HorizontalPodAutoscaler")["spec"]["metrics"]:
        part = metric[metric["type"].lower()]
        out[part["metric"]["name"]] = (metric["type"], part["target"]["averageValue"])
    return out


def test_the_stackdriver_adapter_has_gauges_and_the_gateways_count() -> None:
    text = scaled("queue-depth: 5, batch-size: 100, kv-cache: 80%, in-flight: 16", GATEWAY)
    prefix = "prometheus.googleapis.com|"
    assert asked(text) == {
        f"{prefix}vllm:num_requests_waiting|gauge": ("Pods", "5"),
        f"{prefix}vllm:num_requests_running|gauge": ("Pods", "100"),
        f"{prefix}vllm:kv_cache_usage_perc|gauge": ("Pods", "800m"),
        f"{prefix}stoker_gateway_requests|gauge": ("External", "16"),
    }


def test_the_prometheus_adapter_has_all_five_with_a_rule_for_each() -> None:
    text, config = CASES["scaled-five-prometheus"]
    wanted = asked(text)
    assert wanted == {
        "vllm_num_requests_waiting": ("Pods", "5"),
        "vllm_num_requests_running": ("Pods", "12500m"),
        "vllm_kv_cache_usage_perc": ("Pods", "800m"),
        "vllm_time_to_first_token_seconds": ("Pods", "500m"),
        "stoker_gateway_requests": ("External", "16"),
    }
    rules = yaml.safe_load(adapter_rules(choose(plan_of(text, config))) or "")["rules"]
    served = {"Pods": rules["custom"], "External": rules["external"]}
    for name, (type_, _) in wanted.items():
        assert [rule for rule in served[type_] if rule["name"]["as"] == name], name
    ttft = next(rule["metricsQuery"] for rule in rules["custom"] if "first_token" in rule["name"]["as"])
    assert "rate(vllm:time_to_first_token_seconds_sum{<<.LabelMatchers>>}[1m])" in ttft
    assert ttft.endswith("* 0"), "0 where no first token was"


@pytest.mark.parametrize("case", ["scaled-keda", "scaled-autoscaling-metric", "scaled"])
def test_the_adapters_rules_are_for_the_adapter_alone(case: str) -> None:
    assert adapter_rules(choose(plan_of(*CASES[case]))) is None


def test_external_figures_are_of_this_cluster_and_this_fleet() -> None:
    def labels(context: str) -> Any:
        text = scaled("in-flight: 16", f"{context}{GATEWAY}")
        (metric,) = one(rendered(text), "HorizontalPodAutoscaler")["spec"]["metrics"]
        return metric["external"]["metric"]["selector"]["matchLabels"]

    fleet = {"resource.labels.namespace": "default", "metric.labels.gateway": "shop"}
    assert labels("") == fleet
    assert labels("context: other, ") == fleet
    place = {"resource.labels.cluster": "prod_2", "resource.labels.location": "us-east4"}
    assert labels("context: gke_acme_us-east4_prod_2, ") == fleet | place


def test_gke_reads_the_gauges_of_the_pods_that_are_scaled() -> None:
    objects = rendered(*CASES["scaled-autoscaling-metric"])
    (exposed,) = one(objects, "AutoscalingMetric")["spec"]["metrics"]
    (container,) = exposed["pod"]["containers"]
    assert container["endpoint"] == {"port": 8000, "path": "/metrics"}
    gauges = {row["gauge"]["name"]: row["gauge"]["prometheusMetricName"] for row in container["metrics"]}
    assert gauges == {name: METRICS[name] for name in ("queue-depth", "kv-cache")}
    hpa = one(objects, "HorizontalPodAutoscaler")["spec"]
    names = [metric["pods"]["metric"]["name"] for metric in hpa["metrics"]]
    assert names == [f"autoscaling.gke.io|shop|{name}" for name in gauges]
    policy = one(objects, "NetworkPolicy", "shop-engine")["spec"]["ingress"]
    assert any("kube-system" in str(rule["from"]) and "gmp-system" in str(rule["from"]) for rule in policy)


def test_keda_asks_the_server_for_sums_over_this_fleet_alone() -> None:
    objects = rendered(*CASES["scaled-keda"])
    assert not [o for o in objects if o.kind == "HorizontalPodAutoscaler"], "KEDA makes its own"
    body = one(objects, "ScaledObject")
    assert body["spec"]["fallback"] == {"failureThreshold": 3, "replicas": 3}
    assert "scaleDown" in body["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert "cooldownPeriod" not in body["spec"], "of no use above 0, and KEDA's webhook says so"
    triggers = body["spec"]["triggers"]
    assert [trigger["name"] for trigger in triggers] == list(METRICS)
    for trigger in triggers:
        metadata = trigger["metadata"]
        assert trigger["metricType"] == "AverageValue"
        assert metadata["serverAddress"] == "http://prometheus-operated.monitoring.svc:9090"
        assert metadata["query"].startswith("sum("), "AverageValue divides it by the replicas"
        whose = "gateway" if trigger["name"] == "in-flight" else "fleet"
        assert f'{{namespace="default",{whose}="shop"}}' in metadata["query"]
        assert metadata["ignoreNullValues"] == "false", "no answer is no 0 by which replicas would go"
        assert "activationThreshold" not in metadata


def test_keda_goes_to_zero_and_comes_back_by_the_gateways_count() -> None:
    spec = one(rendered(*CASES["scaled-keda-to-zero"]), "ScaledObject")["spec"]
    assert (spec["minReplicaCount"], spec["pollingInterval"], spec["cooldownPeriod"]) == (0, 15, 300)
    assert spec["initialCooldownPeriod"] > 300 + 600, "the first replica is not taken away while it loads"
    assert "fallback" not in spec
    quiet = {trigger["name"]: trigger["metadata"]["ignoreNullValues"] for trigger in spec["triggers"]}
    assert quiet == {"in-flight": "false", "kv-cache": "true"}, "at 0 no engine can answer"
    assert {trigger["metadata"]["activationThreshold"] for trigger in spec["triggers"]} == {"0"}


def test_a_share_is_averaged_and_a_time_is_a_mean() -> None:
    cluster = choose(plan_of(*CASES["scaled-keda"]))
    assert query(cluster, "kv-cache").startswith("sum(avg by (pod) (vllm:kv_cache_usage_perc{")
    ttft = query(cluster, "ttft")
    assert ttft.count("sum by (pod) (rate(") == 3
    assert "> 0) or sum by (pod)" in ttft


@pytest.mark.parametrize("scaler", ["hpa", "autoscaling-metric", "keda, metrics: prometheus"])
def test_groups_are_scaled_by_their_leaders(scaler: str) -> None:
    """Of the scale subresource only leaders are picked; what is scraped, or exposed, are leaders alone."""
    text = GROUP + SCALED + f"kubernetes: {{scaler: {scaler}}}\n"
    objects = rendered(text, models.LLAMA_70B)
    scaler_object = next(o.body for o in objects if o.kind in ("HorizontalPodAutoscaler", "ScaledObject"))
    target = {"apiVersion": "leaderworkerset.x-k8s.io/v1", "kind": "LeaderWorkerSet", "name": "big"}
    assert scaler_object["spec"]["scaleTargetRef"] == target
    leaders = ("leaderworkerset.sigs.k8s.io/worker-index", "0")
    picked = [o.body["spec"]["selector"]["matchLabels"] for o in objects if o.kind.startswith("PodMonitor")]
    picked += [
        o.body["spec"]["metrics"][0]["pod"]["selector"]["matchLabels"]
        for o in objects
        if o.kind == "AutoscalingMetric"
    ]
    assert all(leaders in labels.items() for labels in picked)
    assert len(picked) == (2 if scaler == "autoscaling-metric" else 1)


def test_the_gateways_page_is_scraped_without_what_it_says_of_engines() -> None:
    for case, kind, field in (
        ("gateway", "PodMonitoring", "endpoints"),
        ("scaled-five-prometheus", "PodMonitor", "podMetricsEndpoints"),
    ):
        body = one(rendered(*CASES[case]), kind, "shop-gateway")
        assert body["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"] == "gateway"
        (endpoint,) = body["spec"][field]
        (rule,) = endpoint.get("metricRelabeling") or endpoint["metricRelabelings"]
        assert (rule["action"], rule["regex"]) == ("keep", "stoker_gateway_.*")
        assert "to: fleet" not in yaml.safe_dump(body), "`up` of a gateway is that of no replica"
        policy = one(rendered(*CASES[case]), "NetworkPolicy", "shop-gateway")
        space = "gmp-system" if kind == "PodMonitoring" else "monitoring"
        assert space in str(policy["spec"]["ingress"]), "the scraper is let in"


@pytest.mark.parametrize(
    ("metrics", "kubernetes", "said", "fix"),
    [
        ("ttft: 1s", "surge: false", "the Stackdriver adapter serves none", "metrics: prometheus"),
        ("ttft: 1s", "metrics: stackdriver", "the Stackdriver adapter serves none", "scaler: keda"),
        ("ttft: 1s", "scaler: autoscaling-metric", "reads gauges only", "metrics: prometheus"),
        (
            "in-flight: 8",
            f"scaler: autoscaling-metric, {GATEWAY}",
            "in-flight is counted by the gateway's",
            "scaler: keda",
        ),
        ("in-flight: 8", "metrics: prometheus", "none stands in front of this fleet", "routing: gateway"),
        ("queue-depth: 5", "scaler: keda", "none is named", "keda: {server:"),
    ],
)
def test_what_a_back_end_cannot_serve(metrics: str, kubernetes: str, said: str, fix: str) -> None:
    with pytest.raises(SpecError, match=said) as raised:
        load(scaled(metrics, kubernetes), "f.yaml")
    assert fix in raised.value.finding.fix
    assert raised.value.finding.at.startswith("f.yaml:")


@pytest.mark.parametrize(
    "kubernetes", ["metrics: prometheus", "scaler: keda, keda: {server: 'http://p:9090'}"]
)
def test_time_to_first_token_where_prometheus_answers(kubernetes: str) -> None:
    assert rendered(scaled("ttft: 1s", kubernetes))


@pytest.mark.parametrize("scaler", ["hpa", "autoscaling-metric", "keda, keda: {server: 'http://p:9090'}"])
def test_no_scaler_goes_without_metrics(scaler: str) -> None:
    with pytest.raises(UsageError, match=r"kubernetes\.metrics is none"):
        rendered(scaled("queue-depth: 5", f"metrics: none, scaler: {scaler}"))


def test_an_hpa_to_zero_has_an_external_metric() -> None:
    spec = one(rendered(*CASES["scaled-to-zero"]), "HorizontalPodAutoscaler")["spec"]
    assert spec["minReplicas"] == 0
    assert "External" in {metric["type"] for metric in spec["metrics"]}


def test_names_that_an_adapter_gives_lead_back() -> None:
    assert known("prometheus.googleapis.com|vllm:kv_cache_usage_perc|gauge") == "kv-cache"
    assert known("vllm_time_to_first_token_seconds") == "ttft"
    assert known("autoscaling.gke.io|shop|batch-size") == "batch-size"
    assert known("stoker_gateway_requests") == "in-flight"
    assert [known(one) for one in ("s0-prometheus", "autoscaling.gke.io|shop|gpu", "x|y", "")] == [None] * 4
    notes = {"stoker/scaling-metrics": "queue-depth,in-flight"}
    assert of_trigger("s1-prometheus", notes) == "in-flight"
    assert [of_trigger(one, notes) for one in ("s2-prometheus", "sx", "")] == [None] * 3
    assert of_trigger("s0-prometheus", None) is None


def test_a_small_target_is_no_zero() -> None:
    assert quantity(0.0001) == "1m"


def test_dashboards_and_alerts_look_at_kedas_own_hpa() -> None:
    cluster = choose(plan_of(*CASES["scaled-keda"]))
    whose = scope(cluster)
    text = str(panels(whose)) + str(groups(whose, promise(cluster)))
    assert 'horizontalpodautoscaler="keda-hpa-shop"' in text
    assert 'horizontalpodautoscaler="shop"' not in text


@pytest.mark.parametrize(
    ("kubernetes", "granted"),
    [
        ("surge: false", True),
        ("scaler: autoscaling-metric", False),
        ("scaler: keda, keda: {server: 'http://p:9090'}", False),
    ],
)
def test_only_an_adapter_of_ours_is_granted_the_metrics(kubernetes: str, granted: bool) -> None:
    cluster = choose(plan_of(scaled("queue-depth: 5", kubernetes)))
    made = [call.argv for call in calls(cluster, "acme", "123")]
    assert any("roles/monitoring.viewer" in " ".join(argv) for argv in made) is granted
