"""Rules over pods, and over those that run vLLM: what makes them fail, lose requests, or stand open."""

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from stoker.advise.lint.objects import templates
from stoker.advise.lint.reading import Manifest, Path
from stoker.catalog import vllm
from stoker.catalog.changes import missing
from stoker.findings import Finding

SHM = "/dev/shm"  # noqa: S108  # where ranks speak, no file of ours
GPUS = ("nvidia.com/gpu", "amd.com/gpu")
_VERSION = re.compile(r":v?(\d+)\.(\d+)\.(\d+)")
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD", re.I)
OLD = 8  # minor releases


def rules(one: Manifest, everything: Sequence[Manifest]) -> Iterator[Finding]:
    """All findings about the pods of one object."""
    for path, template in templates(one):
        spec = template["spec"]
        at = (*path, "spec")
        for key in ("initContainers", "containers"):
            for index, container in enumerate(spec.get(key) or ()):
                if isinstance(container, dict):
                    yield from _container(one, (*at, key, index), container)
                    if key == "containers" and serves(container):
                        yield from _engine(one, (*at, key, index), container, spec, path)
        if any(serves(c) for c in spec.get("containers") or () if isinstance(c, dict)):
            yield from _pod(one, at, spec, everything)


def serves(container: dict[str, Any]) -> bool:
    """Whether a container runs vLLM's server."""
    if not container.get("command"):
        return "vllm" in str(container.get("image", ""))
    given = words(container)
    programs = [word.rpartition("/")[2] for word in given]
    return ("vllm" in programs and "serve" in programs) or any("vllm.entrypoints" in word for word in given)


def words(container: dict[str, Any]) -> list[str]:
    """Its command line, as one list; a shell's script is split as the shell would."""
    out: list[str] = []
    for part in [*(container.get("command") or ()), *(container.get("args") or ())]:
        text = str(part)
        try:
            out += shlex.split(text.replace("\\\n", " ")) if " " in text.strip() else [text]
        except ValueError:
            out.append(text)
    return out


def options(container: dict[str, Any]) -> dict[str, str]:
    """vLLM's options by name: `--name=value`, `--name value` and `--flag` alike."""
    given = words(container)
    out: dict[str, str] = {}
    for index, word in enumerate(given):
        if not word.startswith("--") or len(word) < 3:
            continue
        name, equals, value = word[2:].partition("=")
        following = given[index + 1] if index + 1 < len(given) else ""
        out[name] = value if equals else ("" if following.startswith("-") else following)
    return out


def gpus(container: dict[str, Any]) -> int:
    """GPUs of a container; 0 where none is asked for, or the figure is no number."""
    for part in ("limits", "requests"):
        found = (container.get("resources") or {}).get(part) or {}
        for name in GPUS:
            if str(found.get(name, "")).isdigit():
                return int(found[name])
    return 0


def _container(one: Manifest, at: Path, container: dict[str, Any]) -> Iterator[Finding]:
    image = str(container.get("image", ""))
    tail = image.rpartition("/")[2]
    if image and "@" not in image and (":" not in tail or tail.endswith(":latest")):
        yield one.finding(
            "image-tag",
            (*at, "image"),
            f"the image {image} is not pinned",
            "another one runs after every restart, on some of the replicas",
            "a release's tag, better its digest",
        )
    if (container.get("securityContext") or {}).get("privileged") is True:
        yield one.finding(
            "privileged",
            (*at, "securityContext", "privileged"),
            f"the container {container.get('name')} is privileged",
            "it is root on the node",
            "copy onto a mounted volume: formatting and mounting are the driver's work",
        )
    for index, entry in enumerate(container.get("env") or ()):
        if isinstance(entry, dict) and _SECRET.search(str(entry.get("name", ""))) and entry.get("value"):
            yield one.finding(
                "secret-value",
                (*at, "env", index),
                f"{entry['name']} stands in the file as it is",
                "everyone who may read the object reads the key",
                "valueFrom: {secretKeyRef: {name: NAME, key: KEY}}",
            )
    if options(container).get("api-key"):
        yield one.finding(
            "secret-argument",
            (*at, "args" if container.get("args") else "command"),
            "--api-key is on the command line",
            "every process listing and every `kubectl describe` shows it",
            "env VLLM_API_KEY from a Secret",
        )


