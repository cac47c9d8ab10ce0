"""`stoker models`: the weights that are here."""

import click

from stoker.cli.common import output_option
from stoker.cli.printing import print_json
from stoker.model.shape import read_shape
from stoker.operate.prepare import staged
from stoker.spec import load
from stoker.spec.nouns import ModelRef
from stoker.system import clock, paths
from stoker.ui.terminal import ProgressPrinter, age, table
from stoker.units import Bytes

# The fields of a ModelShape that `models show -o json` prints.
SHOWN = (
    "architecture",
    "layers",
    "heads",
    "kv_heads",
    "head_dim",
    "hidden",
    "vocabulary",
    "max_len",
    "dtype",
    "weight_bytes",
    "parameters",
    "tied",
    "quantization",
    "has_chat_template",
    "known",
)


@click.group("models")
def command() -> None:
    """Lists, pulls, shows and removes weights."""


@command.command("list")
@output_option("table", "json")
def list_(output: str) -> None:
    """Lists what the cache holds, and what copies that did not finish have left there."""
    from stoker.weights.entries import entries

    found = entries(paths.weights())
    if output == "json":
        print_json(found)
    elif not found:
        click.echo("the cache is empty")
    else:
        rows = [
            [e.source, e.state, str(e.size), str(e.files), age(clock.now() - e.at), e.path] for e in found
        ]
        click.echo(
            table([["MODEL", "STATE", "SIZE", "FILES", "AGE", "PATH"], *rows], right=frozenset({2, 3, 4}))
        )


@command.command("pull")
@click.argument("model")
def pull(model: str) -> None:
    """Copies MODEL (or a LoRA adapter) into the cache and checks it."""
    ref = _ref(model)
    printer = ProgressPrinter()
    folder = staged(ref.source, ref.token, printer, adapter=None)
    printer.done()
    click.echo(folder)


@command.command("show")
@click.argument("model")
@output_option("table", "json")
def show(model: str, output: str) -> None:
    """Shows MODEL's shape."""
    from stoker import weights

    printer = ProgressPrinter()
    ref = _ref(model)
    files = weights.peek(ref)
    printer.done()
    shape = read_shape(files)
    if output == "json":
        print_json({name: getattr(shape, name) for name in SHOWN})
        return
    kv = shape.kv_bytes_per_token(2)
    rows = [
        ["architecture", shape.architecture],
        ["parameters", f"{shape.parameters / 1e6:,.1f} M" if shape.parameters else "unknown"],
        ["weights", f"{shape.weight_bytes} ({shape.dtype})"],
        ["layers", f"{shape.layers}, {shape.heads} heads, {shape.kv_heads} KV heads of {shape.head_dim}"],
        ["longest", f"{shape.max_len:,} tokens"],
        ["KV cache", f"{Bytes(kv)} a token in 16 bits"],
        ["chat template", "yes" if shape.has_chat_template else "no: chat falls back to completions"],
    ]
    click.echo(table(rows))


@command.command("rm")
@click.argument("model", required=False)
@click.option(
    "--partial", is_flag=True, help="Only what copies that did not finish have left, of MODEL or of all."
)
def rm(model: str | None, partial: bool) -> None:
    """Removes MODEL from the cache, and what copies of it have left.

    A copy goes on from what one before it has left, and removes what is older than a week or of another
    revision.
    """
    from stoker.weights.entries import remove, remove_partial

    if model is None and not partial:
        raise click.UsageError("Name a MODEL, or use --partial.")
    source = str(_ref(model).source) if model is not None else None
    cache = paths.weights()
    gone = remove(cache, source) if source is not None and not partial else remove_partial(cache, source)
    for entry in gone:
        what = "" if entry.state == "whole" else ", left by a copy that did not finish,"
        click.echo(f"{entry.source}{what} removed, {entry.size} free again")
    if not gone:
        click.echo("nothing is left of any copy")


def _ref(model: str) -> ModelRef:
    return load("", sets=(f"model={model}",)).model
