"""The causes that are known: what is seen, what it means, what to do. The first that fits a sign explains it.

Texts are those of Kubernetes 1.30 to 1.36, cluster-autoscaler, GKE's CSI drivers, rclone and vLLM; each has a
recorded case in the tests.
"""

from stoker.advise.why.making import MAKING
from stoker.advise.why.placing import PLACING, VOLUMES
from stoker.advise.why.rule import Rule
from stoker.advise.why.rule import rules as _rules

# links before the adapter, which then has nothing to say
_NEARER = "NoSuchFamily|NoScrape|ScrapeFailed|AdapterDown"
RULES: tuple[Rule, ...] = (
    # what an engine said as it died comes first: it is the nearest to the cause
    *_rules(
        (
            "host-memory",
            "Failed|OOMKilling",
            r"OOMKilled|host's memory ran out",
            "the host's memory ran out",
            "a machine type with more host memory, or fewer adapters and workers",
        ),
        (
            "gated-model",
            "Failed|BackOff",
            r"gated repo|403 Client Error.*huggingface|awaiting a review|access to model .* is "
            r"restricted|hub refuses the model",
            "the hub does not give this model to the token",
            "ask for access on the model's page, and name the token: model.token",
        ),
        (
            "missing-token",
            "Failed|BackOff",
            r"401 Client Error|token is required|Invalid (?:user|username or) token|hub token",
            "the hub wants a token",
            "model: {token: 'env:HF_TOKEN'}",
        ),
        (
            "gpu-memory",
            "Failed|BackOff",
            r"CUDA out of memory|out of GPU memory|No available memory for the cache blocks|does not have "
            r"enough memory|GPU.*memory ran out|GPU is out of memory|of the GPU.s \S+ GiB are free",
            "the GPU's memory is too small for this plan",
            "`stoker plan` shows what fits: a shorter max-model-len, more GPUs, or another GPU",
        ),
        (
            "length-above-cache",
            "Failed|BackOff",
            r"max.?(?:seq|model).?len.{0,80}(?:larger|greater|KV cache)|KV "
            r"cache.{0,60}(?:needed|smaller)|max-model-len \S+ needs|no memory is left for the KV cache",
            "max-model-len is longer than the KV cache holds",
            "a shorter engine.max-model-len; `stoker plan` shows which",
        ),
        (
            "heads",
            "Failed|BackOff",
            r"divisible by (?:the )?tensor|does not divide|number of attention heads|attention heads",
            "the tensor parallel size does not divide the model's heads",
            "another count in hardware; `stoker plan` names those that do",
        ),
        (
            "unknown-option",
            "Failed|BackOff",
            r"(?:unrecognized arguments?:|vLLM does not know(?! the)) (\S+)",
            "the image's vLLM does not know {1}",
            "engine.version must be the image's own release",
        ),
        (
            "nccl",
            "Failed|BackOff",
            r"NCCL (?:error|WARN)|ncclSystemError|unhandled (?:cuda|system) error|/dev/shm|GPUs cannot "
            r"talk|shared memory is full",
            "the ranks cannot speak with each other",
            "check /dev/shm and the network policy between the group's pods; NCCL_DEBUG=INFO in engine.env "
            "says more",
        ),
        (
            "driver",
            "Failed|BackOff",
            r"driver (?:on your system )?is too old|CUDA driver version is insufficient|no kernel image is "
            r"available|not among those vLLM is built for",
            "the node's GPU driver does not go with the image's CUDA",
            "a newer driver on the nodes, or an image built for an older CUDA: engine.image",
        ),
        (
            "no-model-files",
            "Failed|BackOff",
            r"config\.json.{0,40}(?:not found|does not exist|No such file)|no model files|Can't load the "
            r"configuration|no model folder|has no (?:weights|config)",
            "the volume does not hold the model where the engine looks",
            "the folder on the disk must have the source's last name; `kubectl exec` shows /models",
        ),
        (
            "pickle",
            "Failed|BackOff",
            r"pickle|no safetensors",
            "the weights are no safetensors",
            "convert them: pickles are not served",
        ),
    ),
    *_rules(
        (
            "image-name",
            "Failed|BackOff|InspectFailed",
            r"InvalidImageName|couldn't parse image",
            "the image's name is not valid",
            "engine.image",
        ),
        (
            "image-credentials",
            "Failed|BackOff",
            r"(?:pull|image).*(?:unauthorized|denied|authentication required|403 Forbidden)",
            "the registry does not let the node pull the image",
            "grant the nodes' service account roles/artifactregistry.reader, or add an imagePullSecret to "
            "the service account",
        ),
        (
            "image-rate",
            "Failed|BackOff",
            r"toomanyrequests|rate limit|429 Too Many",
            "the registry's rate limit is reached",
            "mirror the image into your own registry, and name it: engine.image",
        ),
        (
            "image-missing",
            "Failed|BackOff",
            r"(?:pull|image).*(?:not found|manifest unknown)|ErrImagePull|ImagePullBackOff",
            "there is no such image",
            "engine.image, or engine.version: a release that has one",
        ),
        (
            "secret-missing",
            "Failed|FailedMount",
            r'secret "([^"]+)" not found|couldn\'t find key (\S+) in Secret|CreateContainerConfigError',
            "the secret {1|or a key of it} is not there",
            "`stoker up` makes it from env: and file: references; a secret: reference must be there already",
        ),
    ),
    *MAKING,
    *VOLUMES,
    *PLACING,
    *_rules(
        (
            "copy-denied",
            "Failed|Loading",
            r"403|AccessDenied|does not have storage\.|permission",
            "the copy may not read the bucket",
            "grant the fleet's service account roles/storage.objectViewer on the bucket (workload identity)",
        ),
        (
            "bucket-missing",
            "Failed|Loading",
            r"bucket.*(?:not found|doesn't exist|does not exist)|NoSuchBucket|directory not found",
            "there is no such bucket or folder",
            "model.source",
        ),
        (
            "copy-full",
            "Failed|Loading",
            r"no space left on device",
            "the disk is too small for the weights",
            "kubernetes.disk.size",
        ),
        (
            "snapshot",
            "Failed|SnapshotContentCreationFailed|SnapshotCreationFailed|CreateSnapshotFailed",
            r"snapshot",
            "the snapshot of the weights failed",
            "the sentence says why; `kubectl describe volumesnapshot` says more",
        ),
    ),
    *_rules(
        (
            "probe-startup",
            "Killing",
            r"failed startup probe",
            "it was not up within its start budget",
            "the budget follows from the size of the weights: is the source slow? `stoker logs` shows what "
            "it does",
        ),
        (
            "probe-liveness",
            "Unhealthy|Killing",
            r"failed liveness probe|Liveness probe failed",
            "its requests made no progress, so it is restarted",
            "`stoker logs`: a hanging rank or GPU; report it with the log",
        ),
        (
            "probe-readiness",
            "Unhealthy|Unready",
            r"Readiness probe failed|it was ready before",
            "it was ready and is not any more, so that it gets no requests",
            "`stoker logs` shows what the engine does: overloaded, hanging, or its port is not reached from "
            "the node",
        ),
        (
            "evicted",
            "Evicted|Evicting",
            r"(.+)",
            "the node ran short and evicted it",
            "larger nodes; the sentence names what ran short",
        ),
        (
            "preempted",
            "Preempted|Preempting",
            r"(.+)",
            "a pod of higher priority took its place",
            "kubernetes.priority_class",
        ),
        (
            "node-lost",
            "NodeNotReady|TaintManagerEviction|NodeLost",
            r"(.+)",
            "its node is gone",
            "another comes where nodes scale; Spot nodes go at any time",
        ),
        (
            "no-controller",
            "NoController",
            r"(.+)",
            "the cluster has its definition, but no controller for it runs",
            "install or mend the controller (for a LeaderWorkerSet: "
            "https://lws.sigs.k8s.io/docs/installation/)",
        ),
        (
            "group-incomplete",
            "Pending|Starting|Scheduled",
            r"(\d+ of \d+) pods of its group",
            "its group is not complete",
            "each rank needs a node of its own: are there enough?",
        ),
    ),
    *_rules(
        (
            "hpa-page",
            "NoSuchFamily",
            r"(.+)",
            "the engine serves no metric {1}",
            "scaling.metrics: this release's own; an image of another release than engine.version?",
        ),
        (
            "hpa-no-scrape",
            "NoScrape",
            r"no (\S+)",
            "nothing scrapes the engine's metrics",
            "`stoker up` makes the {1} in the fleet's own namespace, where alone it selects pods",
        ),
        (
            "hpa-scrape",
            "ScrapeFailed",
            r"(.+)",
            "the engine's metrics cannot be scraped: {1}",
            "the collectors must reach port 8000: kubernetes.clients, or another NetworkPolicy of the "
            "namespace",
        ),
        (
            "hpa-rights",
            "FailedGet\\w*Metric",
            r"forbidden|PERMISSION_DENIED|403",
            "the metrics adapter may not read the metric",
            "grant the adapter's service account roles/monitoring.viewer",
        ),
        (
            "hpa-adapter-down",
            "AdapterDown",
            r"(.+)",
            "the metrics adapter is installed, and down: {1}",
            "mend its own pods: `kubectl get {at} -o yaml` names the Service that they stand behind",
        ),
        (
            "hpa-adapter-down",
            "FailedGet\\w*Metric",
            r"currently unable to handle the request|connection refused|i/o timeout|no endpoints available",
            "the metrics adapter is installed and does not answer",
            "`kubectl get apiservice v1beta1.custom.metrics.k8s.io` and the adapter's own pods show why",
        ),
        (
            "hpa-adapter",
            "FailedGet\\w*Metric",
            r"no custom metrics API|could not find the requested resource|no known available metric versions",
            "the cluster has no metrics adapter",
            "`stoker up` prints the command that installs the one of kubernetes.metrics",
            "",
            "AdapterDown",
        ),
        (
            "hpa-name",
            "FailedGet\\w*Metric",
            r"Cannot find metric|could not find the metric|[Cc]ould not find descriptor",
            "the metrics adapter knows no such metric",
            "after the first scrape it takes up to 10 minutes to appear; then: is it scraped under this "
            "name, and has the Prometheus adapter the rule that `stoker render -O DIR` writes?",
            "",
            _NEARER,
        ),
        (
            "hpa-no-figures",
            "FailedGet\\w*Metric",
            r"no metrics returned|did not receive metrics",
            "the metric is known, and has no figures of these pods",
            "are the pods ready and scraped? `stoker status` shows them, `kubectl get podmonitoring -o yaml` "
            "the scrapes",
            "",
            _NEARER,
        ),
        (
            "hpa-metric",
            "FailedGet\\w*Metric",
            r"(.+)",
            "the HPA gets no figure for its metric",
            "the sentence says which; kubernetes.metrics names the adapter",
            "",
            _NEARER,
        ),
        (
            "hpa-target",
            "FailedGetScale|FailedUpdateScale",
            r"(.+)",
            "the HPA cannot scale the fleet: {1}",
            "its scaleTargetRef must name the fleet, and kube-controller-manager be let write it",
        ),
        (
            "hpa-ambiguous",
            "AmbiguousSelector",
            r"(.+)",
            "two autoscalers pull at the same pods, so that neither acts: {1}",
            "`kubectl get hpa` shows them: delete the one that is not Stoker's",
        ),
        (
            "hpa-selector",
            "InvalidSelector",
            r"(.+)",
            "the HPA cannot tell which pods are the fleet's: {1}",
            "`kubectl get {at} -o yaml`, and the scale subresource of what it scales",
        ),
        (
            "hpa-unreachable",
            "TargetUnreachable",
            r"(.+)",
            "the target of batch-size is never reached: {1}",
            "a lower target in scaling.metrics, a larger engine.max-num-seqs, or queue-depth",
            "",
            "",
            "warning",
        ),
        (
            "hpa-at-max",
            "TooManyReplicas",
            r"(.+)",
            "the HPA wants more replicas than its maximum",
            "a higher end of `replicas`, or a higher target value",
            "",
            "",
            "warning",
        ),
    ),
    *_rules(
        (
            "half-made",
            "Failed",
            r"(.+ no replicas yet.*): `stoker up`",
            "an `up` that did not end has left objects behind: {1}",
            "`stoker up` goes on; `stoker down` takes them away",
        ),
        ("engine", "Failed", r"(.+)", "the engine ended: {1}", "`stoker logs` shows all of it"),
        (
            "crash-loop",
            "BackOff",
            r"restarting failed container",
            "it ends again and again",
            "`stoker logs` shows its last error",
        ),
    ),
)
