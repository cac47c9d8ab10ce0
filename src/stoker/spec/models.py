"""The file's fields. pydantic lives here: it parses and describes them; `loader` turns them into nouns.

The descriptions below are the reference page and the JSON Schema; keep them in users' words.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from stoker.spec.fields import (
    BodyField,
    DiskField,
    KeyField,
    MemoryField,
    Number,
    PromiseField,
    RangeField,
    Revision,
    SecondsField,
    SourceField,
    Whole,
)
from stoker.spec.nouns import Demo
from stoker.spec.patterns import HostName, Hosts, Image, Labels, Line, Named, Network, Origin, Served
from stoker.units import Bytes, Range, Seconds

NAME = r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?"
NAMESPACE = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
Port = Annotated[Whole, Field(ge=1, le=65535)]


class Strict(BaseModel):
    """No unknown key, no silent conversion."""

    model_config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)


class ModelFile(Strict):
    """Which weights."""

    source: SourceField = Field(
        Demo("smollm2-135m-instruct"),
        description="A folder, `hf://org/repo[@rev]`, `gs://bucket/path`, `s3://bucket/path` or `demo:name`.",
    )
    revision: Revision | None = Field(None, description="Branch, tag or commit of a hub repository.")
    served_name: Served | None = Field(
        None, description="The name that clients ask for. Default: the last part of the source."
    )
    token: KeyField | None = Field(
        None, description="Hub token for gated models, as a reference: `env:HF_TOKEN`."
    )
    adapters: dict[Served, SourceField] = Field(
        default_factory=dict, description="LoRA adapters by the name they are served under: `{name: source}`."
    )


class HardwareFile(Strict):
    """What a replica runs on."""

    gpu: str | None = Field(
        None, description="A GPU's name, such as `l4` or `h100-80gb`, or `cpu`.", pattern=r"^[A-Za-z0-9-]+$"
    )
    count: Annotated[Whole, Field(ge=1, le=1024)] | None = Field(
        None, description="GPUs a replica. Default: the plan chooses."
    )
    machine: Named | None = Field(None, description="A machine type, such as `a3-highgpu-8g`.")
    price: Annotated[Number, Field(ge=0, le=1_000_000)] | None = Field(
        None,
        description="Dollars an hour for one GPU, over the catalog's. Default: the catalog's, if it has one.",
    )


class PolicyFile(Strict):
    """One rate limit of the HPA."""

    type: Literal["Pods", "Percent"]
    value: Annotated[Whole, Field(ge=1, le=1_000_000)]
    periodSeconds: Annotated[Whole, Field(ge=1, le=1800)]


class RulesFile(Strict):
    """One direction of the HPA's behavior."""

    stabilizationWindowSeconds: Annotated[Whole, Field(ge=0, le=3600)] | None = None
    selectPolicy: Literal["Max", "Min", "Disabled"] | None = None
    policies: list[PolicyFile] | None = None
    tolerance: (
        Annotated[Number, Field(ge=0, le=100)]
        | Annotated[str, Field(pattern=r"^[0-9]{1,9}(\.[0-9]{1,9})?m?$")]
        | None
    ) = None


class BehaviorFile(Strict):
    """The HPA's own `behavior`."""

    scaleUp: RulesFile | None = None
    scaleDown: RulesFile | None = None


class ScalingFile(Strict):
    """When to have more or fewer replicas."""

    metrics: dict[
        Literal["queue-depth", "batch-size"],
        Annotated[Number, Field(gt=0, le=1_000_000)],
    ] = Field(
        description="Target average a replica, by metric: `queue-depth` (requests waiting), `batch-size` "
        "(requests running). The largest result wins.",
        min_length=1,
    )
    behavior: BehaviorFile | None = Field(
        None,
        description="The HPA's own fields: `scaleUp`, `scaleDown` with `stabilizationWindowSeconds`, "
        "`policies`, `selectPolicy`, `tolerance`.",
    )


class ObjectivesFile(Strict):
    """What is promised to users."""

    ttft: PromiseField | None = Field(None, description="Time to first token.")
    itl: PromiseField | None = Field(None, description="Inter-token latency.")


