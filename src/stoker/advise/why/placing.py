"""Why a pod waits for a node or for its volume.

What the nodes themselves show (reasons that begin with Nodes, or NoSuchNode) goes before the scheduler's
count of them.
Source: pkg/scheduler/framework/plugins, pkg/controller/volume/persistentvolume, cluster-autoscaler, GKE's CSI
drivers.
"""

from stoker.advise.why.rule import rules
from stoker.advise.why.scheduling import UNRESOLVABLE

EXACT = frozenset(
    {"NoSuchNode", "NodesTooSmall", "NodesWithoutDevice", "NodesCordoned", "NodesNotReady", "NodesTainted"}
)
_WAITS = "FailedScheduling|Pending|NotTriggerScaleUp"
_SMALLER = (
    "fewer GPUs a replica (`stoker plan` shows which fit), strategy: multi-node, or larger nodes: "
    "hardware.machine"
)
_UNCORDON = "kubectl uncordon NODE, once its maintenance is over"
_MEND = "`kubectl describe node` shows why: the kubelet, its network, or the machine itself"
_WHICH = (
    "`kubectl get nodes -L cloud.google.com/gke-accelerator` shows which there are: hardware.gpu, "
    "kubernetes.node_selector; where nodes with a taint are meant, kubernetes.tolerations"
)

VOLUMES = rules(
    (
        "claim-missing",
        _WAITS,
        r'persistentvolumeclaim "([^"]+)" (?:not found|is being deleted)',
        "its claim {1} is not there yet, or not any more",
        "it comes when the copy and the snapshot are ready; `stoker status` shows how far they are",
    ),
    (
        "no-driver",
        "NoDriver",
        r"(.+)",
        "nothing makes the disk: {1}",
        "install or mend that driver, or name a StorageClass that one serves (`kubectl get "
        "storageclass,csidriver`): kubernetes.disk.copy_class, storage_class",
    ),
    (
        "no-class",
        "NoClass|ProvisioningFailed",
        r'storageclass(?:\.storage\.k8s\.io)? "([^"]+)" not found',
        "the StorageClass {1} is not there",
        "make it, or name one that is: kubernetes.disk.copy_class, storage_class",
    ),
    (
        "no-snapshotter",
        "NoSnapshotter",
        r"(.+)",
        "nothing takes the snapshot: {1}",
        "install the snapshot controller and the driver's snapshotter, or name a class that one serves: "
        "kubernetes.disk.snapshot_class",
    ),
    (
        "claim-pending",
        _WAITS,
        r"unbound (?:immediate )?PersistentVolumeClaims|available persistent volumes to bind|non-existent "
        r"PersistentVolumes?|binding volumes",
        "its claim is not bound",
        "the claim's own events say why: `kubectl describe pvc`",
    ),
    (
        "zone",
        _WAITS,
        r"volume node affinity conflict|match PersistentVolume's node affinity|no available volume zone",
        "the disk stands in another zone than the GPUs",
        "kubernetes.disk.zones: the zones of the GPU nodes, or hyperdisk-ml over several",
    ),
    (
        "volume-count",
        _WAITS,
        r"exceed max volume count",
        "the nodes hold as many disks as they can",
        "more or larger nodes, or fewer pods with disks on them",
    ),
    (
        "multi-attach",
        "FailedAttachVolume",
        r"Multi-Attach|already (?:used|attached|exclusively)",
        "the disk is attached to another node for writing",
        "it must be read-only-many: `weights: disk`, or detach the other",
    ),
    (
        "disk-quota",
        "ProvisioningFailed|FailedBinding",
        r"quota '?([A-Z_]+)'? exceeded|QUOTA_EXCEEDED",
        "the project's disk quota {1} is used up",
        "ask for more quota, or a smaller kubernetes.disk.size",
    ),
    (
        "provision",
        "ProvisioningFailed|FailedBinding",
        r"(.+)",
        "the disk cannot be made",
        "the sentence says why; kubernetes.disk names type, size and zones",
    ),
    (
        "attach",
        "FailedAttachVolume|FailedMount",
        r"(.+)",
        "the weights' volume cannot be attached",
        "the sentence says why; is the disk in the nodes' zone and not in use for writing?",
    ),
)

