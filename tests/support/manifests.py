"""Strict checks of rendered objects: schemas, Pod Security, and plans to render from."""

import json
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate

from stoker.planner.plan import Plan
from stoker.planner.requested import plan_asked
from stoker.planner.unknown_shape import unsized
from stoker.render.manifests import Manifest, manifests
from stoker.spec import load
from tests import models
from tests.support import cel

CRDS = Path(__file__).resolve().parents[1] / "data/crds"
RELEASES = ("1.32", "1.34", "1.36")
# GKE publishes no definition of these
UNVALIDATED = {"ComputeClass", "AutoscalingMetric"}


def plan_of(text: str, config: dict[str, Any] | None = models.GEMMA3_27B) -> Plan:
    """The plan of a spec for a model of these dimensions."""
    spec = load(text, "stoker.yaml")
    if config is None or spec.engine.kind == "simulated":
        return unsized(spec, None)
    return plan_asked(spec, models.shape(config), str(spec.model.source))


def rendered(text: str, config: dict[str, Any] | None = models.GEMMA3_27B) -> tuple[Manifest, ...]:
    """The objects of a spec."""
    return manifests(plan_of(text, config))


def one(objects: tuple[Manifest, ...], kind: str, name: str | None = None) -> dict[str, Any]:
    """The body of the only object of a kind, or of that name."""
    (found,) = [o.body for o in objects if o.kind == kind and name in (None, o.name)]
    return found


def pod_specs(objects: tuple[Manifest, ...]) -> list[dict[str, Any]]:
    """Every pod's spec."""
    out = []
    for body in (o.body for o in objects):
        if body["kind"] in ("Deployment", "Job"):
            out.append(body["spec"]["template"]["spec"])
        elif body["kind"] == "LeaderWorkerSet":
            group = body["spec"]["leaderWorkerTemplate"]
            out += [group["leaderTemplate"]["spec"], group["workerTemplate"]["spec"]]
    return out


@cache
def _definition(kind: str) -> Any:
    return json.loads((CRDS / f"{kind}.json").read_text())


@cache
def _validator(kind: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(_definition(kind)["schema"])


_valid: set[str] = set()  # bodies that passed: combinations repeat most of their objects


def check(objects: tuple[Manifest, ...], releases: tuple[str, ...] = RELEASES) -> None:
    """Raises where a real API server would refuse an object, or Pod Security `restricted` a pod."""
    assert len({(o.kind, o.name) for o in objects}) == len(objects)
    for each in objects:
        known = f"{releases} {json.dumps(each.body, sort_keys=True)}"
        if known in _valid:
            continue
        if (CRDS / f"{each.kind}.json").exists():
            definition = _definition(each.kind)
            assert each.api_version == definition["apiVersion"]
            _validator(each.kind).validate(each.body)
            wrong = cel.broken(definition["schema"], each.body)
            assert not wrong, f"{each}: {wrong}"
        elif each.kind not in UNVALIDATED:
            for release in releases:
                kubernetes_validate.validate(each.body, release, strict=True)
        _valid.add(known)
    for spec in pod_specs(objects):
        restricted(spec)


def restricted(spec: dict[str, Any]) -> None:
    """Pod Security Standards, `restricted`; and what this product asks beyond it."""
    pod = spec["securityContext"]
    assert pod["runAsNonRoot"] is True
    assert pod["runAsUser"] > 0
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    watches = spec.get("serviceAccountName", "").endswith(("-gateway", "-picker", "-page"))
    assert spec["automountServiceAccountToken"] is watches, "only what watches pods has a token"
    assert spec["enableServiceLinks"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    allowed = {"configMap", "csi", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
    for volume in spec["volumes"]:
        assert set(volume) - {"name"} <= allowed
    names = {volume["name"] for volume in spec["volumes"]}
    for container in [*spec.get("initContainers", ()), *spec["containers"]]:
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["readOnlyRootFilesystem"] is True
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert {mount["name"] for mount in container["volumeMounts"]} <= names
        assert ":" in container["image"]
        assert not container["image"].endswith(":latest")
        assert "resources" in container


def rewrite(folder: Path, cases: Iterable[str], text_of: Callable[[str], str]) -> None:
    """Writes what is checked in of these cases anew, and nothing else."""
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for case in cases:
        (folder / f"{case}.yaml").write_text(text_of(case))
