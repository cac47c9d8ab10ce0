"""`stoker bench`: measure a fleet, or any endpoint."""

import math
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, TypeVar

import click

from stoker.bench import files, measure
from stoker.bench.folder import REPORT, RunFolder
from stoker.bench.job import GRACE, TIMEOUT
from stoker.bench.measure import Live, Test
from stoker.bench.notice import notice
from stoker.bench.server_watch import ServerWatch
from stoker.cli.common import Duration, fleet_options, output_option
from stoker.cli.endpoint import given_endpoint
from stoker.cli.fleets import find_fleet
from stoker.cli.printing import print_json
from stoker.errors import UsageError
from stoker.events import Progress
from stoker.fleet.target import Endpoint
from stoker.operate.fleet import Fleet
from stoker.traffic import asked, objectives, run
from stoker.traffic.asked import WORDS, Asked
from stoker.traffic.measures import spread
from stoker.traffic.objectives import LatencyObjectives
from stoker.traffic.run import Environment, Run
from stoker.ui.chat import parse_params
from stoker.ui.report.run_page import run_page
from stoker.ui.report.text import text
from stoker.ui.terminal import ProgressPrinter
from stoker.units import Seconds

F = TypeVar("F", bound=Callable[..., Any])
_FLAGS = {"shuffle"}


def workload_options(function: F) -> F:
    """An option for each word of a workload."""
    for name, meaning in reversed(WORDS.items()):
        flag = f"--{name.replace('_', '-')}"
        if name in _FLAGS:
            function = click.option(flag, name, is_flag=True, default=None, help=meaning)(function)
        else:
            function = click.option(flag, name, metavar=name.upper(), help=meaning)(function)
    return function


@click.command("bench")
@click.argument("workload", required=False, metavar="[WORKLOAD.yaml]")
@fleet_options
@click.option("--url", help="Any OpenAI-compatible endpoint, with or without /v1.")
@click.option("--model", help="The model to ask for, with --url.")
@click.option("--key", metavar="REF", help="The endpoint's key, with --url: env:NAME or file:PATH.")
@workload_options
@click.option("--quick", is_flag=True, help="An answer in a minute, in plain words: how fast, for how many.")
@click.option(
    "--sweep", is_flag=True, help="Find the highest rate, or with --users number of users, within --slo."
)
@click.option("--in-cluster", is_flag=True, help="As a Job beside the fleet, in place of a port-forward.")
@click.option("--slo", metavar="OBJECTIVES", help="`ttft=1s,itl=50ms,e2e=20s`. Default: the fleet's own.")
@click.option("--attainment", metavar="SHARE", help="Of requests that are to keep them. Default: 99%.")
@click.option("--api", type=click.Choice(["chat", "completions"]), default="chat", show_default=True)
@click.option(
    "-p", "--param", "params", multiple=True, metavar="K=V", help="temperature=0.7, top_p=0.9, seed=1 …"
)
@click.option(
    "--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes that send."
)
@click.option("--timeout", type=Duration(), help="Of one request. Default: 10m.")
@click.option("--grace", type=Duration(), help="For answers after the last request was due. Default: 30s.")
@click.option("--price", type=click.FloatRange(0), help="Dollars an hour of all that serves, for the cost.")
@click.option("--results", metavar="DIR", help="Where to keep the run. Default: stoker-runs/NAME-TIME.")
@output_option("table", "json")
def command(**given: Any) -> int:
    """Sends a workload, measures what clients see, and says what can be believed of it.

    Without more, 8 users for a minute. Latencies count from when a request was due, so that a slow server
    cannot hide behind a waiting client. What each figure means: docs/reference/measures.md.
    """
    if given["in_cluster"]:
        return _in_cluster(given)
    with ExitStack() as stack:
        test, look = _test(stack, given)
        if given["quick"] or given["sweep"]:
            from stoker.cli.bench_sweep import swept

            return swept(test, look, given, None if given["quick"] else _folder(given["results"], test.name))
        path = _folder(given["results"], test.name)
        found = _measured(test, look(), path, _beside(given["workload"]))
    if given["output"] == "json":
        print_json(run.to_json(found))
    else:
        click.echo(text(found))
    with suppress(OSError):  # what could not be written is among the run's findings
        (path / REPORT).write_text(run_page(found), "utf-8")
    click.echo(f"  kept in     {path}: {path / REPORT} shows it, `stoker report {path}` tells it", err=True)
    return 130 if found.interrupted else 0 if found.holds and _answered(found) else 1


def _in_cluster(given: dict[str, Any]) -> int:
    """The same, sent from a pod. Raises: UsageError."""
    from stoker.cli.bench_cluster import cluster_fleet, options, tested
    from stoker.operate.bench import environment
    from stoker.operate.bench_cluster import Sent

    words, base = asked_words(given)
    workload = asked.read(words, files.files(base))
    asked_share(given["attainment"])
    parse_params(" ".join(given["params"]))
    fleet = cluster_fleet(given)
    known = environment(fleet, given["price"])
    slo = str(asked_objectives(given["slo"], known))
    sent = Sent(words, base, workload, options(given, slo), given["workers"], known)
    return tested(fleet, sent, given, _folder(given["results"], fleet.name))


