"""A load test played again on a virtual clock: of the fleet as it was, or with other fields.

`python -m stoker.operate.foresee` reads what to play from its standard input and prints what comes of it,
both JSON. A console starts it as a process of its own, which may take a core for seconds.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from stoker.bench import files, folder
from stoker.bench.notice import LastTest
from stoker.errors import StokerError, UsageError
from stoker.fleet.points import COLUMNS, Point
from stoker.fleet.typed import typed
from stoker.operate import simulate as simulating
from stoker.operate.simulate import Asked
from stoker.operate.stored import load_stored
from stoker.simulator.latencies import points
from stoker.simulator.run import Simulated, simulate
from stoker.spec.nouns import ServeSpec
from stoker.traffic import asked as words_of
from stoker.traffic.run import Run

SPAN = 10.0  # seconds that a console's figures are of
# What may be asked for: fields that change a fleet's pace and size, and name no file, model or command.
FIELD = re.compile(
    r"(replicas|hardware(\.[a-z_-]+)?|scaling(\.[a-z_-]+)*|endpoint\.routing"
    r"|engine\.(max-num-seqs|max-num-batched-tokens|max-model-len|gpu-memory-utilization|tensor-parallel-size"
    r"|enable-prefix-caching|enable-chunked-prefill|async-scheduling|kv-cache-dtype))=(?!@).{1,500}"
)


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be played. spec: as the fleet keeps it; sets: `path=value` over it."""

    spec: Mapping[str, Any]
    test: LastTest
    sets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What comes of it. rows: the fleet's points at the epoch times of the test; measured, simulated: figures
    by name, seconds and rates; profile: whose pace it is; own: whether
    this very test gave it; missed: the share by which it misses what it was fitted to."""

    began: float
    columns: tuple[str, ...]
    rows: tuple[tuple[float | None, ...], ...]
    simulated: Mapping[str, float | None]
    measured: Mapping[str, float | None]
    profile: str
    own: bool
    missed: float | None
    findings: tuple[str, ...]


def foresee(question: Question) -> Foreseen:
    """Plays it. Raises: DoesNotFit, UsageError, SpecError."""
    run = _measured(question.test)
    spec = _spec(question, run)
    words = {
        name: words_of.Asked(value, "the test's workload") for name, value in question.test.words.items()
    }
    workload = words_of.read(words, files.files(Path(question.test.base)))
    own = run is not None and run.profile is not None
    asked = Asked(profile=question.test.results if own else None)
    if run is not None:
        asked = replace(asked, objectives=run.objectives, share=run.share)
    made, _ = simulating.scenario(spec, workload, asked)
    found = simulate(made)
    began = run.started if run is not None else question.test.at
    seen = points(found.run.timeline, found.run.records, SPAN)
    return Foreseen(
        began,
        tuple(name for name in COLUMNS if name != "replica"),
        tuple(_row(one, began) for one in seen),
        _figures(found.run, found),
        _figures(run) if run is not None else {},
        made.profile.source,
        own,
        made.profile.error,
        tuple(f"{one.what}: {one.why}" for one in found.run.findings),
    )


def allowed(sets: Sequence[str]) -> None:
    """Raises: UsageError, for a field that is none of those which may be asked for."""
    for one in sets:
        if not FIELD.fullmatch(one):
            raise UsageError(
                f"{one[:100]} cannot be asked here",
                why="expected replicas, hardware, scaling or the engine's own limits, as PATH=VALUE",
                fix="replicas=2 engine.max-num-seqs=64",
            )


def _measured(test: LastTest) -> Run | None:
    try:
        return folder.load(Path(test.results))
    except StokerError:  # it still runs, or was kept nowhere
        return None


def _spec(question: Question, run: Run | None) -> ServeSpec:
    """As many replicas as there were, where their number is fixed and nobody asks for another."""
    spec = load_stored(dict(question.spec))
    there = run.timeline[0].whole.wanted if run is not None and run.timeline else None
    sets = question.sets
    if there and spec.replicas.low == spec.replicas.high != there:
        sets = (f"replicas={there}", *sets)
    return load_stored(dict(question.spec), sets) if sets else spec


def _row(point: Point, began: float) -> tuple[float | None, ...]:
    values = asdict(point)
    values.pop("replica")
    return tuple(
        began + value if name == "at" else None if value is None else float(f"{value:.6g}")
        for name, value in values.items()
    )


def _figures(run: Run, simulated: Simulated | None = None) -> dict[str, float | None]:
    found = run.summary
    out: dict[str, float | None] = {}
    for name in ("ttft", "itl", "e2e"):
        one = getattr(found, name)
        out |= {f"{name}_p50": one.p50, f"{name}_p99": one.p99} if one.count else {}
    out |= {"output_rate": found.output_rate, "completed": found.completed, "attainment": found.attainment}
    out["failed"] = found.failed
    out["replicas"] = simulated.use.mean if simulated else _mean(run)
    return out


def _mean(run: Run) -> float | None:
    """Replicas that were ready, on average."""
    found = [one.whole.ready for one in run.timeline if one.whole.ready is not None]
    return sum(found) / len(found) if found else None


def main() -> int:
    """One question, one answer; what is wrong with it is an answer too."""
    try:
        question = typed(Question, json.load(sys.stdin))
        allowed(question.sets)
        sys.stdout.write(json.dumps(asdict(foresee(question))))
    except StokerError as error:
        found = error.finding
        sys.stdout.write(json.dumps({"error": f"{found.what}: {found.why}", "fix": found.fix}))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
