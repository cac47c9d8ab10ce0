"""`stoker doctor`."""

import sys

import click

from stoker.cli.common import output_option
from stoker.cli.printing import print_findings
from stoker.operate.doctor import doctor
from stoker.ui.findings import checked


@click.command("doctor")
@output_option("text", "json", "sarif")
def command(output: str) -> None:
    """Looks at this machine: Python, engine, CPU or GPU, memory, disk, ports. Exit 1 where something is
    broken."""
    found = doctor()
    print_findings(found, output, checked)
    if any(one.severity == "error" for one in found):
        sys.exit(1)
