"""How many specs a second become manifests, on one core: `python -m benchmarks.render`.

Each spec is read from its text, planned for a model whose shape is at hand, rendered and written as YAML:
what `up` and `render` do, but for the model's config.json. Beside it: the same objects through PyYAML's C
dumper alone.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import yaml
from tests import models
from tests.golden.cases import CASES

from stoker.planner.requested import plan_asked
from stoker.planner.unknown_shape import unsized
from stoker.render.manifests import Manifest, manifests
from stoker.spec import load

SECONDS = 5.0


def main() -> int:
    """Prints specs a second, and the share that PyYAML takes of it."""
    shapes = {name: models.shape(config) for name, (_, config) in CASES.items() if config is not None}
    parts = {"read": 0.0, "plan": 0.0, "render": 0.0, "write": 0.0}
    count = objects = 0
    begun = time.process_time()
    while time.process_time() - begun < SECONDS:
        for name, (text, _) in CASES.items():
            marks = [time.process_time()]
            spec = load(text, name)
            marks.append(time.process_time())
            plan = plan_asked(spec, shapes[name], "m") if name in shapes else unsized(spec, None)
            marks.append(time.process_time())
            made = manifests(plan)
            marks.append(time.process_time())
            written = [one.text() for one in made]
            marks.append(time.process_time())
            for part, before, after in zip(parts, marks[:-1], marks[1:], strict=True):
                parts[part] += after - before
            count, objects = count + 1, objects + len(written)
    spent = time.process_time() - begun
    peer = _peer([one.body for name, (text, _) in CASES.items() for one in _made(text, name, shapes)])
    print(f"{count / spent:,.0f} specs a second and core ({objects / spent:,.0f} objects)")
    for part, seconds in parts.items():
        print(f"  {part:8} {1000 * seconds / count:6.2f} ms a spec, {100 * seconds / spent:3.0f} %")
    ours = parts["write"] / objects
    print(
        f"an object as text: {1e6 * ours:.0f} us; PyYAML's C dumper {1e6 * peer:.0f} us, {peer / ours:.1f} "
        f"times as long"
    )
    return 0


def _made(text: str, name: str, shapes: dict[str, Any]) -> tuple[Manifest, ...]:
    spec = load(text, name)
    return manifests(plan_asked(spec, shapes[name], "m") if name in shapes else unsized(spec, None))


def _peer(bodies: list[dict[str, Any]]) -> float:
    """Seconds an object that PyYAML takes to write it."""
    begun = time.process_time()
    for body in bodies:
        yaml.dump(body, Dumper=yaml.CSafeDumper, sort_keys=False)
    return (time.process_time() - begun) / len(bodies)


if __name__ == "__main__":
    sys.exit(main())