def _test(stack: ExitStack, given: dict[str, Any]) -> tuple[Test, Callable[[], ServerWatch]]:
    """What is to be measured, and what makes a watch over its engines. Raises: UsageError."""
    words, base = asked_words(given)
    workload = asked.read(words, files.files(base))
    endpoint, look, name, environment = _place(stack, given)
    test = Test(
        endpoint,
        name,
        workload,
        asked.plain(words),
        given["api"],
        asked_objectives(given["slo"], environment),
        asked_share(given["attainment"]),
        parse_params(" ".join(given["params"])),
        given["workers"],
        float(given["timeout"] or TIMEOUT),
        float(GRACE if given["grace"] is None else given["grace"]),
        environment=environment,
    )
    return test, look


def _answered(found: Run) -> bool:
    return not found.summary.requests or found.summary.failed < found.summary.requests


def _place(
    stack: ExitStack, given: dict[str, Any]
) -> tuple[Endpoint, Callable[[], ServerWatch], str, Environment]:
    """Where the requests go, what watches it, its name, and what is known of it."""
    from stoker.operate.bench import environment
    from stoker.ui.console import source

    price = given["price"]
    if given["url"] is not None:
        endpoint = given_endpoint(given["url"], given["model"], given["key"])
        place = source.Endpoint(endpoint.url, endpoint.model, endpoint.key)
        return endpoint, lambda: ServerWatch(place.state, place.pages), endpoint.url, Environment(price=price)
    fleet: Fleet = find_fleet(given["which"], looking=True)
    endpoint = stack.enter_context(fleet.endpoint())

    def look() -> ServerWatch:
        found = source.source_of(fleet)
        return ServerWatch(found.state, found.pages)

    return endpoint, look, fleet.name, environment(fleet, price)


def asked_words(given: dict[str, Any]) -> tuple[dict[str, Asked], Path | None]:
    """The workload's words: the file's, and over them the options'."""
    words: dict[str, Asked] = {}
    base = None
    if given["workload"] is not None:
        words, base = files.read_file(given["workload"]), _beside(given["workload"])
    for name in WORDS:
        if given[name] is not None:
            words[name] = Asked(given[name], f"--{name.replace('_', '-')}")
    if given["sweep"] and not {"rate", "users", "trace"} & words.keys():
        words["rate"] = Asked(1, "--sweep")  # where the search begins is its own matter
    return words, base


def _beside(workload: str | None) -> Path | None:
    """Where a workload file's own files are."""
    return Path(workload).parent if workload is not None else None


def asked_objectives(text: str | None, environment: Environment) -> LatencyObjectives:
    if text is None:
        slo = environment.spec.get("slo") or {}
        return LatencyObjectives(slo.get("ttft"), slo.get("itl"))
    try:
        return objectives.parse(text)
    except ValueError as error:
        raise UsageError(f"--slo {text}", why=str(error), fix="--slo ttft=1s,itl=50ms") from None


def asked_share(text: str | None) -> float:
    if text is None:
        return objectives.SHARE
    try:
        found = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        if 0 < found <= 1:
            return found
    except ValueError:
        pass
    raise UsageError(
        f"--attainment {text}", why="expected a share such as 95% or 0.95", fix="--attainment 95%"
    )


def _folder(given: str | None, name: str) -> Path:
    if given is not None:
        return Path(given)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    plain = "".join(one if one.isalnum() or one in "-." else "-" for one in name.partition("://")[2] or name)
    return Path("stoker-runs") / f"{plain}-{stamp}"


def _measured(test: Test, watch: ServerWatch, path: Path, base: Path | None) -> Run:
    printer = ProgressPrinter()
    with notice(test.name) as board:

        def show(live: Live) -> None:
            printer(progress := told(live))
            board.tell(progress.text, live.share)

        try:
            printer(Progress("bench", f"asking {test.endpoint.url} what it takes"))
            probed = measure.probe(test)
            folder = RunFolder(path)
            board.begin(test.asked, base, path)
            return measure.measure(test, probed, folder, watch, show)
        finally:
            printer.done()


def told(live: Live) -> Progress:
    """A running test in one line."""
    until = f" of {Seconds(live.duration)}" if live.duration < math.inf else ""
    parts = [f"{live.elapsed:.0f}s{until}", f"{live.done:,} done", f"{live.running} running"]
    if live.failed:
        parts.append(f"{live.failed:,} failed")
    first = spread(one.ttft for one in live.recent if one.ttft is not None)
    if first.count:
        parts.append(f"ttft {1000 * first.p50:,.0f} ms")
    if live.elapsed > 1:
        parts.append(f"{live.tokens / live.elapsed:,.0f} tokens/s")
    if live.waiting:
        parts.append(f"{live.waiting:.0f} waiting")
    return Progress("bench", ", ".join(parts))