def _engine(
    one: Manifest, at: Path, container: dict[str, Any], spec: dict[str, Any], path: Path
) -> Iterator[Finding]:
    yield from _image(one, at, container)
    yield from _options(one, at, container)
    yield from _probes(one, at, container)
    yield from _parallel(one, at, container, spec, path)
    if (
        "mkfs" not in " ".join(words(container))
        and not (spec.get("securityContext") or {}).get("runAsNonRoot")
        and not (container.get("securityContext") or {}).get("runAsNonRoot")
    ):
        yield one.finding(
            "root",
            at,
            "the engine may run as root",
            "a flaw in a parser of requests or weights then owns the container",
            "securityContext: {runAsNonRoot: true, runAsUser: 1000}, and writable emptyDirs for its caches",
            "warning",
        )


def _image(one: Manifest, at: Path, container: dict[str, Any]) -> Iterator[Finding]:
    match = _VERSION.search(str(container.get("image", "")))
    if match is None:
        return
    newest = tuple(map(int, vllm.DEFAULT.split(".")))
    if int(match[1]) == newest[0] and newest[1] - int(match[2]) > OLD:
        yield one.finding(
            "image-old",
            (*at, "image"),
            f"vLLM {match[1]}.{match[2]}.{match[3]} is {newest[1] - int(match[2])} releases behind "
            f"{vllm.DEFAULT}",
            "its options and metric names have changed since, and its known flaws stay",
            f"v{vllm.DEFAULT}",
            "warning",
        )


def _options(one: Manifest, at: Path, container: dict[str, Any]) -> Iterator[Finding]:
    """Options that the image's release does not have: it would refuse to start."""
    match = _VERSION.search(str(container.get("image", "")))
    version = f"{match[1]}.{match[2]}.{match[3]}" if match else vllm.DEFAULT
    given = options(container)
    where = (*at, "args" if container.get("args") else "command")
    for change in missing("option", given, version):
        yield one.finding(
            "option",
            where,
            f"vLLM {version} has no option --{change.name}",
            change.why(version),
            change.fix or "leave it out",
        )
    if version == vllm.DEFAULT:
        release = vllm.nearest_release(version)
        for name in given:
            if (
                release.option(name.removeprefix("no-")) is None
                and release.option(name) is None
                and name.partition(".")[0]
                not in (
                    "host",
                    "port",
                    "model",
                    "api-key",
                    "config",
                    "headless",
                    "nnodes",
                    "node-rank",
                    "master-addr",
                    "master-port",
                    "served-model-name",
                    "lora-modules",
                    "ssl-keyfile",
                    "ssl-certfile",
                    "root-path",
                    "allowed-origins",
                    "uvicorn-log-level",
                )
                and not missing("option", [name], version)
            ):
                yield one.finding(
                    "option",
                    where,
                    f"vLLM {version} has no option --{name}",
                    "it refuses to start",
                    "`vllm serve --help=all` lists them",
                    "warning",
                )
    if "trust-remote-code" in given and given["trust-remote-code"] != "false":
        yield one.finding(
            "remote-code",
            where,
            "the model's own code is run",
            "whoever writes to the model's repository runs code beside your keys",
            "a model that vLLM knows by itself, or a revision that was read",
            "warning",
        )


def _probes(one: Manifest, at: Path, container: dict[str, Any]) -> Iterator[Finding]:
    if one.kind == "Job" or "workerTemplate" in at:  # a worker has no API
        return
    if not container.get("readinessProbe"):
        yield one.finding(
            "readiness",
            at,
            "the engine has no readinessProbe",
            "requests go to a pod that is still loading, and fail",
            "readinessProbe: {httpGet: {path: /health, port: 8000}}",
        )
    if not container.get("startupProbe"):
        if container.get("livenessProbe"):
            yield one.finding(
                "liveness-kills",
                (*at, "livenessProbe"),
                "the liveness probe kills an engine that loads slowly",
                "no startupProbe gives it the time; a large model then never comes up",
                "startupProbe with a budget from the size of the weights",
            )
        else:
            yield one.finding(
                "startup",
                at,
                "the engine has no startupProbe",
                "an engine that hangs while it loads is never restarted",
                "startupProbe with a budget from the size of the weights",
                "warning",
            )


