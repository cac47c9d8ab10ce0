"""The engine's pod: command, resources, volumes, security, and how it starts and leaves."""

from typing import Any, Literal

from stoker.render.command import pod_words, traced
from stoker.render.manifests.capacity import node_selector, tolerations
from stoker.render.manifests.choices import GROUP, PRE_STOP, Cluster
from stoker.render.manifests.configmap import FOLDER, GUARD, WITNESS, carried_volume
from stoker.render.manifests.probes import probes
from stoker.render.manifests.security import container_security, pod_security
from stoker.render.manifests.weights import engine_volumes, pod_annotations, pod_volumes

HOME = "/home/stoker"
GIB = 1024**3
# seconds for the last words to clients, the engine's own end, and what a worker's waits for after its
# leader's
MARGIN = 20
Role = Literal["alone", "leader", "worker"]


def pod_template(cluster: Cluster, role: Role = "alone") -> dict[str, Any]:
    """The template of a Deployment, or of a LeaderWorkerSet's leader or workers."""
    ask = cluster.ask
    annotations = {**pod_annotations(cluster), **ask.annotations}
    labels = {**ask.labels, **cluster.labels("engine")}
    if role != "alone":
        labels["stoker/role"] = role
    spec: dict[str, Any] = {
        "serviceAccountName": cluster.service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": grace(cluster),
        "securityContext": pod_security(weights=True),
    }
    if ask.priority_class:
        spec["priorityClassName"] = ask.priority_class
    if selector := node_selector(cluster):
        spec["nodeSelector"] = selector
    if accepted := tolerations(cluster):
        spec["tolerations"] = accepted
    if role == "worker":
        spec["affinity"] = _beside_leader(cluster)
    else:
        spec["topologySpreadConstraints"] = [
            _spread(cluster, key) for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
        ]
    spec["containers"] = [_container(cluster, role)]
    spec["volumes"] = _volumes(cluster)
    return {
        "metadata": {"labels": labels} | ({"annotations": annotations} if annotations else {}),
        "spec": spec,
    }


def _beside_leader(cluster: Cluster) -> dict[str, Any]:
    """Ranks speak all the time: in the leader's zone, where there is room."""
    term = {
        "labelSelector": {"matchLabels": cluster.serving},
        "matchLabelKeys": [GROUP],
        "topologyKey": "topology.kubernetes.io/zone",
    }
    preferred = [{"weight": 100, "podAffinityTerm": term}]
    return {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}


def _spread(cluster: Cluster, key: str) -> dict[str, Any]:
    return {
        "maxSkew": 1,
        "topologyKey": key,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": cluster.serving},
    }


def _container(cluster: Cluster, role: Role) -> dict[str, Any]:
    mounts: list[dict[str, Any]] = [
        {"name": "tmp", "mountPath": "/tmp"},
        {"name": "home", "mountPath": HOME},
        {"name": "shm", "mountPath": "/dev/shm"},
    ]
    mounts += [mount for _, mount in (*engine_volumes(cluster), *carried_volume(cluster))]
    if cluster.spec.engine.kind != "simulated":
        mounts.append({"name": "scripts", "mountPath": FOLDER, "readOnly": True})
    return {
        "name": "engine",
        "image": cluster.image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(_command(cluster, role)),
        "env": _env(cluster),
        **(
            {}
            if role == "worker"
            else {"ports": [{"name": "http", "containerPort": cluster.port, "protocol": "TCP"}]}
        ),
        "resources": resources(cluster),
        **probes(cluster, role),
        "lifecycle": {"preStop": _pre_stop(cluster, role)},
        "securityContext": container_security(),
        "volumeMounts": mounts,
    }


def _command(cluster: Cluster, role: Role) -> tuple[str, ...]:
    simulated = cluster.spec.engine.kind == "simulated"
    # the preStop drains by the pod's own count: in its own drain vLLM takes requests that it then fails, and
    # ends no stream
    more: dict[str, Any] = {"shutdown-timeout": int(cluster.spec.drain_timeout)} if simulated else {}
    if cluster.weights == "stream":
        more["load-format"] = "runai_streamer"
        if cluster.plan.tensor_parallel_size > 1:
            more["model-loader-extra-config"] = {"distributed": True}
    elif "config-format" not in cluster.plan.options:  # by itself vLLM falls back to pickles
        more["load-format"] = "safetensors"
    words = pod_words(
        cluster.plan, cluster.model_path, cluster.port, role=role, more=more, adapters=cluster.adapters
    )
    if simulated:
        return ("python", "-m", "stoker.targets.simulated", *words[2:])
    if role == "worker":
        return words
    words += ("--middleware", f"{WITNESS}.Witness")  # the one that is named last is the outermost
    return (*words, "--middleware", f"{GUARD}.Guard") if cluster.key_secret else words


