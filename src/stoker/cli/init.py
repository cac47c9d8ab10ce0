"""`stoker init`: a commented stoker.yaml, or the file's JSON Schema."""

import json
from pathlib import Path

import click

from stoker.errors import EnvironmentFailed, UsageError
from stoker.spec import load
from stoker.spec.loader import DEFAULT_FILE
from stoker.spec.template import example, schema


@click.command("init")
@click.argument("model", default="demo:smollm2-135m-instruct")
@click.option(
    "-f", "--file", "file", default=DEFAULT_FILE, show_default=True, help="Where to write it; `-` prints it."
)
@click.option("--schema", "want_schema", is_flag=True, help="Print the file's JSON Schema, for editors.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def command(model: str, file: str, want_schema: bool, force: bool) -> None:
    """Writes a commented spec for MODEL."""
    if want_schema:
        click.echo(json.dumps(schema(), indent=2))
        return
    text = example(model, load("", sets=(f"model={model}",)).name)
    load(text)
    if file == "-":
        click.echo(text, nl=False)
        return
    path = Path(file)
    if path.exists() and not force:
        raise UsageError(
            f"{path} is there already", why="nothing is written over", fix="--force, or -f OTHER"
        )
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise EnvironmentFailed(
            f"{path} cannot be written",
            why=error.strerror or str(error),
            fix="a folder that is there: -f FILE, or -f - prints it",
        ) from None
    click.echo(f"{path} written; `stoker plan` says what comes of it, `stoker up` serves it")
