"""The kinds that the double serves: their groups, plural names, and whether they stand in a namespace."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object."""

    kind: str
    version: str
    plural: str
    namespaced: bool = True
    custom: bool = False

    @property
    def root(self) -> str:
        """Where its group is served: `/api/v1`, `/apis/apps/v1`."""
        return f"/apis/{self.version}" if "/" in self.version else f"/api/{self.version}"


KINDS = (
    Kind("Namespace", "v1", "namespaces", namespaced=False),
    Kind("Node", "v1", "nodes", namespaced=False),
    Kind("PersistentVolume", "v1", "persistentvolumes", namespaced=False),
    Kind("PersistentVolumeClaim", "v1", "persistentvolumeclaims"),
    Kind("Pod", "v1", "pods"),
    Kind("Service", "v1", "services"),
    Kind("ServiceAccount", "v1", "serviceaccounts"),
    Kind("Secret", "v1", "secrets"),
    Kind("ConfigMap", "v1", "configmaps"),
    Kind("Event", "v1", "events"),
    Kind("Lease", "coordination.k8s.io/v1", "leases"),
    Kind("ResourceQuota", "v1", "resourcequotas"),
    Kind("Deployment", "apps/v1", "deployments"),
    Kind("ReplicaSet", "apps/v1", "replicasets"),
    Kind("ControllerRevision", "apps/v1", "controllerrevisions"),
    Kind("Job", "batch/v1", "jobs"),
    Kind("HorizontalPodAutoscaler", "autoscaling/v2", "horizontalpodautoscalers"),
    Kind("ScaledObject", "keda.sh/v1alpha1", "scaledobjects", custom=True),
    Kind("AutoscalingMetric", "autoscaling.gke.io/v1beta1", "autoscalingmetrics", custom=True),
    Kind("PodDisruptionBudget", "policy/v1", "poddisruptionbudgets"),
    Kind("NetworkPolicy", "networking.k8s.io/v1", "networkpolicies"),
    Kind("StorageClass", "storage.k8s.io/v1", "storageclasses", namespaced=False),
    Kind("VolumeAttachment", "storage.k8s.io/v1", "volumeattachments", namespaced=False),
    Kind("CSIDriver", "storage.k8s.io/v1", "csidrivers", namespaced=False),
    Kind("APIService", "apiregistration.k8s.io/v1", "apiservices", namespaced=False),
    Kind("LimitRange", "v1", "limitranges"),
    Kind("Role", "rbac.authorization.k8s.io/v1", "roles"),
    Kind("RoleBinding", "rbac.authorization.k8s.io/v1", "rolebindings"),
    Kind("VolumeSnapshot", "snapshot.storage.k8s.io/v1", "volumesnapshots", custom=True),
    Kind(
        "VolumeSnapshotClass",
        "snapshot.storage.k8s.io/v1",
        "volumesnapshotclasses",
        namespaced=False,
        custom=True,
    ),
    Kind("LeaderWorkerSet", "leaderworkerset.x-k8s.io/v1", "leaderworkersets", custom=True),
    Kind("PodMonitoring", "monitoring.googleapis.com/v1", "podmonitorings", custom=True),
    Kind("PodMonitor", "monitoring.coreos.com/v1", "podmonitors", custom=True),
    Kind("Rules", "monitoring.googleapis.com/v1", "rules", custom=True),
    Kind("PrometheusRule", "monitoring.coreos.com/v1", "prometheusrules", custom=True),
    Kind("Gateway", "gateway.networking.k8s.io/v1", "gateways", custom=True),
    Kind("HTTPRoute", "gateway.networking.k8s.io/v1", "httproutes", custom=True),
    Kind("InferencePool", "inference.networking.k8s.io/v1", "inferencepools", custom=True),
    Kind("GCPBackendPolicy", "networking.gke.io/v1", "gcpbackendpolicies", custom=True),
    Kind("HealthCheckPolicy", "networking.gke.io/v1", "healthcheckpolicies", custom=True),
    Kind("ComputeClass", "cloud.google.com/v1", "computeclasses", namespaced=False, custom=True),
)
BY_KIND = {kind.kind: kind for kind in KINDS}
