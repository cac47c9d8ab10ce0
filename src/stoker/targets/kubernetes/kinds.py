"""Where the API serves each kind that a fleet is made of."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind's group and version, plural name, and whether it stands in a namespace."""

    version: str
    plural: str
    namespaced: bool = True

    @property
    def group(self) -> str:
        """The API group; empty for the core."""
        return self.version.rpartition("/")[0]

    def path(self, namespace: str | None, name: str = "") -> str:
        """The path of one object, or of all."""
        root = f"/apis/{self.version}" if "/" in self.version else f"/api/{self.version}"
        space = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{root}{space}/{self.plural}{f'/{name}' if name else ''}"


RESOURCES = {
    "Namespace": Resource("v1", "namespaces", namespaced=False),
    "Node": Resource("v1", "nodes", namespaced=False),
    "PersistentVolume": Resource("v1", "persistentvolumes", namespaced=False),
    "PersistentVolumeClaim": Resource("v1", "persistentvolumeclaims"),
    "Pod": Resource("v1", "pods"),
    "Service": Resource("v1", "services"),
    "ServiceAccount": Resource("v1", "serviceaccounts"),
    "Secret": Resource("v1", "secrets"),
    "ConfigMap": Resource("v1", "configmaps"),
    "Event": Resource("v1", "events"),
    "Lease": Resource("coordination.k8s.io/v1", "leases"),
    "Deployment": Resource("apps/v1", "deployments"),
    "ReplicaSet": Resource("apps/v1", "replicasets"),
    "ControllerRevision": Resource("apps/v1", "controllerrevisions"),
    "Job": Resource("batch/v1", "jobs"),
    "HorizontalPodAutoscaler": Resource("autoscaling/v2", "horizontalpodautoscalers"),
    "ScaledObject": Resource("keda.sh/v1alpha1", "scaledobjects"),
    "AutoscalingMetric": Resource("autoscaling.gke.io/v1beta1", "autoscalingmetrics"),
    "PodDisruptionBudget": Resource("policy/v1", "poddisruptionbudgets"),
    "NetworkPolicy": Resource("networking.k8s.io/v1", "networkpolicies"),
    "StorageClass": Resource("storage.k8s.io/v1", "storageclasses", namespaced=False),
    "VolumeAttachment": Resource("storage.k8s.io/v1", "volumeattachments", namespaced=False),
    "CSIDriver": Resource("storage.k8s.io/v1", "csidrivers", namespaced=False),
    "APIService": Resource("apiregistration.k8s.io/v1", "apiservices", namespaced=False),
    "LimitRange": Resource("v1", "limitranges"),
    "VolumeSnapshot": Resource("snapshot.storage.k8s.io/v1", "volumesnapshots"),
    "VolumeSnapshotClass": Resource("snapshot.storage.k8s.io/v1", "volumesnapshotclasses", namespaced=False),
    "LeaderWorkerSet": Resource("leaderworkerset.x-k8s.io/v1", "leaderworkersets"),
    "PodMonitoring": Resource("monitoring.googleapis.com/v1", "podmonitorings"),
    "PodMonitor": Resource("monitoring.coreos.com/v1", "podmonitors"),
    "Rules": Resource("monitoring.googleapis.com/v1", "rules"),
    "PrometheusRule": Resource("monitoring.coreos.com/v1", "prometheusrules"),
    "ComputeClass": Resource("cloud.google.com/v1", "computeclasses", namespaced=False),
    "ResourceQuota": Resource("v1", "resourcequotas"),
    "Role": Resource("rbac.authorization.k8s.io/v1", "roles"),
    "RoleBinding": Resource("rbac.authorization.k8s.io/v1", "rolebindings"),
    "Gateway": Resource("gateway.networking.k8s.io/v1", "gateways"),
    "HTTPRoute": Resource("gateway.networking.k8s.io/v1", "httproutes"),
    "InferencePool": Resource("inference.networking.k8s.io/v1", "inferencepools"),
    "GCPBackendPolicy": Resource("networking.gke.io/v1", "gcpbackendpolicies"),
    "HealthCheckPolicy": Resource("networking.gke.io/v1", "healthcheckpolicies"),
}
