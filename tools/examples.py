"""Writes what each example's plan is, `examples/*/expected/plan.json`: `make examples`. A test compares them.

The models' config.json files are read from a folder of `org__name/config.json`, as on the hub:
STOKER_CONFIGS, else `../shared/data/configs` beside the project.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from stoker.cli.common import plain
from stoker.cli.plan import as_json
from stoker.model.files import ModelFiles
from stoker.model.shape import read_shape
from stoker.planner.requested import plan_asked
from stoker.spec import load
from stoker.spec.nouns import Hub

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
CONFIGS = Path(os.environ.get("STOKER_CONFIGS") or ROOT.parent / "shared" / "data" / "configs")


def names() -> list[str]:
    """The examples, by folder."""
    return sorted(path.parent.name for path in EXAMPLES.glob("*/stoker.yaml"))


def config_of(name: str) -> Path:
    """Where the config.json of an example's model would be."""
    source = load((EXAMPLES / name / "stoker.yaml").read_text(), f"examples/{name}/stoker.yaml").model.source
    assert isinstance(source, Hub)
    return CONFIGS / source.repo.replace("/", "__") / "config.json"


def plan_of(name: str) -> Any:
    """An example's plan as `-o json` prints it."""
    spec = load((EXAMPLES / name / "stoker.yaml").read_text(), f"examples/{name}/stoker.yaml")
    shape = read_shape(ModelFiles(json.loads(config_of(name).read_text()), {}))
    return json.loads(
        json.dumps(plain(as_json(plan_asked(spec, shape, str(spec.model.source)))), default=str)
    )


def main() -> int:
    """Writes what has changed."""
    for name in names():
        path = EXAMPLES / name / "expected" / "plan.json"
        text = json.dumps(plan_of(name), indent=2) + "\n"
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            print(f"  ok    examples    {name} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
