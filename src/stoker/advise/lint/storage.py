"""Rules over where an engine reads and writes: caches, the node's disk, buckets, memory."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stoker.advise.lint.engines import Engine
from stoker.advise.lint.kinds import Pods
from stoker.advise.lint.ranks import SHM
from stoker.advise.lint.reading import Manifest
from stoker.advise.lint.sizes import of_hub, weights
from stoker.advise.lint.values import listed, quantity, table, text
from stoker.findings import Finding

FUSE = "gcsfuse.csi.storage.gke.io"
ASKED = "gke-gcsfuse/volumes"
LARGE = 70e9  # bytes: boot disks have 100 GB, images and logs take the rest
LEAST = 4 * 2**30  # bytes of memory below which an engine on a GPU does not come up
_HUB = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "TRANSFORMERS_CACHE", "XDG_CACHE_HOME")
_WRITTEN = (*_HUB, "HOME", "VLLM_CACHE_ROOT", "TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "TMPDIR")
_USUAL = ("/root/.cache", "/root", "/.cache", "/home", "/tmp", "/cache")  # noqa: S108  # the pod's
_FIXED = ("configMap", "secret", "projected", "downwardAPI")


def rules(engine: Engine) -> Iterator[Finding]:
    """All findings about what one engine has to write to."""
    yield from _writable(engine)
    if of_hub(engine.first.model):
        yield from _hub_cache(engine)
        yield from _disk(engine)
    yield from _memory(engine)


def _readonly(mount: Mapping[str, Any], volume: Mapping[str, Any]) -> bool:
    claims = [table(volume.get(key)).get("readOnly") for key in ("persistentVolumeClaim", "csi", "nfs")]
    return mount.get("readOnly") is True or True in claims or any(key in volume for key in _FIXED)


def _writable(engine: Engine) -> Iterator[Finding]:
    """A root file system that nobody writes to needs volumes where caches go."""
    contexts = (engine.container.get("securityContext"), engine.pod.spec.get("securityContext"))
    if not any(table(one).get("readOnlyRootFilesystem") is True for one in contexts):
        return
    places = [*(engine.env[name] for name in _WRITTEN if name in engine.env), *_USUAL]
    open_ = [path for path, mount, volume in engine.mounts() if path != SHM and not _readonly(mount, volume)]
    inside = any(
        f"{place}/".startswith(f"{path}/") or f"{path}/".startswith(f"{place}/")
        for path in open_
        for place in places
    )
    if not inside:
        yield engine.one.finding("cache", engine.at, "root")


def _hub_cache(engine: Engine) -> Iterator[Finding]:
    """The hub writes beside what it reads: locks, references, what is missing."""
    told = engine.first.get("download-dir")
    places = [(engine.words_at, told)] if told else []
    places += [((*engine.at, "env"), engine.env[name]) for name in _HUB if name in engine.env]
    offline = engine.env.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")
    for at, place in places:
        found = engine.mounted(place)
        if found is not None and _readonly(*found) and not offline:
            yield engine.one.finding("cache", at, "hub", place=place)
            return


def _disk(engine: Engine) -> Iterator[Finding]:
    """Weights that are fetched onto the node's own disk."""
    size = weights(engine.first.model or "")
    if size is None or size < LARGE or engine.pod.role == "managed":
        return
    told = [engine.first.get("download-dir"), *(engine.env.get(name) for name in _HUB)]
    place = next((one for one in told if one and one.startswith("/")), None)
    found = engine.mounted(place or "/root/.cache/huggingface")
    resources = table(engine.container.get("resources"))
    if any("ephemeral-storage" in table(resources.get(part)) for part in ("limits", "requests")):
        return
    volume = found[1] if found else {}
    local = "emptyDir" in volume and not table(volume.get("emptyDir")).get("sizeLimit")
    others = [
        one
        for path, _, one in engine.mounts()
        if path != SHM and not any(key in one for key in (*_FIXED, "emptyDir"))
    ]
    if local or (not found and (place or not others)):
        yield engine.one.finding("disk", engine.at, model=engine.first.model, size=f"{size / 1e9:,.0f}")


def _memory(engine: Engine) -> Iterator[Finding]:
    """Memory that an engine dies of before it serves."""
    limits = table(table(engine.container.get("resources")).get("limits"))
    given = quantity(limits.get("memory"))
    if given is None or engine.devices.none:
        return
    found = engine.mounted(SHM)
    shared = quantity(table(found[1].get("emptyDir")).get("sizeLimit")) if found else None
    if given < LEAST:
        yield engine.one.finding("memory", (*engine.at, "resources"), "little", given=text(limits["memory"]))
    elif shared is not None and shared > given:
        said = {
            "given": text(limits["memory"]),
            "shared": text(table(found[1]["emptyDir"])["sizeLimit"]) if found else "",
        }
        yield engine.one.finding("memory", (*engine.at, "resources"), "shared", **said)


def buckets(one: Manifest, pod: Pods, everything: Sequence[Manifest]) -> Iterator[Finding]:
    """GCS FUSE runs beside the containers of a pod that asks for it."""
    if pod.role == "managed":
        return
    notes = table(table(one.get(*pod.template, "metadata")).get("annotations"))
    if str(notes.get(ASKED)).lower() == "true":
        return
    for index, volume in enumerate(listed(pod.spec.get("volumes"))):
        claim = text(table(table(volume).get("persistentVolumeClaim")).get("claimName"))
        if table(table(volume).get("csi")).get("driver") == FUSE or (claim and _bucket(claim, everything)):
            yield one.finding("fuse", (*pod.at, "volumes", index), annotation=ASKED)


def _bucket(claim: str, everything: Sequence[Manifest]) -> bool:
    """Whether a claim of these files is bound to a bucket."""
    found = next((o for o in everything if o.kind == "PersistentVolumeClaim" and o.name == claim), None)
    volume = text(found.get("spec", "volumeName")) if found else ""
    held = next((o for o in everything if o.kind == "PersistentVolume" and volume and o.name == volume), None)
    return held is not None and held.get("spec", "csi", "driver") == FUSE