def _parallel(
    one: Manifest, at: Path, container: dict[str, Any], spec: dict[str, Any], path: Path
) -> Iterator[Finding]:
    """Ranks against GPUs, and the shared memory that they speak through."""
    given, count = options(container), gpus(container)
    tensor = given.get("tensor-parallel-size") or given.get("tp") or "1"
    pipeline = given.get("pipeline-parallel-size") or given.get("pp") or "1"
    group = "leaderWorkerTemplate" in path
    if tensor.isdigit() and pipeline.isdigit():
        ranks = int(tensor) * (1 if group else int(pipeline))
        if count and ranks != count and not group:
            yield one.finding(
                "ranks",
                at,
                f"{ranks} ranks on {count} GPUs",
                "the engine refuses to start"
                if ranks > count
                else f"{count - ranks} GPUs are paid for and idle",
                f"--tensor-parallel-size {count}, or {GPUS[0]}: {ranks}",
                "error" if ranks > count else "warning",
            )
        if ranks > 1:
            yield from _shared_memory(one, at, container, spec)
    if not count and "cpu" not in str(container.get("image", "")):
        yield one.finding(
            "no-gpu",
            (*at, "resources"),
            "the engine asks for no GPU",
            "it is scheduled anywhere, and finds none",
            "resources: {limits: {nvidia.com/gpu: 1}}",
            "warning",
        )


def _shared_memory(
    one: Manifest, at: Path, container: dict[str, Any], spec: dict[str, Any]
) -> Iterator[Finding]:
    mounts = {
        m.get("mountPath"): m.get("name") for m in container.get("volumeMounts") or () if isinstance(m, dict)
    }
    name = mounts.get(SHM)
    volumes = spec.get("volumes") or ()
    index, volume = next(
        ((i, v) for i, v in enumerate(volumes) if isinstance(v, dict) and v.get("name") == name and name),
        (0, {}),
    )
    if not volume:
        yield one.finding(
            "shm",
            at,
            "the ranks have 64 MiB of /dev/shm",
            "NCCL and the ranks' messages need more: the engine dies with a bus error",
            "an emptyDir {medium: Memory, sizeLimit: 3Gi} mounted at /dev/shm",
        )
    elif not (volume.get("emptyDir") or {}).get("sizeLimit"):
        where = (*at[:-2], "volumes", index)
        yield one.finding(
            "shm-limit",
            where,
            f"{SHM} has no limit",
            "it counts against the container's memory, up to half of the node's",
            "sizeLimit: 1 GiB and one more a rank",
            "warning",
        )


def _pod(one: Manifest, at: Path, spec: dict[str, Any], everything: Sequence[Manifest]) -> Iterator[Finding]:
    if one.kind == "Job":
        return
    container = next(c for c in spec["containers"] if isinstance(c, dict) and serves(c))
    stop = (container.get("lifecycle") or {}).get("preStop")
    if spec.get("terminationGracePeriodSeconds", 30) <= 30 or not stop:
        yield one.finding(
            "drain",
            at,
            "requests in progress die when a pod leaves",
            "it is killed after 30 seconds, and gets new requests until endpoints have updated"
            if not stop
            else "it is killed after 30 seconds",
            "terminationGracePeriodSeconds above the longest answer, and a preStop that waits until none is "
            "in progress (vLLM's own --shutdown-timeout leaves streams open that outlast it)",
            "warning",
        )
    if spec.get("enableServiceLinks") is not False:
        yield one.finding(
            "service-links",
            at,
            "Services of the namespace become environment variables",
            "a Service named vllm sets VLLM_PORT to a URL, and the engine reads it as its port",
            "enableServiceLinks: false",
            "warning",
        )
    if one.kind == "Deployment" and gpus(container):
        surge = one.get("spec", "strategy", "rollingUpdate", "maxSurge")
        if one.get("spec", "strategy", "type") != "Recreate" and surge is None:
            yield one.finding(
                "strategy",
                ("spec", "strategy") if one.get("spec", "strategy") else ("spec",),
                "a rollout needs a spare GPU",
                "the new pod is started before an old one stops; without a free GPU it waits for ever",
                "rollingUpdate: {maxSurge: 0, maxUnavailable: 1}, or spare GPUs",
                "warning",
            )
    if one.kind in ("Deployment", "LeaderWorkerSet") and not any(
        o.kind == "PodDisruptionBudget" for o in everything
    ):
        yield one.finding(
            "budget",
            ("metadata",),
            "no PodDisruptionBudget is in these files",
            "a node upgrade may drain every replica at once",
            "a PodDisruptionBudget with maxUnavailable: 1",
            "note",
        )
