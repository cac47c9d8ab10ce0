"""The way of a metric to what scales: a sign for each broken link, and none while figures arrive."""

from typing import Any

import pytest

from stoker.errors import UsageError
from stoker.fleet.state import Evidence
from stoker.spec import load
from stoker.targets.kubernetes import keda, metric_chain, metric_servers, scalers
from stoker.targets.kubernetes.client import FORBIDDEN
from stoker.targets.kubernetes.scaling import read

NOW = 1_800_000_000.0
LABELS = {"app.kubernetes.io/instance": "shop", "app.kubernetes.io/managed-by": "stoker"}
EXTERNAL = metric_servers.EXTERNAL
QUEUE = {"type": "Pods", "pods": {"metric": {"name": "vllm_num_requests_waiting"}, "target": {}}}
HELD = {"type": "External", "external": {"metric": {"name": "stoker_gateway_requests"}, "target": {}}}
OWNER = {"kind": "ScaledObject", "name": "shop", "uid": "u"}
MADE = "2026-11-28T10:00:00Z"


class Double:
    """The API as far as the chain looks: objects by kind and name, lists by kind, one page for every pod."""

    def __init__(self, page: str = "\nvllm:num_requests_waiting 0\nstoker_gateway_requests 0\n") -> None:
        self.objects: dict[tuple[str, str], Any] = {}
        self.lists: dict[str, tuple[Any, ...]] = {
            kind: tuple(scraper(one) for one in ("engine", "gateway"))
            for kind in ("PodMonitor", "PodMonitoring")
        }
        self.page, self.forbidden = page, False

    def get(self, kind: str, _: str | None, name: str) -> Any:
        if self.forbidden:
            raise UsageError("forbidden", rule=FORBIDDEN)
        return self.objects.get((kind, name))

    def list(self, kind: str, *_: Any) -> Any:
        if self.forbidden:
            raise UsageError("forbidden", rule=FORBIDDEN)
        return self.lists.get(kind, ())

    visible = list

    def pod_page(self, *_: Any) -> str:
        return self.page


def scraper(component: str) -> dict[str, Any]:
    labels = {"app.kubernetes.io/component": component}
    return {"metadata": {"name": component}, "spec": {"selector": {"matchLabels": labels}}}


def pod(component: str) -> dict[str, Any]:
    labels = {**LABELS, "app.kubernetes.io/component": component}
    return {
        "metadata": {"name": f"shop-{component}", "namespace": "ml", "labels": labels},
        "spec": {"containers": [{"name": component, "ports": [{"name": "http", "containerPort": 8000}]}]},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }


PODS = (pod("engine"), pod("gateway"))


def hpa(*metrics: Any, starved: bool = True, owned: bool = False, order: str = "") -> dict[str, Any]:
    status = {"type": "ScalingActive", "status": "False" if starved else "True", "reason": "FailedGetX"}
    meta: dict[str, Any] = {"name": "shop", "namespace": "ml", "creationTimestamp": MADE}
    meta |= {"ownerReferences": [OWNER]} if owned else {}
    meta |= {"annotations": {"stoker/scaling-metrics": order}} if order else {}
    target = {"kind": "Deployment", "name": "shop"}
    spec = {"scaleTargetRef": target, "maxReplicas": 5, "metrics": list(metrics)}
    return {"metadata": meta, "spec": spec, "status": {"conditions": [status]}}


def trigger(place: int) -> dict[str, Any]:
    metric = {"name": f"s{place}-prometheus"}
    return {"type": "External", "external": {"metric": metric, "target": {"averageValue": "5"}}}


def service(name: str, available: str = "True") -> dict[str, Any]:
    return {
        "metadata": {"name": EXTERNAL},
        "spec": {"service": {"namespace": name, "name": f"{name}-server"}},
        "status": {"conditions": [{"type": "Available", "status": available, "reason": "Missing"}]},
    }


def signs(api: Any, body: Any, **more: Any) -> list[str]:
    return [f"{one.reason} {one.subject}" for one in metric_chain.links(api, body, PODS, **more)]


def test_nothing_is_looked_for_while_figures_arrive() -> None:
    assert signs(Double(page="\nnothing 1\n"), hpa(QUEUE, HELD, starved=False)) == []


