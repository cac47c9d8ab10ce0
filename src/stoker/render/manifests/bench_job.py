"""A load test as a Job: `stoker bench` in Stoker's own image, beside the fleet that it tests."""

from collections.abc import Mapping, Sequence

from stoker.errors import UsageError
from stoker.render.manifests.choices import Cluster
from stoker.render.manifests.load_pods import job, key_from
from stoker.render.manifests.manifest import Manifest
from stoker.render.manifests.network import sender_policies

FOLDER = "/etc/stoker-bench"
RESULTS = "/tmp/run"
WORKLOAD = "workload.yaml"
KEY = "ENDPOINT_KEY"
KEPT = 3600  # seconds that it stays when it is done: its result is on the machine that asked by then


def bench_objects(
    cluster: Cluster, name: str, files: Mapping[str, str], words: Sequence[str], *, seconds: int, workers: int
) -> tuple[Manifest, ...]:
    """The Job `name` last, and before it what it needs: the workload's files and the ways in and out.

    words: of `stoker bench`, after the workload; seconds: until it is given up.
    Raises: UsageError, where no image of Stoker's is named.
    """
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": cluster.meta(name, "bench"),
        "data": dict(files),
    }
    endpoint = ["--url", f"http://{cluster.name}:{cluster.port}", "--model", cluster.spec.model.served_name]
    key = ["--key", f"env:{KEY}"] if cluster.key_secret else []
    container = {
        "name": "bench",
        "image": _image(cluster),
        "command": [
            *("python", "-m", "stoker.bench.in_pod", RESULTS, f"{FOLDER}/{WORKLOAD}"),
            *(*endpoint, *key, *words),
        ],
        "env": [{"name": "USER", "value": "stoker"}, *key_from(cluster, KEY)],
        "resources": {
            "requests": {"cpu": str(workers), "memory": f"{256 + 256 * workers}Mi"},
            "limits": {"memory": f"{1 + workers}Gi"},
        },
        "volumeMounts": [{"name": "workload", "mountPath": FOLDER, "readOnly": True}],
    }
    volumes = [{"name": "workload", "configMap": {"name": name}}]
    test = job(cluster, name, "bench", container, volumes, deadline=seconds, kept=KEPT)
    return (Manifest(config), *sender_policies(cluster, "bench", name=name), test)


def _image(cluster: Cluster) -> str:
    """Stoker's own image; simulated engines run from it too."""
    simulated = cluster.spec.engine.image if cluster.spec.engine.kind == "simulated" else None
    image = cluster.ask.image or simulated
    if image is None:
        raise UsageError(
            "a load test in the cluster needs Stoker's own image",
            at="kubernetes.image",
            why="its pod runs `stoker bench`",
            fix="`make image`, push it to your registry, and kubernetes: {image: REGISTRY/stoker:TAG}",
            rule="kubernetes-image",
        )
    return image
