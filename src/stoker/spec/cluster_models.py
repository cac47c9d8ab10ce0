"""The file's `kubernetes:` part, as `models` has the rest."""

from typing import Annotated, Any, Literal

from pydantic import Field

from stoker.spec.fields import DiskField, SecondsField, Whole
from stoker.spec.patterns import HostName, Image, Labels, Line, Named, Network, WebAddress
from stoker.spec.strict import NAMESPACE, Strict
from stoker.units import Seconds


class DiskFile(Strict):
    """The disk that holds the weights in a cluster."""

    type: Literal["pd-ssd", "hyperdisk-ml"] | None = Field(
        None,
        description="The disk's type. Hyperdisk ML serves more readers, and several zones. Default: "
        "`pd-ssd`, or "
        "`hyperdisk-ml` for several zones and for machines that take no other.",
    )
    size: DiskField | None = Field(None, description="Its size, such as `200Gi`. Default: from the model's.")
    zones: list[Named] = Field([], description="Zones to read it in. Default: the first pod's zone.")
    storage_class: Named | None = Field(
        None, description="A StorageClass of the cluster instead of Stoker's."
    )
    snapshot_class: Named | None = Field(
        None, description="A VolumeSnapshotClass of the cluster instead of Stoker's."
    )
    copy_class: Named | None = Field(
        None,
        description="A StorageClass for the disk that the copy writes. Default: `storage_class`, else a "
        "pd-ssd, which "
        "the snapshot makes into any type.",
    )


class GatewayFile(Strict):
    """The Gateway of `routing: gateway-api`."""

    class_name: Named = Field(
        "gke-l7-rilb", description="GatewayClass. Default: GKE's internal regional load balancer."
    )
    host: HostName | None = Field(None, description="Host name that the route answers to. Default: any.")
    tls_secret: Named | None = Field(
        None, description="Secret with a certificate for HTTPS. Default: HTTP, inside the network only."
    )
    proxies: list[Network] = Field(
        [],
        description="Networks that the load balancer's proxies come from, as CIDRs: on GKE the proxy-only "
        "subnet's, which must "
        "be named; elsewhere besides the Gateway's own pods.",
    )
    picker_image: Image = Field(
        "registry.k8s.io/gateway-api-inference-extension/epp:v1.4.0",
        description="Image of the endpoint picker that chooses a replica for the InferencePool.",
    )


class MonitoringFile(Strict):
    """How a Prometheus operator finds the fleet, with `metrics: prometheus`."""

    namespace: Annotated[str, Field(pattern=NAMESPACE)] = Field(
        "monitoring", description="Namespace of the Prometheus that scrapes; the network policy lets it in."
    )
    labels: Labels = Field(
        {},
        description="Labels of the PodMonitor and the PrometheusRule, by which that Prometheus selects them, "
        "such as "
        "`{release: kube-prometheus-stack}`.",
    )


class KedaFile(Strict):
    """How KEDA scales, with `scaler: keda`."""

    server: WebAddress | None = Field(
        None,
        description="The Prometheus server that it asks. Default: `http://prometheus-operated` in the "
        "namespace of `monitoring`.",
    )
    polling: SecondsField = Field(
        Seconds(15),
        description="How often it asks, where the range starts at 0; above 0 its HPA asks every 15 s.",
    )
    cooldown: SecondsField = Field(
        Seconds(300), description="How long nothing must be asked for before the last replica goes."
    )
    fallback: Annotated[Whole, Field(ge=1, le=1000)] | None = Field(
        None,
        description="Replicas while the server gives no figure, after three failures. Default: the number "
        "stays as it is.",
    )


