"""`stoker chat`: talk to the model."""

import contextlib
import sys
from contextlib import ExitStack
from pathlib import Path

import click

from stoker.cli.common import FleetOptions, SpecOptions, gathered, read_spec
from stoker.cli.endpoint import given_endpoint
from stoker.cli.fleets import find_fleet
from stoker.cli.printing import printable
from stoker.cli.signals import terminate_in_order
from stoker.cli.typed import program
from stoker.errors import UsageError
from stoker.operate.fleet import Fleet
from stoker.operate.local_up import up
from stoker.ui.chat import Conversation, answer, parse_params, repl
from stoker.ui.terminal import ProgressPrinter


@click.command("chat")
@click.argument("words", nargs=-1, metavar="[MODEL] [PROMPT]")
@click.option("-f", "--file", "file", metavar="FILE", help="The spec that names the fleet.")
@click.option("--name", help="The fleet. Default: the only one that runs.")
@click.option("--target", type=click.Choice(["local", "kubernetes"]), help="Where it runs, over the file.")
@click.option("-n", "--namespace", help="Namespace, on a cluster.")
@click.option("--url", help="Any OpenAI-compatible endpoint, with or without /v1.")
@click.option("--model", help="The model to ask for, with --url.")
@click.option("--key", metavar="REF", help="The endpoint's key, with --url: env:NAME or file:PATH.")
@click.option("-s", "--system", default="", help="The system prompt.")
@click.option(
    "-p", "--param", "params", multiple=True, metavar="K=V", help="temperature=0.2, top_k=5, max_tokens=256 …"
)
@click.option("--stats", is_flag=True, help="Time to first token and tokens/s after each answer.")
@gathered(FleetOptions, "which")
def command(
    words: tuple[str, ...],
    which: FleetOptions,
    url: str | None,
    model: str | None,
    key: str | None,
    system: str,
    params: tuple[str, ...],
    stats: bool,
) -> None:
    """A conversation, or one answer to PROMPT (or to what is piped in).

    MODEL (hf://…, gs://…, demo:…, or a folder) is served first where no such fleet runs.
    """
    source, prompt = _parts(words)
    terminate_in_order()
    prompt = _with_piped(prompt)
    with ExitStack() as stack:
        if url is not None:
            endpoint = given_endpoint(url, model, key)
        else:
            fleet = _served(source) if source else find_fleet(which, looking=True)
            endpoint = stack.enter_context(fleet.endpoint())
        talk = Conversation(endpoint, system, parse_params(" ".join(params)))
        if prompt is not None:
            answer(talk, prompt, _write, stats)
        else:
            _edit_lines()
            repl(talk, input, _write, stats)
    if source is not None:
        click.echo(f"{endpoint.model} goes on: `{program()} down` stops it", err=True)


def _with_piped(prompt: str | None) -> str | None:
    """The prompt, with what is piped in below it; None at a terminal without one. Raises: UsageError."""
    if sys.stdin.isatty():
        return prompt
    piped = sys.stdin.read().strip()
    whole = "\n\n".join(part for part in (prompt, piped) if part)
    if not whole:
        raise UsageError(
            "there is nothing to ask",
            why="no prompt is given, and standard input is empty",
            fix='stoker chat "Hello!"',
        )
    return whole


def _parts(words: tuple[str, ...]) -> tuple[str | None, str | None]:
    """A model, a prompt, or both: what reads as a source is the model."""
    if words and _is_source(words[0]):
        return words[0], " ".join(words[1:]) or None
    return None, " ".join(words) or None


def _is_source(word: str) -> bool:
    return word.startswith(("hf://", "gs://", "s3://", "demo:")) or (
        " " not in word and Path(word, "config.json").is_file()
    )


def _served(source: str) -> Fleet:
    """The fleet of a model: the one that runs, or a new one."""
    printer = ProgressPrinter()
    try:
        return up(read_spec(source, SpecOptions()), report=printer)
    finally:
        printer.done()


def _write(text: str) -> None:
    sys.stdout.write(printable(text))
    sys.stdout.flush()


def _edit_lines() -> None:
    """Line editing and history, where the platform has them."""
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401
