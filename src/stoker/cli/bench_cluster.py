"""`stoker bench --in-cluster`: the test as a Job beside its fleet."""

import re
from pathlib import Path
from typing import Any

import click

from stoker.bench.notice import Notice
from stoker.cli.fleets import find_fleet
from stoker.cli.printing import print_json
from stoker.errors import UsageError
from stoker.events import Progress
from stoker.operate.bench_cluster import Sent, in_cluster
from stoker.operate.cluster import ClusterFleet
from stoker.traffic import run
from stoker.traffic.asked import plain
from stoker.ui.report.text import text
from stoker.ui.terminal import ProgressPrinter

_PROGRESS = re.compile(r" +\.\.\. +bench +(.*)")
_OWN = re.compile(r" *kept in ")  # the pod's folder is none of this machine


def cluster_fleet(given: dict[str, Any]) -> ClusterFleet:
    """The fleet that the options name. Raises: UsageError, for one that is in no cluster."""
    fleet = find_fleet(given["which"], looking=True)
    if not isinstance(fleet, ClusterFleet) or given["url"] is not None:
        raise UsageError(
            "--in-cluster needs a fleet in a cluster",
            why="--url names an endpoint" if given["url"] is not None else f"{fleet.name} is on this machine",
            fix="--target kubernetes, or leave --in-cluster out",
        )
    return fleet


def tested(fleet: ClusterFleet, sent: Sent, given: dict[str, Any], path: Path) -> int:
    """Runs it, and prints what comes of it. Returns the exit code."""
    printer = ProgressPrinter()
    single = not (given["quick"] or given["sweep"])  # what others found is in the pod's own words

    def say(line: str) -> None:
        if found := _PROGRESS.fullmatch(line):
            printer(Progress("bench", found[1]))
        elif not _OWN.match(line):
            printer.done()
            click.echo(line, err=single)

    if single:
        Notice(fleet.name).begin(plain(sent.words), sent.base, path)
    try:
        done = in_cluster(fleet, sent, path, printer, say)
    finally:
        printer.done()
    if done.run is not None and given["output"] == "json":
        print_json(run.to_json(done.run))
    elif done.run is not None:
        click.echo(text(done.run))
    if path.exists():
        click.echo(f"  kept in     {path}: `stoker report {path}` shows it again", err=True)
    return done.code


def options(given: dict[str, Any], objectives: str) -> list[str]:
    """The words of the pod's own `stoker bench`, after its workload and its endpoint."""
    single = not (given["quick"] or given["sweep"])
    out = ["--api", given["api"], "--workers", str(given["workers"])]
    for name in ("timeout", "grace"):
        out += [f"--{name}", f"{float(given[name]):g}s"] if given[name] is not None else []
    out += ["--slo", objectives] if objectives else []
    out += ["--attainment", str(given["attainment"])] if given["attainment"] is not None else []
    out += [part for one in given["params"] for part in ("-p", one)]
    out += [f"--{name}" for name in ("quick", "sweep") if given[name]]
    return [*out, "-o", "json"] if single else out
