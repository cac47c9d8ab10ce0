"""Writes what each example comes to: `expected/plan.json` and `expected/manifests/*.yaml`. `make examples`.

The models' shapes are the catalog's, so nobody is asked for them and the same comes out in every clone. A
pod's own programs stand in src/stoker/render/manifests/scripts already: in the examples their text is a line
that says so.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

from stoker.catalog.models import model
from stoker.cli.plan_json import as_json
from stoker.cli.printing import plain
from stoker.model.files import ModelFiles
from stoker.model.shape import read_shape
from stoker.operate.render import files_of
from stoker.planner.plan import Plan
from stoker.planner.requested import plan_asked
from stoker.render.manifests.manifest import Manifest
from stoker.spec import load
from stoker.spec.nouns import Hub, ServeSpec

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
PROGRAMS = "-scripts.yaml"


def names() -> list[str]:
    """The examples, by folder."""
    return sorted(path.parent.name for path in EXAMPLES.glob("*/stoker.yaml"))


def spec_of(name: str) -> ServeSpec:
    """An example's spec."""
    return load((EXAMPLES / name / "stoker.yaml").read_text(), f"examples/{name}/stoker.yaml")


def decided(name: str) -> Plan:
    """An example's plan, of the shape that the catalog has."""
    spec = spec_of(name)
    source = spec.model.source
    assert isinstance(source, Hub)
    known = model(source.repo)
    assert known is not None, f"the catalog has no {source.repo}: tools/models.py adds it"
    return plan_asked(spec, read_shape(ModelFiles(known.config, {})), str(source))


def plan_of(name: str) -> Any:
    """An example's plan as `-o json` prints it."""
    return json.loads(json.dumps(plain(as_json(decided(name))), default=str))


def expected(name: str) -> dict[str, str]:
    """What stands under an example's `expected/`, by its path there."""
    plan = decided(name)
    manifests = {
        f"manifests/{file}": without_programs(file, text)
        for file, text in files_of(plan).items()
        if file.endswith(".yaml")
    }
    return {"plan.json": json.dumps(plan_of(name), indent=2) + "\n", **manifests}


def without_programs(file: str, text: str) -> str:
    """The text of a manifest; of the ConfigMap of a pod's programs without them."""
    if not file.endswith(PROGRAMS):
        return text
    body = yaml.safe_load(text)
    body["data"] = {one: f"# src/stoker/render/manifests/scripts: {one}\n" for one in body["data"]}
    return Manifest(body).text()


def main() -> int:
    """Writes what has changed, and removes what no example comes to any more."""
    for name in names():
        folder, wanted = EXAMPLES / name / "expected", expected(name)
        for path in [path for path in folder.rglob("*") if path.is_file()]:
            if str(path.relative_to(folder)) not in wanted:
                path.unlink()
        for file, text in wanted.items():
            path = folder / file
            if not path.exists() or path.read_text() != text:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
                print(f"  ok    examples    {name}/{file} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
