"""What a plan means in a cluster: the choices that the file left open, made once and read by every object."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from stoker.planner.plan import Plan
from stoker.spec.nouns import Bucket, DiskSpec, Hub, KubernetesSpec, LocalDir, ServeSpec, Source, WeightsBy

USER = 1000
MOUNT = "/models"
SPACE = "stoker/namespace"  # on what stands in no namespace: the fleet's own
LEADER = {"leaderworkerset.sigs.k8s.io/worker-index": "0"}
GROUP = "leaderworkerset.sigs.k8s.io/group-index"
LOADS = (
    "bench",
    "locust",
)  # components that test a fleet: `down` takes them away, its plan knows nothing of them
PRE_STOP = 15  # seconds in which endpoints and load balancers learn that a pod leaves
IMAGES = {"nvidia": "vllm/vllm-openai:v{version}", "amd": "vllm/vllm-openai-rocm:v{version}"}
RESOURCES = {"nvidia": "nvidia.com/gpu", "amd": "amd.com/gpu"}


@dataclass(frozen=True)
class Cluster:
    """A plan with its choices. weights: how pods get them; metrics: who scrapes and whom the HPA asks."""

    plan: Plan
    weights: WeightsBy
    metrics: str

    @property
    def spec(self) -> ServeSpec:
        """What was asked."""
        return self.plan.spec

    @property
    def ask(self) -> KubernetesSpec:
        """What only a cluster knows."""
        return self.spec.kubernetes

    @property
    def disk(self) -> DiskSpec:
        """The disk of the weights."""
        return self.ask.disk

    @property
    def disk_type(self) -> str:
        """Of the disk that pods read: as asked, else what zones and machine allow."""
        if self.disk.type:
            return self.disk.type
        machine = self.plan.hardware.machine
        other = machine is not None and self.gke and "pd-ssd" not in machine.disks
        return "hyperdisk-ml" if other or len(self.disk.zones) > 1 else "pd-ssd"

    @property
    def name(self) -> str:
        """The fleet's, and its main objects'."""
        return self.spec.name

    @property
    def namespace(self) -> str:
        """Where everything is created."""
        return self.ask.namespace

    @property
    def source(self) -> Source:
        """Where the weights come from."""
        return self.spec.model.source

    @property
    def gke(self) -> bool:
        """Whether GKE's own parts may be used."""
        return self.ask.platform == "gke"

    @property
    def port(self) -> int:
        """The engine's port, and the Service's."""
        return self.spec.endpoint.port

    @property
    def gpus_per_node(self) -> int:
        """GPUs of one pod."""
        return self.plan.gpus_per_replica // self.plan.nodes

    @property
    def gpu_resource(self) -> str:
        """The device plugin's name of a GPU."""
        return RESOURCES[self._maker]

    @property
    def image(self) -> str:
        """The engine's image, pinned by release."""
        return self.spec.engine.image or IMAGES[self._maker].format(version=self.spec.engine.version)

    @property
    def _maker(self) -> str:
        kind = self.plan.hardware.gpu_type
        return kind.maker if kind else "nvidia"

    @property
    def service_account(self) -> str:
        """Whom the engine's pods run as, and who is granted the weights."""
        return self.ask.service_account or self.name

    @property
    def scaled(self) -> bool:
        """Whether an HPA moves the number of replicas."""
        return self.spec.scales

    @cached_property
    def weights_name(self) -> str:
        """Name of the objects that hold the weights: other weights have others, so that a rollback finds its
        own."""
        adapters = [f"{name}={source}" for name, source in sorted(self.spec.model.adapters.items())]
        said = "\n".join(
            (str(self.source), self.disk_type, *self.disk.zones, self.disk.handle or "", *adapters)
        )
        return f"{self.name}-{hashlib.sha256(said.encode()).hexdigest()[:8]}"

    @property
    def model_path(self) -> str:
        """What the engine is told to serve."""
        match self.weights, self.source:
            case "hub", Hub(repo=repo):
                return repo
            case "stream", _:
                return str(self.source)
            case "gcsfuse", Bucket():
                return MOUNT  # the volume shows the prefix alone
            case _:
                return f"{MOUNT}/{folder_of(self.source)}"

    @property
    def adapters(self) -> dict[str, str]:
        """LoRA adapters and where the engine finds them."""
        sources = self.spec.model.adapters
        if self.weights == "hub":
            return {name: str(source).removeprefix("hf://") for name, source in sources.items()}
        return {name: f"{MOUNT}/adapters/{name}" for name in sources}

    @property
    def weight_bytes(self) -> int:
        """Bytes of the checkpoint: as its headers say, else as the ranks hold them, else what the GPUs could
        hold."""
        plan = self.plan
        if plan.shape is not None and plan.shape.weight_bytes:
            return int(plan.shape.weight_bytes)
        if plan.memory is not None:
            return int(plan.memory.size("weights")) * plan.gpus_per_replica
        kind = plan.hardware.gpu_type
        return int(0.9 * kind.memory) * plan.gpus_per_replica if kind else 0

    @property
    def shm_gib(self) -> int:
        """GiB of /dev/shm: the ranks' messages and NCCL's buffers, so much a rank and as much again."""
        return 1 + self.gpus_per_node

    @property
    def key_secret(self) -> tuple[str, str] | None:
        """Secret and key that hold the endpoint's API key."""
        return _secret(self.spec.endpoint.api_key, f"{self.name}-keys", "api-key")

    @property
    def token_secret(self) -> tuple[str, str] | None:
        """Secret and key that hold the hub's token."""
        return _secret(self.spec.model.token, f"{self.name}-keys", "hub-token")

    def labels(self, component: str | None = None) -> dict[str, str]:
        """Labels of every object of the fleet."""
        out = {
            "app.kubernetes.io/name": "vllm",
            "app.kubernetes.io/instance": self.name,
            "app.kubernetes.io/managed-by": "stoker",
        }
        return out | ({"app.kubernetes.io/component": component} if component else {})

    def selector(self, component: str) -> dict[str, str]:
        """Labels that pick the fleet's pods of a component."""
        return {"app.kubernetes.io/instance": self.name, "app.kubernetes.io/component": component}

    @property
    def serving(self) -> dict[str, str]:
        """Labels of the pods that answer: every pod of a Deployment, the leaders of a LeaderWorkerSet."""
        return self.selector("engine") | (LEADER if self.plan.nodes > 1 else {})

    def meta(self, name: str | None = None, component: str | None = None, **more: Any) -> dict[str, Any]:
        """Metadata of an object in the fleet's namespace."""
        return {
            "name": name or self.name,
            "namespace": self.namespace,
            "labels": self.labels(component),
            **more,
        }


def _secret(ref: Any, own: str, key: str) -> tuple[str, str] | None:
    if ref is None:
        return None
    if ref.kind == "secret":
        name, _, inner = ref.where.partition("/")
        return name, inner or key
    return own, key


def folder_of(source: Source) -> str:
    """The model's folder on a volume."""
    match source:
        case Bucket(prefix=prefix, bucket=bucket):
            return prefix.strip("/").rpartition("/")[2] or bucket
        case Hub(repo=repo):
            return repo.rpartition("/")[2]
        case LocalDir(path=path):
            return path.rstrip("/").rpartition("/")[2]
        case _:
            return str(source).replace(":", "-")