def test_every_link_stands() -> None:
    assert signs(Double(), hpa(QUEUE, HELD)) == []


def test_pages_without_the_families() -> None:
    api = Double(
        page='vllm:other 1\nvllm:num_requests_waiting_by_reason{x="y"} 1\n'
        'stoker_gateway_requests_in_flight{replica="0"} 1\n'
    )
    assert signs(api, hpa(QUEUE, HELD)) == [
        "NoSuchFamily HorizontalPodAutoscaler/shop",
        "NoSuchGatewayFamily HorizontalPodAutoscaler/shop",
    ]
    assert signs(api, hpa(HELD)) == ["NoSuchGatewayFamily HorizontalPodAutoscaler/shop"]


def test_a_histogram_is_on_a_page_by_its_parts() -> None:
    metric = {"name": "vllm_time_to_first_token_seconds"}
    body = hpa({"type": "Pods", "pods": {"metric": metric, "target": {}}})
    assert signs(Double(page='vllm:time_to_first_token_seconds_sum{model="m"} 1\n'), body) == []
    assert signs(Double(page="vllm:time_to_first_token_seconds_created 1\n"), body) != []


def test_the_gateway_that_nothing_scrapes() -> None:
    api = Double()
    api.lists["PodMonitor"] = (scraper("engine"),)
    assert signs(api, hpa(QUEUE, HELD)) == ["NoGatewayScrape PodMonitor/ml"]
    assert signs(api, hpa(QUEUE)) == []


def test_an_external_server_that_is_down_or_is_kedas() -> None:
    api = Double()
    api.objects["APIService", EXTERNAL] = service("monitoring", "False")
    assert signs(api, hpa(HELD)) == [f"AdapterDown APIService/{EXTERNAL}"]
    assert signs(api, hpa(QUEUE)) == [], "pods' metrics come by another"
    assert signs(api, hpa(HELD), inside=True) == [], "it stands in no namespace"
    api.objects["APIService", EXTERNAL] = service("keda")
    (found,) = metric_chain.links(api, hpa(HELD), PODS)  # type: ignore[arg-type]
    assert found.reason == "ExternalTaken"
    assert found.text.startswith("keda/keda-server serves external metrics")
    assert signs(api, hpa(trigger(0), owned=True, order="queue-depth")) == [], "whose they should be"
    api.objects["APIService", EXTERNAL] = service("monitoring")
    assert signs(api, hpa(trigger(0), owned=True, order="queue-depth")) == [
        f"ExternalTaken APIService/{EXTERNAL}"
    ]


def test_what_keda_asks_for_is_known_by_its_place() -> None:
    api = Double(page="\nvllm:num_requests_waiting 0\n")
    body = hpa(trigger(0), trigger(1), owned=True, order="queue-depth,in-flight")
    assert signs(api, body) == ["NoSuchGatewayFamily HorizontalPodAutoscaler/shop"]
    assert [one.metric for one in read(body).metrics] == ["queue-depth", "in-flight"]
    api.page, api.lists = "", {"PodMonitoring": (scraper("engine"), scraper("gateway"))}
    assert signs(api, body) == [], "either kind may be the one that its server reads"
    api.lists = {}
    assert signs(api, body) == ["NoScrape PodMonitor/ml", "NoGatewayScrape PodMonitor/ml"]


def test_gkes_own_metric() -> None:
    metric = {"name": "autoscaling.gke.io|shop|queue-depth"}
    body, api = hpa({"type": "Pods", "pods": {"metric": metric, "target": {}}}), Double()
    api.lists = {}
    assert signs(api, body) == ["NotExposed AutoscalingMetric/shop"], "nothing has to scrape"
    api.objects["AutoscalingMetric", "shop"] = {}
    assert signs(api, body) == []
    assert [one.metric for one in read(body).metrics] == ["queue-depth"]


def test_who_may_not_look_is_told_nothing() -> None:
    api = Double()
    api.forbidden = True
    assert signs(api, hpa(QUEUE, HELD)) == []


