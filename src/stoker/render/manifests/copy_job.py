"""The Job that copies weights onto a disk, and checks what it copied.

Sources: https://rclone.org/docs, https://huggingface.co/docs/huggingface_hub/guides/cli (download, cache
verify).
"""

from typing import Any

from stoker.errors import UsageError
from stoker.render.manifests.choices import MOUNT, Cluster, folder_of
from stoker.render.manifests.manifest import Manifest
from stoker.render.manifests.security import container_security, pod_security
from stoker.spec.nouns import Bucket, Hub, Source

RCLONE = "rclone/rclone:1.71.2"
UNSAFE = (
    "bin",
    "pt",
    "pth",
    "ckpt",
    "pkl",
    "pickle",
    "h5",
    "msgpack",
    "onnx",
    "gguf",
)  # never served from here


def copy_job(cluster: Cluster) -> Manifest:
    """Copies, then checks what was copied; a second run goes on where the first was cut."""
    steps = _copy_steps(cluster)
    metadata: dict[str, Any] = {"labels": dict(cluster.ask.labels) | cluster.labels("copy")}
    if cluster.ask.annotations:
        metadata["annotations"] = dict(cluster.ask.annotations)
    pod = {
        "metadata": metadata,
        "spec": {
            "serviceAccountName": cluster.service_account,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "restartPolicy": "OnFailure",
            "securityContext": pod_security(weights=True),
            **({"initContainers": steps[:-1]} if steps[:-1] else {}),
            "containers": steps[-1:],
            "volumes": [
                {"name": "models", "persistentVolumeClaim": {"claimName": f"{cluster.weights_name}-copy"}},
                {"name": "tmp", "emptyDir": {"sizeLimit": "4Gi"}},
            ],
        },
    }
    body = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": cluster.meta(f"{cluster.weights_name}-copy", "copy"),
        "spec": {"backoffLimit": 10, "template": pod},
    }
    return Manifest(body)


def _copy_steps(cluster: Cluster) -> list[dict[str, Any]]:
    """One container a source (the model and its adapters), and one that checks it."""
    sources = [(f"{MOUNT}/{folder_of(cluster.source)}", cluster.source)]
    sources += [(f"{MOUNT}/adapters/{name}", source) for name, source in cluster.spec.model.adapters.items()]
    out: list[dict[str, Any]] = []
    for number, (folder, source) in enumerate(sources):
        tail = f"-{number}" if number else ""
        out += [_step(cluster, f"{verb}{tail}", argv, source) for verb, argv in _words(source, folder)]
    return out


def _words(source: Source, folder: str) -> list[tuple[str, list[str]]]:
    match source:
        case Bucket(scheme=scheme, bucket=bucket, prefix=prefix):
            backend = "gcs,env_auth=true,bucket_policy_only=true"
            if scheme != "gs":
                backend = "s3,env_auth=true,provider=AWS"
            remote = f":{backend}:{bucket}/{prefix}"
            skipped = ["--exclude", f"*.{{{','.join(UNSAFE)}}}"]
            progress = ["--stats", "5s", "--stats-one-line", "--use-json-log", "--log-level", "INFO"]
            copy = [
                "rclone",
                "copy",
                remote,
                folder,
                "--checksum",
                "--transfers",
                "8",
                "--multi-thread-streams",
                "8",
            ]
            check = ["rclone", "check", remote, folder, "--one-way", "--checkers", "8"]
            return [("copy", [*copy, *skipped, *progress]), ("check", [*check, *skipped, *progress])]
        case Hub(repo=repo, revision=revision):
            skipped = [word for ending in UNSAFE for word in ("--exclude", f"*.{ending}")]
            where = [repo, "--revision", revision, "--local-dir", folder]
            return [
                ("copy", ["hf", "download", *where, *skipped]),
                ("check", ["hf", "cache", "verify", *where]),
            ]
        case _:
            raise UsageError(
                f"a cluster cannot read {source}",
                why="it is on this machine",
                fix="copy it to a bucket and name that",
                rule="kubernetes-weights",
            )


def _step(cluster: Cluster, name: str, argv: list[str], source: Source) -> dict[str, Any]:
    hub = isinstance(source, Hub)
    env: list[dict[str, Any]] = [{"name": "HOME", "value": "/tmp"}]
    if hub:
        env.append({"name": "HF_HOME", "value": "/tmp/huggingface"})
        if cluster.token_secret:
            secret, key = cluster.token_secret
            env.append({"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}})
    return {
        "name": name,
        "image": cluster.image if hub else RCLONE,
        "command": argv,
        "env": env,
        "resources": {"requests": {"cpu": "500m", "memory": "2Gi"}, "limits": {"memory": "4Gi"}},
        "securityContext": container_security(),
        "volumeMounts": [{"name": "models", "mountPath": MOUNT}, {"name": "tmp", "mountPath": "/tmp"}],
    }
