"""`stoker doctor`."""

import sys

import click

from stoker.cli.common import output_option, print_json
from stoker.findings import Finding
from stoker.operate.doctor import doctor

_MARKS = {"note": ("ok", "green"), "warning": ("warn", "yellow"), "error": ("fail", "red")}


@click.command("doctor")
@output_option("text", "json")
def command(output: str) -> None:
    """Looks at this machine: Python, engine, CPU or GPU, memory, disk, ports. Exit 1 where something is broken."""
    findings = doctor()
    if output == "json":
        print_json(findings)
    else:
        for finding in findings:
            click.echo(_line(finding))
    if any(finding.severity == "error" for finding in findings):
        sys.exit(1)


def _line(finding: Finding) -> str:
    mark, color = _MARKS[finding.severity]
    head = f"  {click.style(f'{mark:<4}', fg=color)}  {finding.what}"
    more = [
        f"        {label:<4} {text}" for label, text in (("why", finding.why), ("fix", finding.fix)) if text
    ]
    return "\n".join([head, *more])
