"""What a fleet needs from Google Cloud outside of its cluster, as gcloud's own words.

Sources: https://cloud.google.com/kubernetes-engine/docs/how-to/workload-identity (principals of service
accounts), https://cloud.google.com/stackdriver/docs/managed-prometheus/hpa (the adapter's role).
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from stoker.render.manifests.choices import Cluster
from stoker.spec.nouns import Bucket

NUMBER = "PROJECT_NUMBER"
READ = "roles/storage.objectViewer"
ABOUT = "roles/storage.bucketViewer"  # the streamer asks for the bucket itself before it lists
WATCH = "roles/monitoring.viewer"
ADAPTER = ("custom-metrics", "custom-metrics-stackdriver-adapter")


@dataclass(frozen=True, slots=True)
class Call:
    """One call that changes something: its words and why; `look` are the words that show whether it is done
    already."""

    argv: tuple[str, ...]
    why: str
    look: tuple[str, ...]
    done: Callable[[str], bool] = field(compare=False, repr=False)


def calls(cluster: Cluster, project: str, number: str) -> tuple[Call, ...]:
    """Uniform access and a reader's role on each bucket that is read; a viewer's role for the adapter of the
    HPA."""
    if not cluster.gke:
        return ()
    out: list[Call] = []
    for bucket in buckets(cluster):
        who = member(project, number, cluster.namespace, cluster.service_account)
        out += [_uniform(bucket), _reader(bucket, who, READ)]
        if cluster.weights == "stream":
            out.append(_reader(bucket, who, ABOUT))
    if cluster.scaled and (cluster.ask.scaler, cluster.metrics) == ("hpa", "stackdriver"):
        out.append(_viewer(project, member(project, number, *ADAPTER)))
    return tuple(out)


def buckets(cluster: Cluster) -> tuple[str, ...]:
    """The `gs://` buckets that pods of the fleet read."""
    if cluster.weights == "hub" or (cluster.weights == "disk" and cluster.disk.handle):
        return ()
    sources = [cluster.source, *cluster.spec.model.adapters.values()]
    return tuple(
        dict.fromkeys(one.bucket for one in sources if isinstance(one, Bucket) and one.scheme == "gs")
    )


def member(project: str, number: str, namespace: str, account: str) -> str:
    """A service account of the cluster, as IAM names it."""
    pool = f"projects/{number}/locations/global/workloadIdentityPools/{project}.svc.id.goog"
    return f"principal://iam.googleapis.com/{pool}/subject/ns/{namespace}/sa/{account}"


def _uniform(bucket: str) -> Call:
    words = ("gcloud", "storage", "buckets")
    return Call(
        (*words, "update", f"gs://{bucket}", "--uniform-bucket-level-access"),
        "a principal is granted by IAM alone, which old object lists may contradict",
        (*words, "describe", f"gs://{bucket}", "--format=value(uniform_bucket_level_access)"),
        lambda out: out.strip().lower() == "true",
    )


def _reader(bucket: str, who: str, role: str) -> Call:
    words = ("gcloud", "storage", "buckets")
    return Call(
        (*words, "add-iam-policy-binding", f"gs://{bucket}", f"--member={who}", f"--role={role}"),
        "the service account that runs is the one that may read the weights",
        (*words, "get-iam-policy", f"gs://{bucket}", "--format=json"),
        lambda out: _bound(out, who, role),
    )


def _viewer(project: str, who: str) -> Call:
    words = ("gcloud", "projects")
    return Call(
        (*words, "add-iam-policy-binding", project, f"--member={who}", f"--role={WATCH}", "--condition=None"),
        "the metrics adapter reads what the HPA asks for",
        (*words, "get-iam-policy", project, "--format=json"),
        lambda out: _bound(out, who, WATCH),
    )


def _bound(policy: str, who: str, role: str) -> bool:
    """Whether a policy grants the role."""
    try:
        bindings = json.loads(policy).get("bindings", ())
    except (ValueError, AttributeError):
        return False
    return any(one.get("role") == role and who in one.get("members", ()) for one in bindings)
