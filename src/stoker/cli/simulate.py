"""`stoker simulate`: what a fleet would do under a workload, on a virtual clock."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from stoker.bench import files
from stoker.bench.folder import REPORT, RunFolder
from stoker.bench.job import TIMEOUT
from stoker.cli.bench import asked_objectives, asked_share, asked_words, workload_options
from stoker.cli.common import SpecOptions, output_option, parse_spec, read_spec, spec_options
from stoker.cli.printing import print_json
from stoker.errors import UsageError
from stoker.events import Progress
from stoker.operate import simulate as simulating
from stoker.operate.simulate import Asked
from stoker.simulator.run import Simulated, simulate
from stoker.simulator.scenario import Failures, Scenario
from stoker.traffic import asked as words_of
from stoker.traffic import run as runs
from stoker.traffic.run import Environment
from stoker.ui.report import simulated_text
from stoker.ui.terminal import ProgressPrinter
from stoker.units import Seconds

PHASE_NAMES = ("node", "image", "weights", "start", "load", "warm-up")
SEEDS = 3


@click.command("simulate")
@click.argument("workload", required=False, metavar="[WORKLOAD.yaml]")
@spec_options
@workload_options
@click.option(
    "--profile", metavar="DIR", help="The engine's pace: a run of `stoker bench`, a file, or a name."
)
@click.option("--slo", metavar="OBJECTIVES", help="`ttft=1s,itl=50ms,e2e=20s`. Default: the file's own.")
@click.option("--attainment", metavar="SHARE", help="Of requests that are to keep them. Default: 99%.")
@click.option(
    "--versus",
    multiple=True,
    metavar="'PATH=VALUE …'",
    help="The same with other fields, beside it; may stand again.",
)
@click.option(
    "--seeds",
    type=click.IntRange(1, 1000),
    default=SEEDS,
    show_default=True,
    help="Times that chance is tried.",
)
@click.option("--cold", is_flag=True, help="Begin without a replica.")
@click.option(
    "--die-at", multiple=True, metavar="TIME", help="A replica's engine dies then; may stand again."
)
@click.option("--die-every", metavar="TIME", help="On average, each replica's engine dies once in that time.")
@click.option(
    "--nodes", type=click.IntRange(0, 1_000_000), help="Most nodes that can be had: the pool's size, a quota."
)
@click.option("--no-nodes", multiple=True, metavar="FROM..TO", help="No node can be had then (`5m..20m`).")
@click.option(
    "--phase",
    "phases",
    multiple=True,
    metavar="NAME=TIME",
    help=f"A phase of a start: {', '.join(PHASE_NAMES)}.",
)
@click.option("--metric-delay", metavar="TIME", help="How old a figure is when the autoscaler has it.")
@click.option(
    "--timeout",
    metavar="TIME",
    help=f"A client gives up then, as in `stoker bench`. Default: {TIMEOUT / 60:g}m.",
)
@click.option("--price", type=click.FloatRange(0), help="Dollars an hour of one replica, for the cost.")
@click.option("--results", metavar="DIR", help="Keep the run of the first seed there, with its report.")
@output_option("table", "json")
def command(**given: Any) -> int:
    """Plays the traffic against the fleet of the spec on a virtual clock: the scheduler of vLLM, the
    algorithm of the autoscaler, the plan and the workload are those of a real run.

    The engine's pace is a profile: one that was measured, or else an estimate that says so. Nothing is
    started.
    """
    words, base = asked_words({**given, "sweep": False})
    workload = words_of.read(words, files.files(base))
    options: SpecOptions = given["asked"]
    scenarios = [_scenario(read_spec(None, options), workload, given)]
    labels = ["as asked"]
    for fields in given["versus"]:
        other = replace(options, sets=(*options.sets, *_fields(fields)))
        scenarios.append(_scenario(parse_spec(None, other), workload, given))
        labels.append(fields)
    printer = ProgressPrinter()
    try:
        found = [
            _simulated(one, label, words, given["seeds"], printer, detail=not number)
            for number, (one, label) in enumerate(zip(scenarios, labels, strict=True))
        ]
    finally:
        printer.done()
    if given["results"] is not None:
        _keep(Path(given["results"]), found[0])
    if given["output"] == "json":
        value = [as_json(one, label) for one, label in zip(found, labels, strict=True)]
        print_json(value if len(value) > 1 else value[0])
    elif len(found) > 1:
        click.echo(f"{found[0].run.name}   {found[0].run.model}   {given['seeds']} seeds   (simulated)\n")
        click.echo(simulated_text.compared(labels, found))
        for label, (one, _) in zip(labels, scenarios, strict=True):
            click.echo(f"  {label}: profile {simulated_text.profile(one)}")
        click.echo(simulated_text.findings(found), nl=False)
    else:
        click.echo(simulated_text.text(found[0], scenarios[0][0]))
    return 0


Made = tuple[Scenario, Environment]


def _scenario(spec: Any, workload: Any, given: dict[str, Any]) -> Made:
    asked = Asked(
        given["profile"],
        asked_objectives(given["slo"] or "", Environment()) if given["slo"] else Asked().objectives,
        asked_share(given["attainment"]),
        dict(_phase(one) for one in given["phases"]),
        asked_time("--metric-delay", given["metric_delay"]),
        given["nodes"],
        tuple(_span(one) for one in given["no_nodes"]),
        Failures(
            tuple(asked_time("--die-at", one) or 0.0 for one in given["die_at"]),
            _often(given["die_every"]),
        ),
        given["cold"],
        given["price"],
        _patience(given["timeout"]),
    )
    made, decided = simulating.scenario(spec, workload, asked)
    return made, simulating.environment(decided)


def _simulated(
    made: Made, label: str, words: Any, seeds: int, printer: ProgressPrinter, detail: bool
) -> Simulated:
    def report(seed: int) -> None:
        printer(Progress("simulate", f"{label}: seed {seed + 1} of {seeds}"))

    return simulate(
        made[0], seeds=seeds, detail=detail, words=words_of.plain(words), environment=made[1], report=report
    )


def as_json(found: Simulated, label: str) -> dict[str, Any]:
    """What `-o json` prints of one simulation."""
    return {
        "label": label,
        "seeds": found.seeds,
        "figures": {name: asdict(one) for name, one in found.figures.items()},
        "fleet": asdict(found.use),
        "decisions": [asdict(one) for one in found.decisions],
        "dollars_a_million": found.dollars_a_million,
        "engines": dict(found.spent),
        "run": runs.to_json(found.run),
    }


FIELDS = {
    "label": "`as asked`, or the fields of its --versus; several simulations are a list",
    "seeds": "how often chance was tried",
    "figures": "object of {mean, low, high}: each figure over all seeds, with its 95 % interval; times in "
    "seconds, shares 0 to 1, rates a second",
    "fleet": "of the first seed: {seconds, replica_hours, node_hours, gpu_hours, cost, busy, wasted, "
    "mean, most, starts, deaths, ready_after}; cost is null without a price",
    "decisions": "of the first seed: list of {at, before, wanted, reason, figures}: each change of number",
    "dollars_a_million": "dollars a million output tokens, of all that was paid for; or null",
    "engines": "object: shares of an engine's computing time by what it went to",
    "run": "of the first seed: a run as `stoker bench -o json` has it, its kind `simulated`",
}


def _keep(path: Path, found: Simulated) -> None:
    """The first seed's run, as `stoker bench` keeps one."""
    import json

    from stoker.traffic.records import to_json
    from stoker.ui.report.run_page import run_page

    folder = RunFolder(path)
    for one in found.run.records:
        folder.keep(json.dumps(to_json(one), separators=(",", ":")).encode())
    full = folder.close(found.run)
    if full is not None:
        raise UsageError(full.what, at=full.at, why=full.why, fix=full.fix, rule=full.rule)
    with suppress(OSError):
        (path / REPORT).write_text(run_page(found.run), "utf-8")
    click.echo(f"  kept in     {path}: {path / REPORT} shows it, `stoker report {path}` tells it", err=True)