PLACING = rules(
    (
        "rollout-gpu",
        "PendingRollout",
        r"Insufficient (nvidia\.com/gpu|amd\.com/gpu)",
        "the rollout starts a replica before it stops one, and no GPU is spare",
        "kubernetes: {surge: false}: one stops first; or a spare GPU node",
    ),
    (
        "gpu-coming",
        "FailedScheduling|Pending",
        r"Insufficient (nvidia\.com/gpu|amd\.com/gpu)|didn't match",
        "no node has a free GPU, and the autoscaler is adding one",
        "wait: a GPU node takes a few minutes",
        "TriggeredScaleUp",
        "",
        "note",
    ),
    (
        "pool-at-limit",
        "NotTriggerScaleUp",
        r"max node group size reached",
        "the node pool is at its limit",
        "gcloud container node-pools update POOL --enable-autoscaling --max-nodes N, or fewer replicas",
    ),
    (
        "no-pool",
        "NotTriggerScaleUp",
        r"(.+)",
        "no node pool can grow to take it",
        "a node pool with this GPU and autoscaling, or kubernetes.capacity",
    ),
    (
        "stockout",
        "FailedScaleUp",
        r"ZONE_RESOURCE_POOL_EXHAUSTED|resource_pool_exhausted|does not have enough resources",
        "the zone has no such GPU to give now",
        "another zone, a reservation, or a ladder: kubernetes.capacity",
    ),
    (
        "gpu-quota",
        "FailedScaleUp",
        r"quota",
        "the project's GPU quota is used up",
        "ask for more GPU quota in this region, or another GPU",
    ),
    (
        "scale-up-failed",
        "FailedScaleUp",
        r"(.+)",
        "the autoscaler cannot add a node",
        "the sentence says why",
    ),
    ("too-large", "NodesTooSmall", r"(.+)", "no node is large enough: {1}", _SMALLER),
    (
        "no-device",
        "NodesWithoutDevice",
        r"(\S+) on (.+)",
        "the nodes that it could run on ({2}) offer no {1}",
        "the GPU's driver and its device plugin must run there: `kubectl -n kube-system get daemonset`, "
        "`kubectl describe node`",
    ),
    ("cordoned", "NodesCordoned", r"(.+)", "the nodes that it could run on are cordoned: {1}", _UNCORDON),
    ("nodes-not-ready", "NodesNotReady", r"(.+)", "the nodes that it could run on are not ready: {1}", _MEND),
    ("no-accelerator", "NoSuchNode", r"(.+)", "no node has {1}", _WHICH),
    (
        "too-large",
        _WAITS,
        rf"Insufficient ([^ ,:]+).*: {UNRESOLVABLE}",
        "no node is large enough: not even an empty one has so many {1}",
        _SMALLER,
    ),
    (
        "gpu-taken",
        _WAITS,
        r"Insufficient (nvidia\.com/gpu|amd\.com/gpu)",
        "every GPU of that kind is taken",
        "fewer replicas, or more GPU nodes",
        "",
        "PendingRollout",
    ),
    ("cordoned", _WAITS, r"were unschedulable", "the nodes that it could run on are cordoned", _UNCORDON),
    (
        "nodes-not-ready",
        _WAITS,
        r"untolerated taint \{node\.kubernetes\.io/(?:not-ready|unreachable)",
        "the nodes that it could run on are not ready",
        _MEND,
    ),
    (
        "no-accelerator",
        _WAITS,
        r"didn't match (?:Pod's )?node (?:affinity|selector)",
        "no node has the GPU that was asked for",
        _WHICH,
    ),
    (
        "taint",
        f"{_WAITS}|NodesTainted",
        r"untolerated taint \{([^}:]+)",
        "the nodes' taint {1} is not tolerated",
        "kubernetes: {tolerations: [{key: {1}, operator: Exists}]}",
    ),
    (
        "taint-unnamed",
        _WAITS,
        r"untolerated taint",
        "the nodes have a taint that is not tolerated",
        "`kubectl get nodes -o custom-columns=N:.metadata.name,T:.spec.taints` names it; "
        "kubernetes.tolerations",
    ),
    (
        "node-memory",
        _WAITS,
        r"Insufficient memory",
        "no node has so much memory free",
        "a larger machine type: hardware.machine",
    ),
    (
        "node-cpu",
        _WAITS,
        r"Insufficient cpu",
        "no node has so many cores free",
        "a larger machine type: hardware.machine",
    ),
    (
        "node-disk",
        _WAITS,
        r"Insufficient ephemeral-storage",
        "no node has so much local disk free",
        "node pools with a larger boot disk",
    ),
    (
        "node-device",
        _WAITS,
        r"Insufficient (\S+)",
        "no node has so much {1} free",
        "larger nodes, or more of them",
        "",
        "PendingRollout",
    ),
    (
        "node-pods",
        _WAITS,
        r"Too many pods",
        "the nodes run as many pods as they may",
        "more nodes, or a higher limit of pods a node (on GKE: --max-pods-per-node)",
    ),
    (
        "node-ports",
        _WAITS,
        r"didn't have free ports",
        "the pod's host port is taken on every node",
        "somebody has set a hostPort or hostNetwork on the pods: take it out",
    ),
    (
        "spread",
        _WAITS,
        r"didn't match pod topology spread constraints",
        "the rule by which pods are spread leaves no node",
        "somebody has set a hard topologySpreadConstraint: Stoker's own only prefers; more nodes or zones, "
        "or whenUnsatisfiable: ScheduleAnyway",
    ),
    (
        "affinity",
        _WAITS,
        r"(?:pod affinity|anti-affinity) rules|existing pods' anti-affinity",
        "rules about pods beside one another leave no node",
        "somebody has set podAffinity or podAntiAffinity, on these pods or on those that run: more nodes, or "
        "take the rule out",
    ),
    (
        "claims",
        _WAITS,
        r"((?:cannot allocate all claims|resourceclaim|waiting for resource claim|waiting for dynamic "
        r"resource).*)",
        "its devices (resource claims) cannot be had: {1}",
        "`kubectl get resourceclaim,resourceslice` shows what there is; somebody has set resourceClaims on "
        "the pods",
    ),
    (
        "gated",
        f"{_WAITS}|SchedulingGated",
        r"scheduling gates",
        "its scheduling is held back by a gate",
        "whoever sets the gate (a queue such as Kueue, a quota) must take it off: `kubectl get pod -o "
        "jsonpath={.spec.schedulingGates}`",
    ),
    (
        "no-scheduler",
        "NoScheduler",
        r"(.+)",
        "no scheduler looks at it: {1}",
        "kube-scheduler must run; where somebody has set a schedulerName on the pods, that one must",
    ),
    (
        "node-refused",
        "UnexpectedAdmissionError|OutOf\\S+|NodeAffinity|NodePorts|TopologyAffinityError",
        r"(.+)",
        "its node took it and sent it back: {1}",
        "another is made at once; where it goes on, the node's GPU plugin or its labels have changed: "
        "`kubectl describe node`",
    ),
    (
        "sandbox",
        "FailedCreatePodSandBox",
        r"(.+)",
        "its node cannot give it a network or a sandbox",
        "the sentence says why: the node's network plugin (CNI), its free addresses, its container runtime",
    ),
    (
        "no-nodes",
        _WAITS,
        r"no nodes available",
        "the cluster has no node at all",
        "add a node pool with the GPU",
    ),
    (
        "scheduler",
        _WAITS,
        r"(?:nodes are available: |^(?=\d+ ))(.+)",
        "no node takes it: {1}",
        "the sentence is the scheduler's own: `kubectl describe pod` shows all of it",
        "",
        "PendingRollout",
    ),
    (
        "nodes-out",
        "SomeNodesNotReady|SomeNodesCordoned",
        r"(.+)",
        "some nodes that it could run on are out of service: {1}",
        "`kubectl get nodes` shows them; `kubectl describe node` why",
        "",
        "",
        "warning",
    ),
)
