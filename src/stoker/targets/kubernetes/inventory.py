"""What a fleet may be made of: the kinds that are made once, those that go with `down`, those that hold
weights."""

# What a change of would be refused: they are made once, under a name that says what they hold.
ONCE = (
    "Job",
    "PersistentVolumeClaim",
    "PersistentVolume",
    "StorageClass",
    "VolumeSnapshot",
    "VolumeSnapshotClass",
)
# What a fleet may own, in the order in which it is taken away.
OWNED = (
    "ScaledObject",
    "HorizontalPodAutoscaler",
    "AutoscalingMetric",
    "PodMonitoring",
    "PodMonitor",
    "Rules",
    "PrometheusRule",
    "GCPBackendPolicy",
    "HealthCheckPolicy",
    "HTTPRoute",
    "Gateway",
    "InferencePool",
    "RoleBinding",
    "Role",
    "PodDisruptionBudget",
    "Service",
    "Deployment",
    "LeaderWorkerSet",
    "Job",
    "ControllerRevision",
    "NetworkPolicy",
    "ConfigMap",
    "Secret",
    "ComputeClass",
    "ServiceAccount",
)
# What moves the number of replicas: of one fleet one at a time.
SCALERS = ("ScaledObject", "HorizontalPodAutoscaler")
WORKLOADS = ("Deployment", "LeaderWorkerSet")
WEIGHTS = ("PersistentVolumeClaim", "VolumeSnapshot", "PersistentVolume")
