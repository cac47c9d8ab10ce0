"""`stoker lint` on pods that run vLLM: each variant of a rule where it is, and where it nearly is."""

import json
from typing import Any

import pytest
from tests.support.scalers import BUDGET, LWS, Body, Case, args, check, ids, object_, of, pod

from stoker.advise.lint import lint

SHM: Body = {"volumes": [{"name": "s", "emptyDir": {"medium": "Memory", "sizeLimit": "3Gi"}}]}
MOUNT: Body = {"volumeMounts": [{"name": "s", "mountPath": "/dev/shm"}]}
HUB = {"command": ["vllm", "serve", "meta-llama/Llama-3.3-70B-Instruct"]}


def said(*words: str, gpus: int = 1, **more: Any) -> list[Body]:
    """A Deployment whose engine is told this, with room for its ranks."""
    return [pod(container=args(*words, gpus=gpus, **MOUNT, **more), pod=SHM), BUDGET]


def held(**container: Any) -> list[Body]:
    return [pod(container=container), BUDGET]


def env(name: str, value: str) -> list[Body]:
    return held(env=[{"name": name, "value": value}])


def script(text: str, gpus: int = 1) -> list[Body]:
    words = {"command": ["bash", "-c", text], "resources": {"limits": {"nvidia.com/gpu": gpus}}}
    return [pod(container={**words, **MOUNT}, pod=SHM), BUDGET]


def resources(**limits: Any) -> list[Body]:
    named = {name.replace("gpu", "nvidia.com/gpu"): value for name, value in limits.items()}
    return held(resources={"limits": named})


def probed(kind: str = "readinessProbe", container: Body | None = None, **probe: Any) -> list[Body]:
    return held(**{kind: {"httpGet": {"path": "/health", "port": 8000} | probe}}, **(container or {}))