# what is typed


def _fields(text: str) -> tuple[str, ...]:
    """`replicas=1..3 hardware=l4`: fields with blanks between them; values may have blanks and quotes."""
    found = tuple(re.split(r"\s+(?=[a-z][\w.-]*=)", text.strip()))
    if not all(re.match(r"[a-z][\w.-]*=", one) for one in found):
        why = "expected fields such as replicas=1..3, with blanks between them"
        raise UsageError(f"--versus {text}", why=why, fix="--versus 'replicas=1..3 hardware=l4'")
    return found


def asked_time(flag: str, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return float(Seconds.parse(float(text) if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) else text))
    except ValueError as error:
        raise UsageError(f"{flag} {text}", why=str(error), fix=f"{flag} 10m") from None


def _patience(text: str | None) -> float:
    found = asked_time("--timeout", text)
    if found is not None and found <= 0:
        raise UsageError(f"--timeout {text}", why="expected a time above 0", fix="--timeout 1m")
    return TIMEOUT if found is None else found


def _often(text: str | None) -> float | None:
    found = asked_time("--die-every", text)
    if found is not None and found <= 0:
        raise UsageError(f"--die-every {text}", why="expected a time above 0", fix="--die-every 6h")
    return found


def _span(text: str) -> tuple[float, float]:
    begin, dots, end = text.partition("..")
    span = asked_time("--no-nodes", begin or "0"), asked_time("--no-nodes", end or "0")
    if not dots or span[0] is None or span[1] is None or span[1] <= span[0]:
        raise UsageError(
            f"--no-nodes {text}", why="expected two times, the later one last", fix="--no-nodes 5m..20m"
        )
    return span[0], span[1]


def _phase(text: str) -> tuple[str, float]:
    name, equals, seconds = text.partition("=")
    found: float | None = None
    if name in PHASE_NAMES and equals and seconds:
        with suppress(UsageError):
            found = asked_time("--phase", seconds)
    if found is None:
        why = f"expected a phase ({', '.join(PHASE_NAMES)}) with its time"
        raise UsageError(f"--phase {text}", why=why, fix="--phase node=120s")
    return name, found
