"""`stoker suggest`: the cheapest setting that keeps the objectives."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from stoker.bench import files
from stoker.cli import suggest_measure
from stoker.cli.bench import asked_objectives, asked_share, asked_words, workload_options
from stoker.cli.common import SpecOptions, output_option, read_spec, spec_options
from stoker.cli.printing import print_json
from stoker.cli.simulate import asked_time
from stoker.cli.suggest_measure import Tried
from stoker.errors import UsageError
from stoker.operate.simulate import Asked
from stoker.operate.suggest import MOST, Suggestion, suggest
from stoker.operate.writing import write_fields
from stoker.simulator.choices import Weighed
from stoker.spec.loader import DEFAULT_FILE
from stoker.spec.nouns import ServeSpec
from stoker.traffic import asked as words_of
from stoker.traffic import run as runs
from stoker.traffic.objectives import LatencyObjectives
from stoker.traffic.run import Environment
from stoker.traffic.workload import Workload
from stoker.ui.report import suggest_text
from stoker.ui.terminal import ProgressPrinter

SEEDS = 5


@click.command("suggest")
@click.argument("workload", required=False, metavar="[WORKLOAD.yaml]")
@spec_options
@workload_options
@click.option("--profile", metavar="DIR", help="The engine's pace: a run of `stoker bench`, a file, a name.")
@click.option("--slo", metavar="OBJECTIVES", help="`ttft=1s,itl=50ms,e2e=20s`. Default: the file's own.")
@click.option("--attainment", metavar="SHARE", help="Of requests that are to keep them. Default: 99%.")
@click.option("--gpu", type=click.Choice(["any"]), help="`any`: choose among all GPUs with a price, too.")
@click.option("--no-options", is_flag=True, help="Leave the engine's options as they are.")
@click.option(
    "--most", type=click.IntRange(1, 10_000), default=MOST, show_default=True, help="Replicas at most."
)
@click.option(
    "--seeds", type=click.IntRange(2, 100), default=SEEDS, show_default=True, help="Of the last trials."
)
@click.option("--metric-delay", metavar="TIME", help="How old a figure is when the autoscaler has it.")
@click.option("--price", type=click.FloatRange(0), help="Dollars an hour of one replica.")
@click.option("--measure", is_flag=True, help="Try the best two on real engines of this machine, too.")
@click.option("--write", is_flag=True, help="Write what is suggested into the spec's file.")
@output_option("table", "json")
def command(**given: Any) -> int:
    """Searches metric, target, bounds and behavior of the autoscaler, options of the engine and, with --gpu
    any, the hardware: for the cheapest setting that keeps the objectives under the workload.

    Everything is simulated as `stoker simulate` does it. Exit code 1: no setting keeps them.
    """
    words, base = asked_words({**given, "sweep": False})
    workload = words_of.read(words, files.files(base))
    options: SpecOptions = given["asked"]
    path = Path(options.file or DEFAULT_FILE)
    if given["write"] and not path.is_file():
        raise UsageError("there is no file to write into", why=f"{path} is not there", fix="-f FILE")
    spec = read_spec(None, options)
    if given["measure"]:
        suggest_measure.check(spec, given["gpu"] == "any")
    printer = ProgressPrinter()
    tried: list[Tried] = []
    try:
        found = _searched(spec, workload, given, printer)
        if given["measure"]:
            tried = suggest_measure.tried(found, options, workload, words_of.plain(words), printer)
    finally:
        printer.done()
    _print(found, tried, spec.name, given["output"])
    best = found.found.best
    if best is None:
        return 1
    if given["write"]:
        write_fields(path, suggest_text.fields(found, best.choice))
        click.echo(f"  written     to {path}", err=True)
    return 0


def _searched(
    spec: ServeSpec, workload: Workload, given: dict[str, Any], printer: ProgressPrinter
) -> Suggestion:
    asked = Asked(
        given["profile"],
        asked_objectives(given["slo"], Environment()) if given["slo"] else LatencyObjectives(),
        asked_share(given["attainment"]),
        delay=asked_time("--metric-delay", given["metric_delay"]),
        price=given["price"],
    )
    return suggest(
        spec,
        workload,
        asked,
        any_gpu=given["gpu"] == "any",
        options=not given["no_options"],
        most=given["most"],
        seeds=given["seeds"],
        report=printer,
    )


def _print(found: Suggestion, tried: list[Tried], name: str, output: str) -> None:
    if output == "json":
        print_json(as_json(found) | {"measured": [runs.to_json(one.run) for one in tried]})
        return
    click.echo(suggest_text.text(found, name))
    if tried:
        click.echo("\n" + suggest_measure.text(found, tried))


def as_json(found: Suggestion) -> dict[str, Any]:
    """What `-o json` prints."""
    result = found.found
    return {
        "share": found.share,
        "best": _row(result.best),
        "fields": suggest_text.fields(found, result.best.choice) if result.best else None,
        "static": _row(result.static),
        "guide": _row(result.guide),
        "guide_equal": _row(result.guide_equal),
        "as_well": _row(result.as_well),
        "nearest": _row(result.nearest),
        "front": [_row(one) for one in result.front],
        "tried": len(result.tried),
        "left_out": dict(found.left_out),
    }


def _row(one: Weighed | None) -> dict[str, Any] | None:
    if one is None:
        return None
    choice = one.choice
    return {
        "base": choice.base,
        "replicas": str(choice.replicas),
        "metric": choice.metric,
        "target": choice.target,
        "behavior": choice.behavior,
        "attainment": asdict(one.attainment),
        "cost": asdict(one.cost),
        "seeds": one.seeds,
        "figures": {name: asdict(figure) for name, figure in one.figures.items()},
    }


FIELDS = {
    "share": "of requests that are to keep the objectives",
    "best": "the cheapest that keeps them with 95 % confidence over the seeds: {base, replicas, metric, "
    "target, behavior, attainment, cost, seeds, figures}; metric is null for a fixed number; null where "
    "nothing does",
    "fields": "the same as fields of a spec; or null",
    "static": "the least fixed number that keeps them; or null",
    "guide": "what the guide's own setting does, with the same most replicas; or null",
    "as_well": "the cheapest that keeps as much as the guide's own setting, where that keeps too little; "
    "or null",
    "guide_equal": "the guide's setting with as many replicas at least as it needs to keep them; or null",
    "nearest": "where nothing keeps them, what keeps most; or null",
    "front": "list: of what was tried, those of which none is cheaper and keeps more, the cheapest first",
    "tried": "how many settings",
    "measured": "list of runs as `stoker bench -o json` has them, with --measure: of the best and the next",
    "left_out": "object: hardware or options that were not tried, with why",
}
