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
# Of the server's own command line rather than the engine's, or of a command that serves on several nodes.
SERVES = frozenset(
    {
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
    }
)


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
        yield one.finding("image-tag", (*at, "image"), image=image)
    if (container.get("securityContext") or {}).get("privileged") is True:
        where = (*at, "securityContext", "privileged")
        yield one.finding("privileged", where, container=container.get("name"))
    for index, entry in enumerate(container.get("env") or ()):
        if isinstance(entry, dict) and _SECRET.search(str(entry.get("name", ""))) and entry.get("value"):
            yield one.finding("secret-value", (*at, "env", index), variable=entry["name"])
    if options(container).get("api-key"):
        yield one.finding("secret-argument", (*at, "args" if container.get("args") else "command"))


def _engine(
    one: Manifest, at: Path, container: dict[str, Any], spec: dict[str, Any], path: Path
) -> Iterator[Finding]:
    yield from _image(one, at, container)
    yield from _options(one, at, container)
    yield from _probes(one, at, container)
    yield from _parallel(one, at, container, spec, path)
    as_user = any((part.get("securityContext") or {}).get("runAsNonRoot") for part in (spec, container))
    if "mkfs" not in " ".join(words(container)) and not as_user:
        yield one.finding("root", at)


def _image(one: Manifest, at: Path, container: dict[str, Any]) -> Iterator[Finding]:
    match = _VERSION.search(str(container.get("image", "")))
    if match is None:
        return
    newest = tuple(map(int, vllm.DEFAULT.split(".")))
    behind = newest[1] - int(match[2])
    if int(match[1]) == newest[0] and behind > OLD:
        version = f"{match[1]}.{match[2]}.{match[3]}"
        where = (*at, "image")
        yield one.finding("image-old", where, version=version, behind=behind, newest=vllm.DEFAULT)


def _options(one: Manifest, at: Path, container: dict[str, Any]) -> Iterator[Finding]:
    """Options that the image's release does not have: it would refuse to start."""
    match = _VERSION.search(str(container.get("image", "")))
    version = f"{match[1]}.{match[2]}.{match[3]}" if match else vllm.DEFAULT
    given = options(container)
    where = (*at, "args" if container.get("args") else "command")
    for change in missing("option", given, version):
        said = {"why": change.why(version), "instead": change.fix or "leave it out"}
        yield one.finding("option", where, "gone", version=version, option=change.name, **said)
    for name in given if version == vllm.DEFAULT else ():
        if not _known(name, version):
            yield one.finding("option", where, "unlisted", version=version, option=name)
    if "trust-remote-code" in given and given["trust-remote-code"] != "false":
        yield one.finding("remote-code", where)


def _known(name: str, version: str) -> bool:
    """Whether a release has the option, or another rule tells of it."""
    release = vllm.nearest_release(version)
    listed = release.option(name.removeprefix("no-")) or release.option(name)
    served = name.partition(".")[0] in SERVES
    return listed is not None or served or bool(missing("option", [name], version))


def _probes(one: Manifest, at: Path, container: dict[str, Any]) -> Iterator[Finding]:
    if one.kind == "Job" or "workerTemplate" in at:  # a worker has no API
        return
    if not container.get("readinessProbe"):
        yield one.finding("readiness", at)
    if not container.get("startupProbe"):
        if container.get("livenessProbe"):
            yield one.finding("liveness-kills", (*at, "livenessProbe"))
        else:
            yield one.finding("startup", at)


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
            case = "more" if ranks > count else "fewer"
            said = {"ranks": ranks, "count": count, "idle": count - ranks, "resource": GPUS[0]}
            yield one.finding("ranks", at, case, **said)
        if ranks > 1:
            yield from _shared_memory(one, at, container, spec)
    if not count and "cpu" not in str(container.get("image", "")):
        yield one.finding("no-gpu", (*at, "resources"))


def _shared_memory(
    one: Manifest, at: Path, container: dict[str, Any], spec: dict[str, Any]
) -> Iterator[Finding]:
    mounts = {
        m.get("mountPath"): m.get("name") for m in container.get("volumeMounts") or () if isinstance(m, dict)
    }
    name = mounts.get(SHM)
    volumes = spec.get("volumes") or ()
    named = ((i, v) for i, v in enumerate(volumes) if isinstance(v, dict) and name and v.get("name") == name)
    index, volume = next(named, (0, {}))
    if not volume:
        yield one.finding("shm", at)
    elif not (volume.get("emptyDir") or {}).get("sizeLimit"):
        yield one.finding("shm-limit", (*at[:-2], "volumes", index))


def _pod(one: Manifest, at: Path, spec: dict[str, Any], everything: Sequence[Manifest]) -> Iterator[Finding]:
    if one.kind == "Job":
        return
    container = next(c for c in spec["containers"] if isinstance(c, dict) and serves(c))
    stop = (container.get("lifecycle") or {}).get("preStop")
    if spec.get("terminationGracePeriodSeconds", 30) <= 30 or not stop:
        yield one.finding("drain", at, "short" if stop else "no preStop")
    if spec.get("enableServiceLinks") is not False:
        yield one.finding("service-links", at)
    if one.kind == "Deployment" and gpus(container):
        surge = one.get("spec", "strategy", "rollingUpdate", "maxSurge")
        if one.get("spec", "strategy", "type") != "Recreate" and surge is None:
            where = ("spec", "strategy") if one.get("spec", "strategy") else ("spec",)
            yield one.finding("strategy", where)
    if one.kind in ("Deployment", "LeaderWorkerSet") and not any(
        o.kind == "PodDisruptionBudget" for o in everything
    ):
        yield one.finding("budget", ("metadata",))
