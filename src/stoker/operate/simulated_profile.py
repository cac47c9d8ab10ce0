"""Whether a profile that was handed over is one of the plan's own engine: of its model, on its hardware."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stoker.bounds import TEXT, shown
from stoker.catalog import profiles
from stoker.findings import Finding
from stoker.planner.plan import Plan
from stoker.system import reading
from stoker.system.reading import Unreadable

FIX = "a profile of your own engine: stoker bench --sweep, over one replica"


def unlike(plan: Plan, path: Path, name: str) -> Iterator[Finding]:
    """What is said of a profile of another engine. path: of the file that holds it, name: as it was given."""
    row = profiles.profiles().get(name)
    if row is not None:
        shape = plan.shape
        same = shape is None or (
            row.architecture == shape.architecture
            and abs(row.parameters / max(1, shape.parameters) - 1) < 0.03
        )
        yield from _said("model", row.model, plan.spec.model.served_name, same)
        gpu = plan.hardware.gpu_type
        here = gpu.key if gpu is not None else plan.hardware.gpus[0].name if plan.hardware.gpus else "cpu"
        ranks = plan.gpus_per_replica if plan.hardware.gpus or gpu is not None else 1
        on, planned = f"{row.ranks} x {row.hardware}", f"{ranks} x {here}"
        yield from _said("hardware", on, planned, (row.hardware, row.ranks) == (here, ranks))
        return
    run = _run(path)
    spec = run.get("environment", {}).get("spec") if isinstance(run.get("environment"), dict) else None
    if not isinstance(spec, dict):
        return
    model = run.get("model")
    if isinstance(model, str) and model:
        yield from _said(
            "model", shown(model), plan.spec.model.served_name, model == plan.spec.model.served_name
        )
    hardware = spec.get("hardware")
    gpu_name = hardware.get("gpu") if isinstance(hardware, dict) else None
    if isinstance(gpu_name, str) and plan.spec.hardware.gpu not in (None, gpu_name):
        yield from _said("hardware", shown(gpu_name), str(plan.spec.hardware.gpu), False)


def _said(what: str, measured: str, planned: str, same: bool) -> Iterator[Finding]:
    if not same:
        yield Finding(
            f"the profile's {what} is another one: measured was {measured}, planned is {planned}",
            why="times and costs below are those of the other one",
            fix=FIX,
            severity="warning",
            rule="simulate-other-engine",
        )


def _run(path: Path) -> Mapping[str, Any]:
    """A run's file; empty where there is none."""
    try:
        raw = json.loads(reading.read_text(path, TEXT, handed=True))
    except (Unreadable, ValueError, RecursionError):
        return {}
    return raw if isinstance(raw, dict) else {}