class EndpointFile(Strict):
    """The one URL in front of the replicas."""

    host: Hosts = Field(
        "127.0.0.1",
        description="Address to bind, or a list of them: of IPv4 or IPv6, or a host's name. `0.0.0.0` is all "
        "of IPv4, "
        "`::` all of IPv6. Anything but loopback needs an `api_key`.",
    )
    port: Port = Field(8000, description="Port of the endpoint.")
    api_key: KeyField | None = Field(
        None,
        description="The key that clients must send, as a reference: `env:NAME`, `file:PATH` or "
        "`secret:NAME/KEY`.",
    )
    queue_timeout: SecondsField = Field(
        Seconds(30), description="How long a request waits while no replica is ready."
    )
    max_body: BodyField = Field(
        Bytes(256 * 1024**2),
        description="The longest request body; a longer one gets 413. At least `1KiB`, at most `16GiB`.",
    )
    cors: list[Origin] = Field(
        default_factory=list,
        description="Origins whose web pages may call the endpoint, such as `https://app.example.com`, or "
        "`*`.",
    )
    page: bool = Field(True, description="Whether the web page with the chat runs beside the endpoint.")
    page_port: Port | None = Field(
        None, description="Port of the web page. Default: the endpoint's port + 1."
    )


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


class SpecFile(Strict):
    """One fleet."""

    name: Annotated[str, Field(pattern=f"^{NAME}$")] | None = Field(
        None,
        description="Name of the fleet: lower-case letters, digits and dashes, 40 at most. Default: made "
        "from the model.",
    )
    model: Annotated[ModelFile, BeforeValidator(lambda v: {"source": v} if isinstance(v, str) else v)] = (
        Field(
            default_factory=lambda: ModelFile(),
            description="Which weights: a source, or `{source, revision, served_name, token, adapters}`.",
        )
    )
    hardware: Annotated[HardwareFile, BeforeValidator(lambda v: short_hardware(v))] = Field(
        default_factory=lambda: HardwareFile(),
        description="What a replica runs on: `l4`, `l4:4`, `cpu`, or `{gpu, count, machine}`. On this "
        "machine: what is here.",
    )
    strategy: Literal["single-gpu", "tensor-parallel", "multi-node"] | None = Field(
        None, description="Pins how one replica spreads over GPUs. Default: the smallest that fits."
    )
    engine: dict[str, Any] = Field(
        default_factory=dict,
        description="`version`, `image`, `env`, `kind`, and every option of `vllm serve` under its own name.",
    )
    replicas: RangeField = Field(
        Range(1, 1), description="How many replicas: `2`, or a range such as `1..5` that `scaling` moves in."
    )
    scaling: ScalingFile | None = Field(None, description="When to have more or fewer replicas.")
    slo: ObjectivesFile = Field(
        default_factory=lambda: ObjectivesFile(), description="Service level objectives: `ttft`, `itl`."
    )
    endpoint: EndpointFile = Field(
        default_factory=lambda: EndpointFile(), description="The one URL in front of the replicas."
    )
    target: Literal["local", "kubernetes"] = Field("local", description="Where it runs.")
    drain_timeout: SecondsField = Field(
        Seconds(300), description="How long a leaving replica may finish its requests."
    )
    stall_timeout: SecondsField = Field(
        Seconds(180),
        description="A replica is restarted on which requests wait while nothing moves for so long. More "
        "than its"
        " longest step takes: `max-num-batched-tokens` prompt tokens.",
    )
    memory: MemoryField | None = Field(
        None,
        description="Memory for the KV cache of one replica on a CPU. Default: chosen from what is free.",
    )
    kubernetes: KubernetesFile = Field(
        default_factory=lambda: KubernetesFile(),
        description="What only a cluster knows; checked and unused elsewhere.",
    )


def short_hardware(value: Any) -> Any:
    """`l4:2` as the table that it is short for; anything else as it is. Raises: ValueError."""
    if not isinstance(value, str):
        return value
    gpu, colon, count = value.partition(":")
    if colon and not count.isdigit():
        raise ValueError(
            f"{value!r} is no hardware: expected a name such as l4, or a name and a number such as l4:4"
        )
    return {"gpu": gpu} | ({"count": int(count)} if colon else {})