def _env(cluster: Cluster) -> list[dict[str, Any]]:
    plain = {
        "HOME": HOME,
        "USER": "stoker",
        "XDG_CACHE_HOME": f"{HOME}/.cache",
        "VLLM_CACHE_ROOT": f"{HOME}/.cache/vllm",
        "TRITON_CACHE_DIR": f"{HOME}/.cache/triton",
        "TORCHINDUCTOR_CACHE_DIR": f"{HOME}/.cache/inductor",
        "HF_HOME": "/models" if cluster.weights == "hub" else f"{HOME}/.cache/huggingface",
        "VLLM_NO_USAGE_STATS": "1",
    }
    if cluster.weights != "hub":
        plain["HF_HUB_OFFLINE"] = "1"
    if cluster.spec.engine.kind != "simulated":
        asked = cluster.plan.env.get("PYTHONPATH")
        plain["PYTHONPATH"] = f"{FOLDER}:{asked}" if asked else FOLDER
    given = {
        name: value for name, value in cluster.plan.env.items() if name != "PYTHONPATH" or name not in plain
    }
    out: list[dict[str, Any]] = [
        {"name": k, "value": v} for k, v in {**plain, **traced(cluster.plan), **given}.items()
    ]
    for name, secret in (("VLLM_API_KEY", cluster.key_secret), ("HF_TOKEN", cluster.token_secret)):
        if secret and (name != "HF_TOKEN" or cluster.weights == "hub"):
            out.append({"name": name, "valueFrom": {"secretKeyRef": {"name": secret[0], "key": secret[1]}}})
    return out


def resources(cluster: Cluster) -> dict[str, Any]:
    """GPUs from the plan, host memory for what passes through it, and cores for the engine's processes."""
    if cluster.spec.engine.kind == "simulated":
        return {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}}
    gpus, machine = cluster.gpus_per_node, cluster.plan.hardware.machine
    need = host_memory(cluster)
    cores, limit = 2 + 2 * gpus, need
    if machine is not None:
        share = gpus / machine.gpus
        cores = max(1, min(cores, int(machine.vcpus * share) - 1))
        room = int(0.8 * share * machine.memory / GIB)
        need, limit = (min(need, room), room) if cluster.plan.memory is None else (need, max(need, room))
    return {
        "requests": {
            "cpu": str(cores),
            "memory": f"{need}Gi",
            "ephemeral-storage": "20Gi",
            cluster.gpu_resource: str(gpus),
        },
        "limits": {"memory": f"{limit}Gi", cluster.gpu_resource: str(gpus)},
    }


def host_memory(cluster: Cluster) -> int:
    """GiB: a tenth over the node's weights, which pass through it, the processes beside them, and
    /dev/shm."""
    memory, share = cluster.plan.memory, 1 / cluster.plan.nodes
    weights = cluster.gpus_per_node * memory.size("weights") if memory else share * cluster.weight_bytes
    return 8 + cluster.shm_gib + int(1.1 * weights / GIB)


def grace(cluster: Cluster) -> int:
    """Seconds until the kubelet kills: longer than the preStop, which drains, and the engine's own end
    together."""
    return PRE_STOP + int(cluster.spec.drain_timeout) + MARGIN


def _pre_stop(cluster: Cluster, role: Role) -> dict[str, Any]:
    if cluster.spec.engine.kind == "simulated":
        return {"sleep": {"seconds": PRE_STOP}}
    drain = int(cluster.spec.drain_timeout)
    argv = ["leave.py", str(PRE_STOP), str(drain)]
    if role == "worker":
        argv = ["outlive.py", str(cluster.port), str(PRE_STOP + drain + MARGIN // 2)]
    return {"exec": {"command": ["python3", f"{FOLDER}/{argv[0]}", *argv[1:]]}}


def _volumes(cluster: Cluster) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = [
        {"name": "tmp", "emptyDir": {"sizeLimit": "4Gi"}},
        {"name": "home", "emptyDir": {"sizeLimit": "16Gi"}},
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": f"{cluster.shm_gib}Gi"}},
    ]
    out += [volume for volume, _ in (*engine_volumes(cluster), *carried_volume(cluster))]
    out += pod_volumes(cluster)
    if cluster.spec.engine.kind != "simulated":
        out.append({"name": "scripts", "configMap": {"name": f"{cluster.name}-scripts"}})
    return out
