"""`stoker up` with `target: kubernetes`."""

import sys
from typing import TYPE_CHECKING

import click

from stoker.cli.conflicts import asked
from stoker.cli.printing import print_changes, print_json
from stoker.cli.signals import terminate_as_interrupt
from stoker.cli.typed import cluster_words, program
from stoker.errors import Interrupted, UsageError
from stoker.fleet.changes import Step
from stoker.fleet.state import FleetState
from stoker.operate.fleet import Conflicts
from stoker.spec.nouns import ServeSpec
from stoker.ui.terminal import ProgressPrinter, box
from stoker.units import Seconds

if TYPE_CHECKING:
    from stoker.operate.cluster_up import Agree


def agreement(printer: ProgressPrinter, yes: bool, by_hand: bool) -> "Agree":
    """Whether gcloud's steps are run: as -y or --no-gcloud say, else as the person at the terminal does."""

    def agree(steps: tuple[Step, ...]) -> bool:
        if yes or by_hand:
            return yes and not by_hand
        printer.done()
        listing = "\n".join(f"  {step.subject}\n      {step.why}" for step in steps)
        if not sys.stdin.isatty():
            raise UsageError(
                "gcloud has something to do first, and nobody is asked",
                why="\n".join(step.subject for step in steps),
                fix="-y runs it, --no-gcloud goes on without",
                rule="gcloud-agree",
            )
        click.echo(f"outside of the cluster, gcloud would run:\n{listing}", err=True)
        return click.confirm("run it?", err=True)

    return agree


def dry_run_cluster(spec: ServeSpec, printer: ProgressPrinter, output: str) -> None:
    """Prints the steps of an `up`, field by field."""
    from stoker.operate import cluster_up

    changes = cluster_up.dry_run_cluster(spec, printer)
    print_changes(changes, output, map(_step, changes.steps))


def up_cluster(
    spec: ServeSpec,
    file: str | None,
    printer: ProgressPrinter,
    timeout: Seconds | None,
    held: Conflicts,
    output: str,
    agree: "Agree",
) -> None:
    """`up` with `target: kubernetes`."""
    from stoker.operate import cluster_up

    terminate_as_interrupt()
    try:
        state = cluster_up.up_cluster(
            spec,
            report=printer,
            timeout=timeout,
            force=held.force,
            agree=agree,
            over=held.take_over,
            ask=asked(printer.done),
        )
    except KeyboardInterrupt:
        raise Interrupted(
            "stopped waiting; the fleet goes on",
            why="Ctrl-C",
            fix="`stoker up` waits on, `stoker down` takes it away",
        ) from None
    finally:
        printer.done()
    if output == "json":
        return print_json(state)
    return box(_cluster_box(state, spec, cluster_words(spec, file)))


def _cluster_box(state: FleetState, spec: ServeSpec, words: str) -> list[str]:
    """What is told of a cluster's fleet; `words` lead a verb to it."""
    me, space, port = program(), spec.kubernetes.namespace, spec.endpoint.port
    served = f"{state.name} is served: {state.ready} of {state.wanted} replicas ready"
    if not state.wanted:
        served = f"{state.name} is there, at 0 replicas: `{me} scale 1{words}` serves it"
    inside = "inside the cluster" if f".{space}:" in str(state.endpoint) else "the Gateway"
    return [
        served,
        f"endpoint  {state.endpoint}/v1   {inside}",
        f"from here {me} chat{words}, {me} ui{words}, or kubectl port-forward service/{spec.name} {port} -n "
        f"{space}",
        f"stop      {me} down{words}",
    ]


def _step(step: Step) -> str:
    """A step with each field that it changes on a line of its own."""
    if step.action != "update":
        return str(step)
    return "\n  ".join([f"update {step.subject}", *step.why.split("; ")])
