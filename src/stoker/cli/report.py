"""`stoker report`: one load test shown, or two compared."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from stoker.bench import results
from stoker.bench.folder import REPORT
from stoker.cli.common import output_option
from stoker.cli.printing import print_json
from stoker.errors import EnvironmentFailed, UsageError
from stoker.traffic import compare, run, setups
from stoker.traffic.curve import Curve, capacities
from stoker.traffic.result import Result, of_run
from stoker.traffic.run import Run
from stoker.ui.findings import checked
from stoker.ui.report import results as shown
from stoker.ui.report.text import text

COMPARISON = "comparison.html"
# what a terminal obeys, of texts of others, but colours: those are also ours
_MOVES = re.compile(r"\x1b(?!\[[0-9;]*m)|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f]")
Read = Run | Curve | tuple[Result, ...]


@click.command("report")
@click.argument("a", metavar="DIR")
@click.argument("b", required=False, metavar="[DIR]")
@click.option(
    "--html", metavar="FILE", help=f"Where to write the page. Default: {REPORT}, in the run's directory."
)
@output_option("text", "json")
def command(a: str, b: str | None, html: str | None, output: str) -> None:
    """Shows a load test that `stoker bench` has kept, or compares two: B against A, with what is more than
    chance.

    DIR may hold one run, several, or a sweep. In its place, a result of another tool is read: of `vllm bench
    serve --save-result`, of guidellm (benchmarks.json) and of aiperf (profile_export*); FILE#2 is the second
    of several in a file. The page that is written beside it is one file and needs no network.
    """
    if b is None:
        _one(a, results.read(a), html, output)
    else:
        _two((a, b), html, output)


def _one(name: str, found: Read, html: str | None, output: str) -> None:
    if isinstance(found, Run):
        from stoker.ui.report.run_page import run_page

        _print(run.to_json(found), text(found), output)
        _write(run_page(found), html or os.path.join(name, REPORT))
    elif isinstance(found, Curve):
        from stoker.ui.report.curve_page import curve_page

        _print(found, shown.curve_text(found), output)
        _write(curve_page(found), html or os.path.join(name, REPORT))
    else:
        _print(list(found), "\n\n".join(map(shown.result_text, found)), output)
        if html is not None:
            raise UsageError(
                f"{name} has no page of its own",
                why="it is another tool's result, and holds too little for one",
                fix=f"stoker report DIR {name} compares it with a run of Stoker's",
            )


def _two(names: tuple[str, str], html: str | None, output: str) -> None:
    a, b = (results.read(name) for name in names)
    if isinstance(a, Curve) and isinstance(b, Curve):
        return _curves(names, (a, b), html, output)
    pair = _single(names[0], a), _single(names[1], b)
    rows = compare.compare(*pair)
    differ, warnings = setups.differences(*pair), tuple(setups.comparable(*pair))
    value = {"rows": rows, "differences": differ, "findings": warnings}
    _print(value, shown.compared_text(names, pair, rows, differ, warnings), output)
    place = html or _beside(names, (a, b))
    if place is not None:
        from stoker.ui.report.compare_page import compare_page

        _write(compare_page(names, pair, rows, differ, warnings), place)
    return None


def _curves(names: tuple[str, str], pair: tuple[Curve, Curve], html: str | None, output: str) -> None:
    from stoker.ui.report.compare_page import curves_page

    if pair[0].axis != pair[1].axis:
        raise UsageError(
            "these cannot be compared",
            why=f"{names[0]} varies {pair[0].axis}, {names[1]} varies {pair[1].axis}",
            fix="two that vary the same",
        )
    warnings = list(setups.requests_differ(pair[0].workload, pair[1].workload))
    words = "\n\n".join(f"{label}  {shown.curve_text(one)}" for label, one in zip("AB", pair, strict=True))
    words = "\n\n".join(one for one in (words, capacities(*pair), *map(checked, warnings)) if one)
    _print({"a": pair[0], "b": pair[1], "findings": warnings}, words, output)
    _write(curves_page(names, pair, warnings), html or os.path.join(names[1], COMPARISON))


def _single(name: str, found: Read) -> Result:
    """The one result that stands there. Raises: UsageError, for several."""
    if isinstance(found, Run):
        return of_run(found)
    if isinstance(found, Curve):
        raise UsageError(
            f"{name} holds {len(found.levels)} runs",
            why="one run is compared with one, a sweep with a sweep",
            fix=os.path.join(name, found.levels[0].folder),
        )
    if len(found) > 1:
        why = "one is compared with one"
        raise UsageError(
            f"{name} holds {len(found)} results", why=why, fix=f"{name}#1 to {name}#{len(found)}"
        )
    return found[0]


def _beside(names: Sequence[str], found: Sequence[Read]) -> str | None:
    """Where a comparison is written: in the last directory of ours that was named."""
    folders = [name for name, one in zip(names, found, strict=True) if isinstance(one, Run)]
    return os.path.join(folders[-1], COMPARISON) if folders else None


def _print(value: Any, words: str, output: str) -> None:
    if output == "json":
        print_json(value)
    else:
        click.echo(_MOVES.sub("", words))


def _write(page: str, place: str) -> None:
    """Writes a page, and says where. Raises: EnvironmentFailed."""
    try:
        Path(place).write_text(page, "utf-8")
    except OSError as error:
        raise EnvironmentFailed(
            f"{place} cannot be written",
            why=os.strerror(error.errno or 0),
            fix="--html FILE, elsewhere",
            at=place,
        ) from None
    click.echo(f"  page        {place}", err=True)
