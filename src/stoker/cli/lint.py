"""`stoker lint`: is the spec valid? Nothing is run."""

import click

from stoker.cli.common import output_option, print_json, read_spec, spec_options
from stoker.errors import Mistake
from stoker.findings import Finding


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
    """Checks spec files (stoker.yaml, if none is named) without running anything; all of them, then exit 2 for any."""
    found: list[Finding] = []
    for name in files or (file,):
        try:
            spec = read_spec(None, name, sets, target, namespace)
        except Mistake as error:
            found.append(error.finding)
            if output == "text":
                click.echo(str(error), err=True)
        else:
            if output == "text":
                click.echo(f"{name or 'stoker.yaml, or the demo'}: ok, fleet {spec.name}")
    if output == "json":
        print_json(found)
    if found:
        raise SystemExit(Mistake.exit_code)