def scaled_object(*conditions: tuple[str, str, str], **status: Any) -> dict[str, Any]:
    told = [{"type": t, "status": s, "reason": r, "message": f"{r} said"} for t, s, r in conditions]
    meta = {
        "name": "shop",
        "creationTimestamp": MADE,
        "annotations": {"stoker/scaling-metrics": "ttft,kv-cache"},
    }
    return {
        "metadata": meta,
        "spec": {"fallback": {"replicas": 3}},
        "status": {**({"conditions": told} if told else {}), **status},
    }


FAILED = Evidence("event", "ScaledObject/shop", "KEDAScalerFailed", "status: 503")


@pytest.mark.parametrize(
    ("body", "events", "reason", "text"),
    [
        (scaled_object(), (), "KedaNoOperator", "no operator has looked at it"),
        (scaled_object(("Paused", "True", "P"), ("Ready", "True", "R")), (), "KedaPaused", "P said"),
        (scaled_object(("Ready", "False", "TriggerError")), (FAILED,), "KedaFailing", "status: 503"),
        (scaled_object(("Ready", "Unknown", "PartialTriggerError")), (), "KedaFailing", "TriggerError said"),
        (scaled_object(("Ready", "False", "ScaledObjectCheckFailed")), (), "KedaRefused", "CheckFailed said"),
        (
            scaled_object(
                ("Ready", "True", "R"),
                ("Fallback", "True", "F"),
                health={"s1-prometheus": {"status": "Failing"}, "s0-prometheus": {"status": "Happy"}},
            ),
            (),
            "KedaFallback",
            "3 replicas, while kv-cache gives no figure",
        ),
    ],
)
def test_what_keda_says(body: Any, events: Any, reason: str, text: str) -> None:
    (found,) = keda.evidence([body], events, NOW)
    assert (found.reason, found.subject) == (reason, "ScaledObject/shop")
    assert text in found.text


@pytest.mark.parametrize(
    "body",
    [
        scaled_object(("Ready", "True", "ScaledObjectReady"), ("Active", "False", "ScalerNotActive")),
        scaled_object(("Ready", "Unknown", ""), ("Active", "Unknown", "")),
        scaled_object(("Ready", "True", "R"), ("Fallback", "False", "NoFallbackFound")),
    ],
)
def test_keda_at_work_says_nothing(body: Any) -> None:
    assert keda.evidence([body], (FAILED,), NOW) == ()


def test_of_two_scalers_one_goes_first() -> None:
    api: Any = Double()
    api.lists = {"HorizontalPodAutoscaler": (hpa(QUEUE),)}
    assert scalers.in_the_way(api, "ScaledObject", "ml", "") == "HorizontalPodAutoscaler/shop goes first"
    assert scalers.in_the_way(api, "HorizontalPodAutoscaler", "ml", "") == ""
    assert scalers.in_the_way(api, "Deployment", "ml", "") == ""
    api.lists = {"HorizontalPodAutoscaler": (hpa(QUEUE, owned=True),), "ScaledObject": (scaled_object(),)}
    assert scalers.in_the_way(api, "ScaledObject", "ml", "") == "", "KEDA's own"
    assert scalers.in_the_way(api, "HorizontalPodAutoscaler", "ml", "") == "ScaledObject/shop goes first"


def test_a_fleet_that_sleeps() -> None:
    text = (
        "name: shop\nmodel: gs://b/m\ntarget: kubernetes\nreplicas: {range}\n"
        "scaling: {{metrics: {{in-flight: 8}}}}\n"
        "kubernetes: {{routing: gateway, image: 'r.example/s:1', metrics: prometheus, scaler: {by}}}\n"
    )
    api: Any = Double()
    asleep = {"status": {"conditions": [{"type": "ScaledToZero", "status": "True"}]}}

    def sleeps(by: str, bounds: str, **body: Any) -> bool:
        api.lists = {"HorizontalPodAutoscaler": ({**hpa(HELD), **body},)}
        return scalers.sleeps(api, load(text.format(by=by, range=bounds)), "")

    assert sleeps("keda", "0..4")
    assert sleeps("hpa", "0..4", **asleep)
    assert not sleeps("hpa", "0..4"), "somebody took it to 0, and its HPA looks away"
    assert not sleeps("keda", "1..4")
    assert not sleeps("hpa", "1..4", **asleep)
    assert [scalers.least(load(text.format(by="keda", range=one))) for one in ("0..4", "2..4")] == [1, 2]
