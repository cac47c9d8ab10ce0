"""What a cluster says where something is wrong, as it was recorded, and the rule that it is."""

# Events of a pod: the rule, the reason, the text.
NONE = "0/23 nodes are available: "
EVENTS = [
    (
        "gpu-taken",
        "FailedScheduling",
        NONE
        + "23 Insufficient nvidia.com/gpu. preemption: 0/23 nodes are available: 23 No preemption victims "
        "found for incoming pod.",
    ),
    ("no-accelerator", "FailedScheduling", NONE + "23 node(s) didn't match Pod's node affinity/selector."),
    ("taint", "FailedScheduling", NONE + "23 node(s) had untolerated taint {dedicated: ml}."),
    (
        "taint-unnamed",
        "FailedScheduling",
        NONE + "23 node(s) had untolerated taint(s). no new claims to deallocate, preemption: 0/23 nodes are "
        "available: 23 Preemption is not helpful for scheduling.",
    ),
    (
        "gpu-taken",
        "FailedScheduling",
        NONE + "3 node(s) had untolerated taint {dedicated: ml}, 20 Insufficient nvidia.com/gpu.",
    ),
    ("node-memory", "FailedScheduling", NONE + "23 Insufficient memory."),
    ("node-cpu", "FailedScheduling", NONE + "23 Insufficient cpu."),
    ("node-disk", "FailedScheduling", NONE + "1 Insufficient ephemeral-storage."),
    ("zone", "FailedScheduling", NONE + "2 node(s) had volume node affinity conflict."),
    ("claim-missing", "FailedScheduling", NONE + 'persistentvolumeclaim "shop-1a2b3c4d" not found.'),
    ("claim-pending", "FailedScheduling", NONE + "pod has unbound immediate PersistentVolumeClaims."),
    ("pool-at-limit", "NotTriggerScaleUp", "pod didn't trigger scale-up: 1 max node group size reached"),
    (
        "no-pool",
        "NotTriggerScaleUp",
        "pod didn't trigger scale-up: 2 node(s) didn't match Pod's node affinity/selector",
    ),
    (
        "stockout",
        "FailedScaleUp",
        "Node scale up in zones us-east4-a associated with this pod failed: GCE out of resources. "
        "ZONE_RESOURCE_POOL_EXHAUSTED",
    ),
    (
        "gpu-quota",
        "FailedScaleUp",
        "Node scale up in zones us-east4-a associated with this pod failed: GCE quota exceeded. Pod is at "
        "risk of not being scheduled.",
    ),
    (
        "multi-attach",
        "FailedAttachVolume",
        'Multi-Attach error for volume "pvc-1" Volume is already exclusively attached to one node and can\'t '
        "be attached to another",
    ),
    ("attach", "FailedMount", "MountVolume.MountDevice failed for volume: rpc error: code = Internal"),
    (
        "image-missing",
        "Failed",
        'Failed to pull image "vllm/vllm-openai:v0.99.0": rpc error: code = NotFound desc = failed to pull '
        "and unpack image: not found",
    ),
    (
        "image-credentials",
        "Failed",
        'Failed to pull image "us-docker.pkg.dev/p/r/vllm:1": failed to authorize: failed to fetch oauth '
        "token: unexpected status: 403 Forbidden",
    ),
    (
        "image-rate",
        "Failed",
        'Failed to pull image "vllm/vllm-openai:v0.32.0": 429 Too Many Requests - toomanyrequests: You have '
        "reached your pull rate limit.",
    ),
    (
        "image-name",
        "InspectFailed",
        'Failed to apply default image tag "Vllm:x:y": couldn\'t parse image name',
    ),
    ("secret-missing", "Failed", 'Error: secret "shop-keys" not found'),
    ("probe-startup", "Killing", "Container engine failed startup probe, will be restarted"),
    ("probe-readiness", "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503"),
    ("probe-liveness", "Killing", "Container engine failed liveness probe, will be restarted"),
    ("evicted", "Evicted", "The node was low on resource: ephemeral-storage."),
    ("preempted", "Preempted", "Preempted by pod 3f2a on node l4-0"),
    ("node-lost", "NodeNotReady", "Node is not ready"),
    (
        "configmap-missing",
        "FailedMount",
        'MountVolume.SetUp failed for volume "scripts" : configmap "shop-scripts" not found',
    ),
    ("no-scheduler", "NoScheduler", "default-scheduler has not looked at it in 20 s"),
    (
        "sandbox",
        "FailedCreatePodSandBox",
        "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox",
    ),
    ("claim-missing", "FailedScheduling", NONE + 'persistentvolumeclaim "shop-1a2b3c4d" is being deleted.'),
    ("no-nodes", "FailedScheduling", "no nodes available to schedule pods"),
    ("crash-loop", "BackOff", "Back-off restarting failed container engine in pod shop-7d9c-abcde"),
]
# Events of other objects, with the object.
OTHERS = [
    (
        "pod-security",
        "ReplicaSet/shop-7d9c",
        "FailedCreate",
        'Error creating: pods "shop-7d9c-x" is forbidden: violates PodSecurity "restricted:latest": '
        "allowPrivilegeEscalation != false",
    ),
    (
        "namespace-quota",
        "ReplicaSet/shop-7d9c",
        "FailedCreate",
        'Error creating: pods "shop-7d9c-x" is forbidden: exceeded quota: gpus, requested: '
        "requests.nvidia.com/gpu=4, used: 8, limited: 8",
    ),
    (
        "webhook-down",
        "ReplicaSet/shop-7d9c",
        "FailedCreate",
        'Error creating: Internal error occurred: failed calling webhook "policy.acme": connection refused',
    ),
    (
        "webhook-denied",
        "ReplicaSet/shop-7d9c",
        "FailedCreate",
        'Error creating: admission webhook "policy.acme" denied the request: no GPUs on Mondays',
    ),
    (
        "no-service-account",
        "ReplicaSet/shop-7d9c",
        "FailedCreate",
        'Error creating: pods "shop-7d9c-" is forbidden: error looking up service account ml/mlp: '
        'serviceaccount "mlp" not found',
    ),
    (
        "disk-quota",
        "PersistentVolumeClaim/shop-1a2b",
        "ProvisioningFailed",
        "failed to provision volume: googleapi: Error 403: Quota 'SSD_TOTAL_GB' exceeded. Limit: 500.0 in "
        "region us-east4.",
    ),
    (
        "no-class",
        "PersistentVolumeClaim/shop-1a2b",
        "ProvisioningFailed",
        'storageclass.storage.k8s.io "fast" not found',
    ),
    (
        "provision",
        "PersistentVolumeClaim/shop-1a2b",
        "ProvisioningFailed",
        "failed to provision volume: rpc error: code = Internal",
    ),
    (
        "no-driver",
        "PersistentVolumeClaim/shop-1a2b",
        "NoDriver",
        "no CSI driver of the name pd.csi.storage.gke.io is in the cluster",
    ),
    ("no-snapshotter", "VolumeSnapshot/shop-1a2b", "NoSnapshotter", "no controller has looked at it in 60 s"),
    (
        "hpa-adapter-down",
        "APIService/v1beta1.custom.metrics.k8s.io",
        "AdapterDown",
        'MissingEndpoints: endpoints for service/custom-metrics in "monitoring" have no addresses with port '
        'name "https"',
    ),
    (
        "hpa-ambiguous",
        "HorizontalPodAutoscaler/shop",
        "AmbiguousSelector",
        "pods by selector app=x are controlled by multiple HPAs: [ml/x ml/y]",
    ),
    (
        "hpa-selector",
        "HorizontalPodAutoscaler/shop",
        "InvalidSelector",
        "the HPA target's scale is missing a selector",
    ),
    ("no-route", "Gateway/shop", "NoRoute", "no controller has accepted it"),
    (
        "hpa-adapter",
        "HorizontalPodAutoscaler/shop",
        "FailedGetPodsMetric",
        "unable to get metric vllm_num_requests_waiting: unable to fetch metrics from custom metrics API: no "
        "known available metric versions found",
    ),
    (
        "hpa-rights",
        "HorizontalPodAutoscaler/shop",
        "FailedGetPodsMetric",
        "unable to fetch metrics from custom metrics API: googleapi: Error 403: Permission "
        "monitoring.timeSeries.list denied, forbidden",
    ),
    (
        "hpa-adapter",
        "HorizontalPodAutoscaler/shop",
        "FailedGetPodsMetric",
        "unable to get metric vllm_num_requests_waiting: unable to fetch metrics from custom metrics API: no "
        "custom metrics API (custom.metrics.k8s.io) registered",
    ),
    (
        "hpa-adapter-down",
        "HorizontalPodAutoscaler/shop",
        "FailedGetPodsMetric",
        "unable to get metric vllm_num_requests_waiting: unable to fetch metrics from custom metrics API: "
        "the server is currently unable to handle the request (get pods.custom.metrics.k8s.io *)",
    ),
    (
        "hpa-name",
        "HorizontalPodAutoscaler/shop",
        "FailedGetPodsMetric",
        "unable to get metric vllm_num_requests_waiting: unable to fetch metrics from custom metrics API: "
        "the server could not find the metric vllm_num_requests_waiting for pods",
    ),
    (
        "hpa-name",
        "HorizontalPodAutoscaler/shop",
        "FailedGetPodsMetric",
        "unable to fetch metrics from custom metrics API: googleapi: Error 404: Cannot find metric(s) that "
        'match type = "prometheus.googleapis.com/vllm:num_requests_waiting/gauge". If a metric was created '
        "recently, it could take up to 10 minutes to become available.",
    ),
    (
        "hpa-no-figures",
        "HorizontalPodAutoscaler/shop",
        "FailedGetPodsMetric",
        "unable to get metric x: no metrics returned from custom metrics API",
    ),
    (
        "hpa-no-figures",
        "HorizontalPodAutoscaler/shop",
        "FailedGetPodsMetric",
        "unable to get metric x: did not receive metrics for any ready pods",
    ),
    (
        "hpa-metric",
        "HorizontalPodAutoscaler/shop",
        "FailedGetPodsMetric",
        "unable to get metric x: something new",
    ),
    ("hpa-page", "HorizontalPodAutoscaler/shop", "NoSuchFamily", "vllm:num_requests_waiting"),
    ("hpa-no-scrape", "PodMonitoring/ml", "NoScrape", "no PodMonitoring of ml selects the pods"),
    ("hpa-gateway-page", "HorizontalPodAutoscaler/shop", "NoSuchGatewayFamily", "stoker_gateway_requests"),
    ("hpa-no-gateway-scrape", "PodMonitor/ml", "NoGatewayScrape", "no PodMonitor of ml selects the pods"),
    ("hpa-autoscaling-metric", "AutoscalingMetric/shop", "NotExposed", "no AutoscalingMetric shop is in ml"),
    (
        "hpa-external-taken",
        "APIService/v1beta1.external.metrics.k8s.io",
        "ExternalTaken",
        "keda/keda-operator-metrics-apiserver serves external metrics, and not the adapter's",
    ),
    ("hpa-keda-operator", "ScaledObject/shop", "KedaNoOperator", "no operator has looked at it in 60 s"),
    ("hpa-keda-paused", "ScaledObject/shop", "KedaPaused", "ScaledObject is paused"),
    ("hpa-keda-fallback", "ScaledObject/shop", "KedaFallback", "3 replicas, while ttft gives no figure"),
    (
        "hpa-keda-failing",
        "ScaledObject/shop",
        "KedaFailing",
        "prometheus query api returned error. status: 503",
    ),
    (
        "hpa-keda-refused",
        "ScaledObject/shop",
        "KedaRefused",
        "the workload 'shop' of type 'apps/v1.Deployment' is already managed by the hpa 'mine'",
    ),
    (
        "hpa-adapter",
        "HorizontalPodAutoscaler/shop",
        "FailedGetExternalMetric",
        "unable to get external metric ml/stoker_gateway_requests/&LabelSelector{}: unable to fetch metrics "
        "from external metrics API: the server could not find the requested resource",
    ),
    (
        "hpa-no-figures",
        "HorizontalPodAutoscaler/shop",
        "FailedGetExternalMetric",
        "unable to get external metric ml/x: no metrics returned from external metrics API",
    ),
    (
        "hpa-scrape",
        "PodMonitoring/shop",
        "ScrapeFailed",
        'Get "http://10.0.0.7:8000/metrics": context deadline exceeded',
    ),
    (
        "hpa-unreachable",
        "HorizontalPodAutoscaler/shop",
        "TargetUnreachable",
        "300 running a replica, and the engine runs 256 at once at most",
    ),
    ("hpa-target", "HorizontalPodAutoscaler/shop", "FailedGetScale", 'deployments.apps "shop" not found'),
    (
        "hpa-at-max",
        "HorizontalPodAutoscaler/shop",
        "TooManyReplicas",
        "the desired replica count is more than the maximum replica count",
    ),
    (
        "scale-up-failed",
        "Pod/shop-7d9c-abcde",
        "FailedScaleUp",
        "Node scale up in zones us-east4-a associated with this pod failed: Internal error.",
    ),
    ("no-controller", "LeaderWorkerSet/shop", "NoController", "no controller has looked at it in 20 s"),
    (
        "snapshot",
        "VolumeSnapshot/shop-1a2b",
        "SnapshotCreationFailed",
        "failed to take snapshot: rate limited",
    ),
]

