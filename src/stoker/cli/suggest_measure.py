"""`stoker suggest --measure`: the best two suggestions, tried on real engines of this machine."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stoker.bench import measure
from stoker.bench.folder import RunFolder
from stoker.bench.measure import Live, Test
from stoker.bench.server_watch import ServerWatch
from stoker.cli.bench import told
from stoker.cli.common import SpecOptions, parse_spec
from stoker.errors import UsageError
from stoker.events import Progress
from stoker.operate.front import up
from stoker.operate.suggest import Suggestion
from stoker.simulator.choices import Choice, Weighed
from stoker.spec.nouns import ServeSpec
from stoker.traffic.run import Run
from stoker.traffic.workload import Workload
from stoker.ui.report import suggest_text
from stoker.ui.report.figures import Unit, figure
from stoker.ui.terminal import ProgressPrinter, table

BEST = 2


@dataclass(frozen=True, slots=True)
class Tried:
    """A suggestion, as it was simulated and as it was measured."""

    weighed: Weighed
    run: Run


def check(spec: ServeSpec, any_gpu: bool) -> None:
    """Raises: UsageError, where nothing can be measured here."""
    if spec.target != "local" or any_gpu:
        raise UsageError(
            "--measure tries suggestions on this machine",
            why="the spec is a cluster's" if spec.target != "local" else "--gpu any suggests other hardware",
            fix="--target local, without --gpu any",
        )


def tried(
    found: Suggestion,
    options: SpecOptions,
    workload: Workload,
    words: Mapping[str, Any],
    printer: ProgressPrinter,
) -> list[Tried]:
    """Brings each of the best two up, sends the workload, and takes it down again. Raises: StokerError."""
    return [Tried(one, _measured(found, one, options, workload, words, printer)) for one in best(found)]


def best(found: Suggestion) -> list[Weighed]:
    """The suggested one, and the next that keeps the objectives with another setting of the engine, or else
    of the autoscaler."""
    first = found.found.best
    if first is None:
        return []
    others = sorted(
        (one for one in found.found.tried if one.keeps(found.share) and one.choice != first.choice),
        key=lambda one: (one.choice.base == first.choice.base, one.cost.mean, -one.attainment.mean),
    )
    return [first, *others[: BEST - 1]]


def _measured(
    found: Suggestion,
    one: Weighed,
    options: SpecOptions,
    workload: Workload,
    words: Mapping[str, Any],
    printer: ProgressPrinter,
) -> Run:
    from stoker.ui.console import source

    spec = _spec(found, one.choice, options)
    scenario = found.bases[one.choice.base].scenario
    printer(Progress("measure", f"bringing up {one.choice}"))
    with (
        up(spec, report=printer, replace_running=True) as fleet,
        fleet.endpoint() as endpoint,
        tempfile.TemporaryDirectory() as folder,
    ):
        test = Test(
            endpoint, fleet.name, workload, words, objectives=scenario.objectives, share=scenario.share
        )
        place = source.source_of(fleet)
        watch = ServerWatch(place.state, place.pages)

        def show(live: Live) -> None:
            printer(told(live))

        return measure.measure(test, measure.probe(test), RunFolder(Path(folder, "run")), watch, show)


def _spec(found: Suggestion, choice: Choice, options: SpecOptions) -> ServeSpec:
    """The file's spec with the suggestion in it, under a name of its own."""
    fields = suggest_text.fields(found, choice)
    sets = tuple(f"{name}={json.dumps(value)}" for name, value in _flat(fields))
    spec = parse_spec(None, replace(options, sets=(*options.sets, *sets)))
    return replace(spec, name=f"{spec.name[:40]}-suggested", endpoint=replace(spec.endpoint, page=False))


def _flat(fields: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Options of the engine one by one; the rest whole."""
    out: list[tuple[str, Any]] = []
    for name, value in fields.items():
        if name == "engine" and isinstance(value, Mapping):
            out += [(f"engine.{option}", each) for option, each in value.items()]
        else:
            out.append((name, value))
    return out


def text(suggestion: Suggestion, found: list[Tried]) -> str:
    """Simulated and measured beside each other."""
    rows = [["MEASURED HERE", "KEPT", "TTFT P50", "TTFT P99", "ITL P50", "E2E P50", "TOKENS/S"]]
    for one in found:
        told_of, run = one.weighed.figures, one.run.summary
        keys = ("attainment", "ttft_p50", "ttft_p99", "itl_p50", "e2e_p50", "output_rate")
        seen = (run.attainment, run.ttft.p50, run.ttft.p99, run.itl.p50, run.e2e.p50, run.output_rate)
        ours = [told_of[key].mean if key in told_of else None for key in keys]
        rows.append([suggest_text.named(suggestion, one.weighed), *_cells(seen)])
        rows.append(["  simulated", *_cells(ours)])
    return "\n".join(f"  {line}" for line in table(rows, frozenset(range(1, 7))).splitlines())


def _cells(values: Sequence[float | None]) -> list[str]:
    units: tuple[Unit, ...] = ("%", "s", "s", "s", "s", "number")
    return [figure(value, unit) for value, unit in zip(values, units, strict=True)]
