"""`stoker up`: serve a model."""

import shlex
import sys
import time
from typing import Any

import click

from stoker.cli.common import SpecOptions, output_option, read_spec, spec_options, timeout_option
from stoker.cli.conflicts import conflict_options
from stoker.cli.group import group_options, read_group
from stoker.cli.printing import print_changes, print_json
from stoker.cli.signals import terminate_as_interrupt
from stoker.cli.typed import local_words, program
from stoker.cli.up_cluster import agreement, dry_run_cluster, up_cluster
from stoker.errors import FleetDiffers, Interrupted, StokerError
from stoker.events import Report, silent
from stoker.fleet.diff import events
from stoker.operate.fleet import Conflicts
from stoker.operate.last_try import give_up
from stoker.operate.local_fleet import LocalFleet
from stoker.operate.local_up import dry_run, up
from stoker.planner.group import Group
from stoker.spec.nouns import ServeSpec
from stoker.ui.terminal import ProgressPrinter, box
from stoker.units import Seconds

LOOK_SECONDS = 0.5


@click.command("up")
@click.argument("model", required=False)
@spec_options
@click.option("-d", "--detach", is_flag=True, help="Return when the fleet is ready; it goes on.")
@click.option(
    "-y",
    "--yes",
    is_flag=True,
    help="Answer yes: change a running fleet of this name; in a cluster, run gcloud's steps.",
)
@click.option(
    "--no-gcloud",
    "by_hand",
    is_flag=True,
    help="In a cluster: print what gcloud would have to do, run none of it.",
)
@click.option(
    "--dry-run", "dry", is_flag=True, help="Print the steps, take none; in a cluster, field by field."
)
@conflict_options
@timeout_option("ready")
@group_options
@output_option("text", "json")
def command(
    model: str | None,
    asked: SpecOptions,
    detach: bool,
    yes: bool,
    by_hand: bool,
    dry: bool,
    held: Conflicts,
    timeout: Seconds | None,
    output: str,
    **node: Any,
) -> None:
    """Serves MODEL (a folder, hf://org/repo, gs://…), the file's model, or the demo.

    Over several hosts: the same command on each, with --nnodes, --master-addr and the host's own --node-rank.

    Stays attached: Ctrl-C stops the fleet. With -d it returns when the fleet is ready. In a cluster it
    returns when the fleet is ready, and Ctrl-C stops the waiting only.
    """
    spec = read_spec(model, asked)
    group = read_group(node)
    printer = ProgressPrinter()
    if spec.target == "kubernetes":
        agree = agreement(printer, yes, by_hand)
        if dry:
            return dry_run_cluster(spec, printer, output)
        return up_cluster(spec, asked.file, printer, timeout, held, output, agree)
    if dry:
        changes = dry_run(spec, printer)
        return print_changes(changes, output, map(str, changes.acting))
    terminate_as_interrupt()
    fleet, was_up = _start(spec, printer, yes, timeout, group)
    if detach or was_up:
        return _show(fleet, spec, output, detached=True)
    return _attend(fleet, spec, output, printer)


def _start(
    spec: ServeSpec, printer: ProgressPrinter, yes: bool, timeout: float | None, group: Group | None
) -> tuple[LocalFleet, bool]:
    """Brings it up. What was not there before and fails, or is interrupted, is taken down again."""
    fleet = LocalFleet(spec.name)
    was_up = fleet.up
    try:
        try:
            done = up(spec, replace_running=yes, report=printer, timeout=timeout, group=group)
        except FleetDiffers as error:
            if not _agreed(error, printer):
                raise
            done = up(spec, replace_running=True, report=printer, timeout=timeout, group=group)
        return done, was_up
    except KeyboardInterrupt:
        printer.done()
        if not was_up:
            _stop(fleet, printer, now=True)
        raise Interrupted(
            "interrupted before the fleet was ready", why="Ctrl-C", fix="`stoker up` starts again"
        ) from None
    except StokerError as error:
        printer.done()
        if not was_up and error.exit_code != 4 and error.finding.rule not in ("fleet-differs", "state-moved"):
            _give_up(fleet, error)
        raise
    finally:
        printer.done()