class KubernetesFile(Strict):
    """What only a cluster knows."""

    context: Line | None = Field(None, description="The kubeconfig's context. Default: the current one.")
    namespace: Annotated[str, Field(pattern=NAMESPACE)] = Field(
        "default", description="Namespace of everything that is created."
    )
    platform: Literal["gke", "plain"] = Field(
        "gke", description="GKE's node labels, disks and managed Prometheus, or a plain cluster's."
    )
    weights: (
        Literal["disk", "gcsfuse", "stream", "hub"]
        | Annotated[dict[Literal["disk"], Line], Field(min_length=1)]
        | None
    ) = Field(
        None,
        description="How pods get the weights; `{disk: HANDLE}` takes an existing disk. Default: `disk` for "
        "`gs://` on GKE, "
        "`hub` for `hf://`, else `stream`.",
    )
    disk: DiskFile = Field(default_factory=lambda: DiskFile(), description="The disk of `weights: disk`.")
    metrics: Literal["stackdriver", "prometheus", "none"] | None = Field(
        None,
        description="Who scrapes, and whose metrics adapter the HPA asks. Default: `stackdriver` on GKE, "
        "else `prometheus` "
        "where `replicas` is a range.",
    )
    scaler: Literal["hpa", "autoscaling-metric", "keda"] = Field(
        "hpa",
        description="What moves the number of replicas: an HPA over the metrics adapter of `metrics`; an HPA "
        "over GKE's AutoscalingMetric, which needs no adapter (GKE 1.35 or newer); or KEDA over a "
        "Prometheus server.",
    )
    keda: KedaFile = Field(
        default_factory=lambda: KedaFile(), description="How KEDA scales, with `scaler: keda`."
    )
    monitoring: MonitoringFile = Field(
        default_factory=lambda: MonitoringFile(),
        description="How a Prometheus operator finds the fleet, with `metrics: prometheus`.",
    )
    service_account: Named | None = Field(
        None, description="An existing service account for the engine. Default: one of the fleet's own."
    )
    capacity: list[
        Annotated[str, Field(pattern=r"^(reservation:[a-z][-a-z0-9]{0,62}|on-demand|flex-start|spot)$")]
    ] = Field(
        [],
        description="Where GPUs come from, tried from the left: `reservation:NAME`, `on-demand`, "
        "`flex-start`, `spot` "
        "(a GKE ComputeClass).",
    )
    compute_class: Named | None = Field(None, description="An existing ComputeClass instead of `capacity`.")
    surge: bool = Field(
        False, description="A rollout may start a replica before it stops one: there are spare GPUs."
    )
    cpu_limit: bool = Field(
        False,
        description="Every container's cores are limited to what it asks for. Default: only where a "
        "LimitRange or "
        "ResourceQuota of the namespace asks for it, which `stoker up` sees by itself and `stoker render` "
        "does not.",
    )
    priority_class: Named | None = Field(None, description="PriorityClass of the engine's pods.")
    node_selector: Labels = Field(
        {}, description="Labels that the engine's nodes must have, besides Stoker's."
    )
    tolerations: list[dict[str, Any]] = Field(
        [], description="Tolerations of the engine's pods, besides the GPU's."
    )
    labels: Labels = Field({}, description="Labels of the engine's pods, besides Stoker's.")
    annotations: dict[str, str] = Field({}, description="Annotations of the engine's pods, besides Stoker's.")
    image: Image | None = Field(
        None,
        description="Stoker's own image (`make image` builds it), for the gateway and the chat page. "
        "Default: neither runs.",
    )
    routing: Literal["service", "gateway", "gateway-api"] = Field(
        "service",
        description="How requests find a replica: a Service; Stoker's gateway in pods, with the contract of "
        "the endpoint on "
        "one machine; or the Gateway API with an InferencePool.",
    )
    gateway: GatewayFile = Field(
        default_factory=lambda: GatewayFile(), description="The Gateway of `routing: gateway-api`."
    )
    logs: Literal["text", "json"] = Field(
        "text",
        description="How the gateway and the page log; `json` has a line for each request, with its id.",
    )
    project: Line | None = Field(
        None,
        description="Google Cloud project of the cluster. Default: from the context's name `gke_PROJECT_…`.",
    )
    network_policy: bool = Field(
        True, description="Only clients, monitoring and ranks reach the engine's pods."
    )
    clients: Labels | None = Field(
        None, description="Labels of the pods that may use the endpoint. Default: every pod of the namespace."
    )