def started(seconds: int, model: str = "/m") -> list[Body]:
    probe = {"tcpSocket": {"port": 8000}, "periodSeconds": 10, "failureThreshold": seconds // 10}
    return held(
        command=["vllm", "serve", model],
        startupProbe=probe,
        env=[{"name": "HF_HOME", "value": "/w"}],
        volumeMounts=[{"name": "w", "mountPath": "/w"}],
    )


def rolled(surge: object, gone: object) -> list[Body]:
    return [pod(strategy={"rollingUpdate": {"maxSurge": surge, "maxUnavailable": gone}}), BUDGET]


def stopped(grace: int, waits: int | None) -> list[Body]:
    stop = {"preStop": {"exec": {"command": ["sh", "-c", f"sleep {waits}"]}}} if waits else None
    return [pod(container={"lifecycle": stop}, pod={"terminationGracePeriodSeconds": grace}), BUDGET]


def budget(**spec: Any) -> list[Body]:
    return [pod(), of(BUDGET | {"spec": spec}, name="w")]


def group(size: int, restart: str | None = None, shm: bool = True, tp: int = 16) -> list[Body]:
    """A group of pods with 8 GPUs each."""
    mount = {**MOUNT} if shm else {}
    spec = pod(container=args(f"--tensor-parallel-size={tp}", gpus=8, **mount), pod=SHM)["spec"]["template"]
    worker = pod(
        container={
            "command": ["sh", "-c", "vllm-ray worker"],
            "lifecycle": None,
            **mount,
            "resources": {"limits": {"nvidia.com/gpu": 8}},
        },
        pod=SHM,
    )["spec"]["template"]
    inner: Body = {"size": size, "leaderTemplate": spec, "workerTemplate": worker}
    inner |= {"restartPolicy": restart} if restart else {}
    return [LWS | {"metadata": {"name": "v"}, "spec": {"leaderWorkerTemplate": inner}}, BUDGET]


def bucket(*notes: str) -> list[Body]:
    body = pod(pod={"volumes": [{"name": "w", "csi": {"driver": "gcsfuse.csi.storage.gke.io"}}]})
    body["spec"]["template"]["metadata"]["annotations"] = dict.fromkeys(notes, "true")
    return [body, BUDGET]


def cached(offline: str = "0", read_only: bool = True) -> list[Body]:
    variables = [{"name": "HF_HOME", "value": "/w"}, {"name": "HF_HUB_OFFLINE", "value": offline}]
    mount = [{"name": "w", "mountPath": "/w", "readOnly": read_only}]
    return [
        pod(
            container={"command": ["vllm", "serve", "a/b"], "env": variables, "volumeMounts": mount},
            pod={"volumes": [{"name": "w", "persistentVolumeClaim": {"claimName": "w"}}]},
        ),
        BUDGET,
    ]


def locked(path: str) -> list[Body]:
    mount = [{"name": "t", "mountPath": path}]
    return [
        pod(
            container={"securityContext": {"readOnlyRootFilesystem": True}, "volumeMounts": mount},
            pod={"volumes": [{"name": "t", "emptyDir": {}}]},
        ),
        BUDGET,
    ]


def selected(label: str) -> list[Body]:
    return [pod(selector={"matchLabels": {"app": label}}), BUDGET]


CASES: list[Case] = [
    (
        "image-tag",
        "",
        held(image="vllm/vllm-openai:nightly"),
        held(image="vllm/vllm-openai:nightly-" + "0a" * 20),
    ),
    (
        "image-tag",
        "",
        held(image="a/vllm-openai:main"),
        held(image="a/vllm-openai:v0.32.0@sha256:" + "a" * 64),
    ),
    ("release", "", held(image="ghcr.io/llm-d/llm-d-cuda:v0.5.0", args=["--max-num-seqs=4"]), held()),
    ("secret-value", "", env("HF_TOKEN", "hf_abc"), env("HF_TOKEN_PATH", "hf_abc")),
    ("secret-value", "", env("OPENAI_API_KEY", "sk-proj-abc"), env("OPENAI_API_KEY", "EMPTY")),
    ("secret-value", "", env("AWS_SECRET_ACCESS_KEY", "abc"), env("AWS_SECRET_NAME", "abc")),
    ("secret-value", "", script("HF_TOKEN=hf_abc vllm serve /m"), script("HF_TOKEN=$T vllm serve /m")),
    ("secret-argument", "written", said("--hf-token", "hf_abc"), said("--tokenizer", "hf_abc")),
    (
        "secret-argument",
        "written",
        script("vllm serve /m --api-key=abc"),
        script("other --api-key=abc; vllm serve /m"),
    ),
    ("secret-argument", "filled in", script('vllm serve /m --api-key "$KEY"'), script("vllm serve /m")),
    ("option", "gone", said("--swap-space", "4"), said("--kv-offloading-size", "4")),
    (
        "option",
        "gone",
        script("# don't\nvllm serve /m --swap_space=4"),
        script("# vllm serve /m --swap-space 4\nvllm serve /m"),
    ),
    ("option", "unlisted", said("--max-modle-len=8"), said("--max-num-seq=8")),
    ("option", "unlisted", said("--no-such-flag"), script("pip install --no-such-flag x && vllm serve /m")),
    ("option", "several", said("--max-n=8"), said("--max-num-se=8")),
    ("option", "joined", said("--max-num-seqs 8"), script("vllm serve /m --max-num-seqs 8")),
    ("option-value", "", said("--gpu-memory-utilization=95"), said("--gpu-memory-utilization=.95")),
    ("option-value", "", said("--dtype", "fp16"), said("--dtype", "half")),
    ("option-value", "", said("--max-model-len", "many"), said("--max-model-len", "32k")),
    ("option-value", "", said("--enable-prefix-caching=true"), said("--no-enable-prefix-caching")),
    ("option-value", "", said("--hf-overrides='{\"a\": 1}'"), said('--hf-overrides={"a": 1}')),
    (
        "option-twice",
        "",
        said("--max-num-seqs=4", "--max_num_seqs=8"),
        said("--max-num-seqs=4", "--max-model-len=8"),
    ),
    ("environment", "gone", env("VLLM_USE_V1", "0"), env("VLLM_USE_MODELSCOPE", "0")),
    ("engine-port", "url", env("VLLM_PORT", "tcp://10.0.0.9:8000"), env("PORT", "tcp://10.0.0.9:8000")),
    ("engine-port", "number", env("VLLM_PORT", "8000"), env("VLLM_HOST_IP", "10.0.0.9")),
    ("readiness", "", held(readinessProbe=None), probed()),
    ("startup", "", held(startupProbe=None, livenessProbe=None), held(livenessProbe=None)),
    (
        "liveness-kills",
        "",
        held(startupProbe=None),
        held(startupProbe=None, livenessProbe={"tcpSocket": {"port": 8000}, "initialDelaySeconds": 1800}),
    ),
    ("start-budget", "", started(30), started(300)),
    ("start-budget", "", started(600, "deepseek-ai/DeepSeek-R1"), started(900, "deepseek-ai/DeepSeek-R1")),
    ("probe-port", "number", probed(port=8080), probed(port="8000")),
    (
        "probe-port",
        "number",
        probed(port=9),
        held(command=["sh", "-c", "./p --on 9 & vllm serve /m"], readinessProbe={"tcpSocket": {"port": 9}}),
    ),
    (
        "probe-port",
        "name",
        probed(port="http"),
        probed(port="http", container={"ports": [{"name": "http", "containerPort": 8000}]}),
    ),
    ("probe-path", "", probed(path="/healthz"), probed(path="/v1/models")),
    ("ranks", "more", said("-tp", "4", gpus=2), said("-tp", "2", gpus=2)),
    (
        "ranks",
        "more",
        said("--data-parallel-size=8"),
        said("--data-parallel-size=8", "-dpl=1", "--data-parallel-rank=0"),
    ),
    ("ranks", "more", script("export TP=4; exec vllm serve /m -tp=$TP"), script("vllm serve /m -tp $TP")),
    (
        "ranks",
        "more",
        script("uv run --with x vllm serve /m --tensor-parallel 2"),
        script("vllm bench serve --tensor-parallel 2; vllm serve /m"),
    ),
    (
        "ranks",
        "more",
        script("python3 -m vllm.entrypoints.openai.api_server -pp 2 --model=/m"),
        script("vllm serve /m -pp 1"),
    ),
    ("ranks", "fewer", said("--tensor_parallel_size=2", gpus=4), said("-tp=2", "-pp=2", gpus=4)),
    ("ranks", "fewer", said("-tp=2", gpus=4), said("-tp=2", "--config", "/etc/c.yaml", gpus=4)),
    ("ranks", "group", group(1), group(2)),
    ("group", "", group(2, restart="None"), group(2, restart="RecreateGroupOnPodRestart")),
    ("shm", "", group(2, shm=False), group(2)),
    (
        "shm",
        "",
        [pod(container=args("-tp=2", gpus=2)), BUDGET],
        [pod(container=args("-tp=2", gpus=2), pod={"hostIPC": True}), BUDGET],
    ),
    ("no-gpu", "", held(resources={}), resources(gpu=1)),
    ("no-gpu", "", held(resources={}), held(resources={"limits": {"nvidia.com/mig-3g.40gb": 1}})),
    ("no-gpu", "", held(resources={}), held(resources={"claims": [{"name": "g"}]})),
    ("no-gpu", "", held(resources={}), held(resources={"limits": {"rebellions.ai/ATOM": 1}})),
    (
        "device-request",
        "",
        held(resources={"requests": {"nvidia.com/gpu": 1}}),
        held(
            resources={
                "limits": {"nvidia.com/gpu": 1, "memory": "64Gi"},
                "requests": {"nvidia.com/gpu": "1", "memory": "9Gi"},
            }
        ),
    ),
    ("memory", "little", resources(gpu=1, memory="2Gi"), resources(gpu=1, memory="20Gi")),
    (
        "memory",
        "shared",
        [
            pod(
                container={"resources": {"limits": {"nvidia.com/gpu": 1, "memory": "8Gi"}}, **MOUNT},
                pod={"volumes": [{"name": "s", "emptyDir": {"medium": "Memory", "sizeLimit": "9Gi"}}]},
            ),
            BUDGET,
        ],
        [
            pod(
                container={"resources": {"limits": {"nvidia.com/gpu": 1, "memory": "8Gi"}}, **MOUNT}, pod=SHM
            ),
            BUDGET,
        ],
    ),
    (
        "disk",
        "",
        held(**HUB),
        held(**HUB, resources={"limits": {"nvidia.com/gpu": 1}, "requests": {"ephemeral-storage": "200Gi"}}),
    ),
    ("disk", "", held(**HUB), held(command=["vllm", "serve", "meta-llama/Llama-3.1-8B-Instruct"])),
    ("fuse", "", bucket(), bucket("gke-gcsfuse/volumes")),
    ("cache", "hub", cached(), cached(offline="1")),
    ("cache", "hub", cached(), cached(read_only=False)),
    ("cache", "root", locked("/data"), locked("/tmp")),
    (
        "root",
        "",
        [pod(pod={"securityContext": None}), BUDGET],
        [pod(pod={"securityContext": {"runAsUser": 1000}}), BUDGET],
    ),
    ("strategy", "nothing", rolled(0, 0), rolled(0, 1)),
    (
        "strategy",
        "spare",
        [pod(strategy={}), BUDGET],
        [pod(strategy={"rollingUpdate": {"maxUnavailable": 1}}), BUDGET],
    ),
    ("drain", "long", stopped(120, 120), stopped(120, 60)),
    ("prestop", "", stopped(120, None), stopped(120, 15)),
    ("budget", "blocks", budget(maxUnavailable=0), budget(maxUnavailable=1)),
    ("selector", "", selected("other"), selected("v")),
]


@pytest.mark.parametrize(("rule", "case", "wrong", "right"), CASES, ids=ids(CASES))
def test_a_variant_is_found_where_it_is_and_nowhere_else(
    rule: str, case: str, wrong: list[Body], right: list[Body]
) -> None:
    check(rule, case, wrong, right)


def test_a_resource_claim_is_counted_where_its_template_is_here() -> None:
    claim = {"devices": {"requests": [{"name": "g", "exactly": {"deviceClassName": "gpu", "count": 2}}]}}
    template = object_("ResourceClaimTemplate", {"spec": claim})
    body = pod(
        container={**args("-tp=4", **MOUNT), "resources": {"claims": [{"name": "g"}]}},
        pod={**SHM, "resourceClaims": [{"name": "g", "resourceClaimTemplateName": "x"}]},
    )
    text = "\n---\n".join(map(json.dumps, (body, BUDGET, template)))
    assert [one.what for one in lint({"m.yaml": text})] == ["Deployment v: 4 ranks on 2 GPUs"]