def _agreed(error: FleetDiffers, printer: ProgressPrinter) -> bool:
    """Whether the person at the terminal wants the running fleet changed; no, where nobody is there."""
    if not sys.stdin.isatty():
        return False
    printer.done()
    click.echo(f"{error.finding.what}:\n{error.finding.why}", err=True)
    return click.confirm("change it, replica by replica?", err=True)


def _stop(fleet: LocalFleet, report: Report, now: bool = False) -> None:
    if fleet.target.folder.wanted() is not None or fleet.target.folder.supervised:
        fleet.down(report, now=now)


def _give_up(fleet: LocalFleet, error: StokerError) -> None:
    """Takes down what did not come up; `stoker why` and `stoker logs` go on to tell of it."""
    if fleet.target.folder.wanted() is not None or fleet.target.folder.supervised:
        give_up(fleet, error, silent)


def _show(fleet: LocalFleet, spec: ServeSpec, output: str, detached: bool) -> None:
    if output == "json":
        print_json(fleet.status())
    else:
        box(_box(fleet, spec, detached))


def _box(fleet: LocalFleet, spec: ServeSpec, detached: bool) -> list[str]:
    state = fleet.status()
    name = spec.model.served_name
    header = (
        f' -H "Authorization: Bearer ${spec.endpoint.api_key.where}"'
        if spec.endpoint.api_key and spec.endpoint.api_key.kind == "env"
        else ""
    )
    page = state.service("page")
    chat = f"{state.page}{'' if page and page.phase == 'Ready' else '   (starting)'}" if state.page else None
    body = '{"model": "%s", "messages": [{"role": "user", "content": "Hello!"}]}' % name
    words = local_words(fleet.name, _names())
    stop = f"{program()} down{words}" if detached else "Ctrl-C"
    if fleet.group is not None and not fleet.group.leads:
        return [
            f"{fleet.name}: node {fleet.group.rank} of {fleet.group.nodes} is in its group",
            f"endpoint  on node 0, {fleet.group.master}",
            f"runs      {state.command}",
            f"stop      {stop}",
        ]
    return [
        f"{fleet.name} is served: {state.ready} of {state.wanted} replicas ready",
        f"endpoint  {state.endpoint}/v1",
        *([f"console   {(state.page or '').removesuffix('chat')}", f"chat      {chat}"] if chat else []),
        f"          {program()} chat{words}",
        f"try       curl {shlex.quote(f'{state.endpoint}/v1/chat/completions')}{header} -H 'Content-Type: "
        f"application/json' \\",
        f"            -d {shlex.quote(body)}",
        f"runs      {state.command}",
        f"stop      {stop}",
    ]


def _names() -> tuple[str, ...]:
    from stoker.targets.local.known import names

    return names()


def _attend(fleet: LocalFleet, spec: ServeSpec, output: str, printer: ProgressPrinter) -> None:
    """Shows it and reports what happens until Ctrl-C, then drains; a second Ctrl-C cuts what still runs."""
    try:
        _show(fleet, spec, output, detached=False)
        state = fleet.target.observe()
        while fleet.stands:
            time.sleep(LOOK_SECONDS)
            now = fleet.told()
            if now.trouble and not now.replicas:
                continue  # nobody can tell for a moment
            before, state = state, now
            for event in events(before, state):
                printer(event)
        click.echo("the fleet was taken down")
    except KeyboardInterrupt:
        printer.done()
        printer = ProgressPrinter()  # its time begins now
        click.echo("stopping: requests in progress finish first, Ctrl-C again cuts them", err=True)
        try:
            fleet.down(printer)
        except KeyboardInterrupt:
            fleet.down(printer, now=True)
        printer.done()
