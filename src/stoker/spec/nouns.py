"""ServeSpec and its parts: what is asked, as frozen values. Built by `spec.load`, read by everybody else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from stoker.findings import Finding
from stoker.spec import addresses
from stoker.units import Bytes, Range, Seconds

Strategy = Literal["single-gpu", "tensor-parallel", "multi-node"]
EngineKind = Literal["vllm", "simulated"]
TargetName = Literal["local", "kubernetes"]
DiskType = Literal["pd-ssd", "hyperdisk-ml"]
WeightsBy = Literal["disk", "gcsfuse", "stream", "hub"]
Routing = Literal["service", "gateway", "gateway-api"]
MetricsBy = Literal["stackdriver", "prometheus", "none"]
ScaledWith = Literal["hpa", "autoscaling-metric", "keda"]


@dataclass(frozen=True, slots=True)
class LocalDir:
    """A Hugging Face folder on this machine."""

    path: str

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True, slots=True)
class Hub:
    """A repository of the Hugging Face hub, `hf://org/repo`; `revision` is a branch, tag or commit."""

    repo: str
    revision: str = "main"

    def __str__(self) -> str:
        return f"hf://{self.repo}" + ("" if self.revision == "main" else f"@{self.revision}")


@dataclass(frozen=True, slots=True)
class Bucket:
    """A folder of an object store: `gs://bucket/prefix` or `s3://bucket/prefix`."""

    scheme: Literal["gs", "s3"]
    bucket: str
    prefix: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}/{self.prefix}".rstrip("/")


@dataclass(frozen=True, slots=True)
class Demo:
    """A small real model that a package of this installation carries."""

    name: str

    def __str__(self) -> str:
        return f"demo:{self.name}"


Source = LocalDir | Hub | Bucket | Demo


@dataclass(frozen=True, slots=True)
class KeyRef:
    """Where a secret is, never the secret: `env:NAME`, `file:PATH` or `secret:NAME/KEY`."""

    kind: Literal["env", "file", "secret"]
    where: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.where}"


@dataclass(frozen=True, slots=True)
class ModelRef:
    """Which weights, and the name that clients ask for."""

    source: Source
    served_name: str
    token: KeyRef | None = None
    adapters: Mapping[str, Source] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HardwareSpec:
    """What a replica runs on, as asked: a GPU's name or `cpu`, and how many. None lets the plan choose.

    price: dollars an hour for one GPU, over the catalog's.
    """

    gpu: str | None = None
    count: int | None = None
    machine: str | None = None
    price: float | None = None

    def __str__(self) -> str:
        return f"{self.gpu or 'what is here'}{f':{self.count}' if self.count else ''}"


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """The engine: its kind and release, and vLLM's own options by their own names, without dashes in
    front."""

    kind: EngineKind = "vllm"
    version: str = "0.32.0"
    image: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    simulate: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scaling:
    """Metrics with their target average per replica, and the HPA's own `behavior` fields.

    queue-depth, batch-size and in-flight are requests, kv-cache is a share of the cache (0.8), ttft is in
    seconds. in-flight is counted by the endpoint, the others by engines. sync_period: how often it is decided
    on this machine.
    """

    metrics: Mapping[str, float]
    behavior: Mapping[str, Any] = field(default_factory=dict)
    sync_period: Seconds = Seconds(15)


@dataclass(frozen=True, slots=True)
class Objectives:
    """Service level objectives: time to first token and inter-token latency, in seconds."""

    ttft: Seconds | None = None
    itl: Seconds | None = None


@dataclass(frozen=True, slots=True)
class EndpointSpec:
    """The one URL: where it binds (several addresses with commas between them), its key, how long a request
    is held while nothing is ready, its longest body."""

    host: str = "127.0.0.1"
    port: int = 8000
    api_key: KeyRef | None = None
    queue_timeout: Seconds = Seconds(30)
    max_body: Bytes = Bytes(256 * 1024**2)
    cors: tuple[str, ...] = ()
    page: bool = True
    page_port: int | None = None

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return addresses.loopback(self.host)


@dataclass(frozen=True, slots=True)
class DiskSpec:
    """The disk that holds the weights. handle: an existing disk, as the CSI driver names it.

    type: `pd-ssd` or `hyperdisk-ml`; None is decided by zones and machine. size: None is made from the
    model's. zones: none lets the first pod's zone decide. storage_class and snapshot_class: the cluster's own
    instead of Stoker's;
    copy_class: of the disk that the copy writes.
    """

    handle: str | None = None
    type: DiskType | None = None
    size: Bytes | None = None
    zones: tuple[str, ...] = ()
    storage_class: str | None = None
    snapshot_class: str | None = None
    copy_class: str | None = None


@dataclass(frozen=True, slots=True)
class MonitoringSpec:
    """How a Prometheus operator finds the fleet: the namespace it scrapes from, and labels that it selects
    by."""

    namespace: str = "monitoring"
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KedaSpec:
    """How KEDA scales. server: the Prometheus it asks, None for the operator's own; fallback: replicas
    while it gives no figure."""

    server: str | None = None
    polling: Seconds = Seconds(15)
    cooldown: Seconds = Seconds(300)
    fallback: int | None = None


@dataclass(frozen=True, slots=True)
class GatewaySpec:
    """The Gateway of `routing: gateway-api`. host: None answers to any name; tls_secret: None is plain HTTP.

    proxies: networks that the load balancer's proxies come from, which GKE's network policies must know.
    """

    class_name: str = "gke-l7-rilb"
    host: str | None = None
    tls_secret: str | None = None
    proxies: tuple[str, ...] = ()
    picker_image: str = "registry.k8s.io/gateway-api-inference-extension/epp:v1.4.0"

    @property
    def internal(self) -> bool:
        """Whether its class is known to be reached from inside the network alone."""
        return "rilb" in self.class_name or "internal" in self.class_name


@dataclass(frozen=True, slots=True)
class KubernetesSpec:
    """What only a cluster knows.

    platform: GKE's node labels and managed parts, or a plain cluster's. weights: how pods get them; None is
    decided by the source. metrics: whose metrics adapter the HPA asks, and who scrapes; scaler: what moves
    the number of replicas; monitoring: how Prometheus finds the pods. capacity: the ladder of a ComputeClass,
    tried from the left; compute_class: an existing one.
    surge: whether there are spare GPUs for a rollout.
    cpu_limit: whether every container's cores are limited, asked for by the namespace or not.
    clients: labels of the pods that may reach the endpoint; None is every pod of the namespace. image:
    Stoker's own, for the gateway and the page. routing: what stands between a request and a replica.
    """

    context: str | None = None
    namespace: str = "default"
    platform: Literal["gke", "plain"] = "gke"
    weights: WeightsBy | None = None
    disk: DiskSpec = DiskSpec()
    metrics: MetricsBy | None = None
    scaler: ScaledWith = "hpa"
    keda: KedaSpec = KedaSpec()
    monitoring: MonitoringSpec = MonitoringSpec()
    service_account: str | None = None
    capacity: tuple[str, ...] = ()
    compute_class: str | None = None
    surge: bool = False
    cpu_limit: bool = False
    priority_class: str | None = None
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    network_policy: bool = True
    clients: Mapping[str, str] | None = None
    image: str | None = None
    routing: Routing = "service"
    gateway: GatewaySpec = GatewaySpec()
    logs: Literal["text", "json"] = "text"
    project: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A position in the spec's text, counted from one; or the option of the command line that says it."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return self.file if self.file.startswith("-") else f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class ServeSpec:
    """One fleet, as asked. `origin` maps a dotted field path to its place in the file; `notes` are what
    reading it found."""

    name: str
    model: ModelRef
    hardware: HardwareSpec = HardwareSpec()
    strategy: Strategy | None = None
    engine: EngineSpec = EngineSpec()
    replicas: Range = Range(1, 1)
    scaling: Scaling | None = None
    slo: Objectives = Objectives()
    endpoint: EndpointSpec = EndpointSpec()
    target: TargetName = "local"
    drain_timeout: Seconds = Seconds(300)
    stall_timeout: Seconds = Seconds(180)
    kubernetes: KubernetesSpec = KubernetesSpec()
    memory: Bytes | None = None
    origin: Mapping[str, Place] = field(default_factory=dict, compare=False, repr=False)
    notes: tuple[Finding, ...] = field(default=(), compare=False, repr=False)

    @property
    def scales(self) -> bool:
        """Whether an autoscaler moves the number of replicas."""
        return self.scaling is not None and not self.replicas.fixed