# What the copy of the weights ended with.
STAGES = [
    (
        "copy-denied",
        "googleapi: Error 403: shop@p.iam does not have storage.objects.list access to the bucket",
    ),
    ("bucket-missing", "googleapi: Error 404: The specified bucket does not exist., notFound"),
    ("copy-full", "write /models/m/model-1.safetensors: no space left on device"),
]

# What this Stoker's own looks at a cluster say, and what is seen beside something else.
WRITTEN = [
    ("autoscaler", "AutoscalerHeld", "3 replicas need 3 GPUs: 2 are here"),
    ("host-memory", "OOMKilling", "Memory cgroup out of memory: OOMKilled process 7 (vllm)"),
    ("paused", "DeploymentPaused", "Deployment is paused"),
    ("suspended", "JobSuspended", "Job suspended"),
    ("namespace-terminating", "NamespaceTerminating", "Some resources are remaining: pods. has 1"),
    ("finalizer", "FinalizerHolds", "acme.example/keep"),
    ("service-gone", "ServiceGone", "there is no Service shop"),
    ("rollout-gpu", "PendingRollout", NONE + "1 Insufficient nvidia.com/gpu."),
    ("gated", "SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates"),
    ("node-refused", "OutOfnvidia.com/gpu", "Node didn't have enough resource"),
    ("nodes-out", "SomeNodesCordoned", "l4-0"),
    ("group-incomplete", "Starting", "1 of 2 pods of its group are there"),
]
