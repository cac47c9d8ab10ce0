"""`render`: the manifests of a fleet as files, the same that `up` applies."""

import re
from pathlib import Path

from stoker.errors import Mistake, WorldFailed
from stoker.operate.plan import plan_cluster
from stoker.planner.plan import Plan
from stoker.render.manifests import choose, manifests
from stoker.render.manifests.manifest import kustomization
from stoker.render.manifests.scaling import adapter_rules
from stoker.spec.nouns import ServeSpec

KUSTOMIZATION = "kustomization.yaml"
ADAPTER = "prometheus-adapter-values.yaml"


def rendered(spec: ServeSpec) -> tuple[Plan, dict[str, str]]:
    """The plan, and the text of each file by its name, in the order in which they are applied.

    Raises: Mistake, DoesNotFit, WeightsFailed.
    """
    plan = plan_cluster(spec)
    objects = manifests(plan)
    files = {one.file: one.text() for one in objects}
    later = [one.file for one in objects if one.waits]
    files[KUSTOMIZATION] = kustomization([name for name in files if name not in later], later)
    if rules := adapter_rules(choose(plan)):
        files[ADAPTER] = rules
    return plan, files


def write(files: dict[str, str], folder: Path) -> tuple[str, ...]:
    """Writes them into a folder, and removes what an earlier render left there. Returns the names removed.

    Raises: Mistake, for a folder that holds something else.
    """
    before = _before(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        gone = tuple(sorted(before - set(files)))
        for name in gone:
            (folder / name).unlink()
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise WorldFailed(
            f"{folder} cannot be written", why=str(error), fix="another folder: -O DIR"
        ) from error
    return gone


def _before(folder: Path) -> set[str]:
    """The files of an earlier render. Raises: Mistake, where the folder has files that none wrote."""
    if folder.exists() and not folder.is_dir():
        raise Mistake(f"{folder} is no folder", why="a file stands there", fix="another folder: -O DIR")
    here = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if not here:
        return set()
    if KUSTOMIZATION not in here:
        raise Mistake(
            f"{folder} holds something else", why=f"it has no {KUSTOMIZATION}, so no render wrote it",
            fix="an empty folder: -O DIR", rule="render-folder",
        )  # fmt: skip
    import yaml

    text = (folder / KUSTOMIZATION).read_text(encoding="utf-8")
    ours = {str(name) for name in (yaml.safe_load(text) or {}).get("resources") or ()} | {
        KUSTOMIZATION,
        ADAPTER,
    }
    return (ours | set(re.findall(r"^#   kubectl apply -f (\S+)$", text, re.M))) & here
