"""`stoker lint`: is the spec valid? Nothing is run."""

import click

from stoker.cli.common import output_option, print_json, read_spec, spec_options


@click.command("lint")
@click.argument("files", nargs=-1)
@spec_options
@output_option("text", "json")
def command(
    files: tuple[str, ...],
    file: str | None,
    sets: tuple[str, ...],
    target: str | None,
    namespace: str | None,
    output: str,
) -> None:
    """Checks spec files (stoker.yaml, if none is named) without running anything."""
    specs = [(name, read_spec(None, name, sets, target, namespace)) for name in (files or (file,))]
    if output == "json":
        print_json([])
        return
    for name, spec in specs:
        click.echo(f"{name or 'stoker.yaml, or the demo'}: ok, fleet {spec.name}")
