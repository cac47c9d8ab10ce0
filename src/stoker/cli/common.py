"""What the verbs share: options, reading the spec, choosing the fleet, printing values."""

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from stoker.bounds import TEXT
from stoker.errors import SpecError, UsageError
from stoker.spec import DEFAULT_FILE, load
from stoker.spec.nouns import ServeSpec
from stoker.system import reading
from stoker.system.reading import Unreadable
from stoker.ui import findings as shapes
from stoker.units import Seconds

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class SpecOptions:
    """Which spec, with which changes: what `spec_options` read."""

    file: str | None = None
    sets: tuple[str, ...] = ()
    target: str | None = None
    namespace: str | None = None

    @property
    def overrides(self) -> tuple[str, ...]:
        """The fields over the file's, with those that --target and -n stand for."""
        placed = (("target", self.target), ("kubernetes.namespace", self.namespace))
        return (*self.sets, *(f"{field}={value}" for field, value in placed if value))


@dataclass(frozen=True, slots=True)
class FleetOptions:
    """Which fleet, of this machine or of a cluster: what `fleet_options` read."""

    name: str | None = None
    file: str | None = None
    target: str | None = None
    namespace: str | None = None


def gathered(noun: type, name: str) -> Callable[[F], F]:
    """The options that are fields of a noun reach the verb as that noun, under one name."""

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def call(**values: Any) -> Any:
            own = {one.name: values.pop(one.name) for one in fields(noun) if one.name in values}
            return function(**values, **{name: noun(**own)})

        return cast(F, call)

    return decorate


class Duration(click.ParamType[Seconds]):
    """A time such as 90s or 10m, as an option; a plain number is seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Seconds:
        try:
            text = str(value)
            return Seconds.parse(float(text) if text.replace(".", "", 1).isdigit() else text)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def spec_options(function: F) -> F:
    """-f, --set, --target, -n: which spec, with which changes; the verb takes them as `asked`."""
    function = gathered(SpecOptions, "asked")(function)
    for option in (
        click.option("-n", "--namespace", help="Namespace, on a cluster."),
        click.option(
            "--target", type=click.Choice(["local", "kubernetes"]), help="Where it runs, over the file."
        ),
        click.option(
            "--set",
            "sets",
            multiple=True,
            metavar="PATH=VALUE",
            help="One field over the file; may stand again.",
        ),
        click.option(
            "-f", "--file", "file", metavar="FILE", help=f"The spec. Default: {DEFAULT_FILE}, if it is here."
        ),
    ):
        function = option(function)
    return function


def output_option(*formats: str) -> Callable[[F], F]:
    """-o: the shape of what is printed."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help="What to print.",
    )


def timeout_option(until: str) -> Callable[[F], F]:
    """--timeout: the deadline; without it, the fleet's own: longer in a cluster, where weights are copied."""
    text = f"Deadline until {until}. Default: 30m; in a cluster, where weights are copied, 1h."
    return click.option("--timeout", type=Duration(), help=text)


def fleet_options(function: F) -> F:
    """--name, -f, --target and -n: which fleet, of this machine or of a cluster; the verb takes them as
    `which`."""
    function = gathered(FleetOptions, "which")(function)
    function = click.option("-n", "--namespace", help="Namespace, on a cluster.")(function)
    function = click.option(
        "--target", type=click.Choice(["local", "kubernetes"]), help="Where it runs, over the file."
    )(function)
    function = click.option("--name", help="The fleet. Default: the spec's, or the only one that runs.")(
        function
    )
    return click.option("-f", "--file", "file", metavar="FILE", help="The spec that names the fleet.")(
        function
    )


def read_spec(model: str | None, asked: SpecOptions) -> ServeSpec:
    """The spec, as `parse_spec` has it; what reading it found is told. Raises: SpecError."""
    spec = parse_spec(model, asked)
    for note in spec.notes:
        click.echo(shapes.plain(note), err=True)
    return spec


def parse_spec(model: str | None, asked: SpecOptions) -> ServeSpec:
    """The spec: of a file, of a model on the command line, or the demo's. Raises: SpecError."""
    file, sets = asked.file, asked.overrides
    if model is not None:
        if file is not None:
            raise UsageError(
                "a model and a file are given",
                why="the file names the model itself",
                fix="--set model=… changes it",
            )
        return load("", "<command line>", (f"model={_model(model)}", *sets))
    if file is None and not os.path.lexists(DEFAULT_FILE):
        return load("", "<command line>", sets)
    path = Path(file or DEFAULT_FILE)
    return load(read_file(path), str(path), sets)


def read_file(path: Path) -> str:
    """A file that the user named, or that a shell has put in its place: `-f <(…)`. Raises: SpecError."""
    try:
        return reading.read_text(path, TEXT, handed=True)
    except Unreadable as error:
        fix = "check the path, or run `stoker init`" if error.missing else error.fix
        raise SpecError(
            f"{path} cannot be read", at=str(path), why=error.why, fix=fix, rule="spec-file"
        ) from None


def _model(model: str) -> str:
    """`org/repo`, as `vllm serve` takes it, is a hub repository unless such a folder is here."""
    if Path(model).name == "config.json" and reading.is_file(Path(model)):
        return str(Path(model).parent)
    looks_like_a_repo = model.count("/") == 1 and not model.startswith((".", "/", "~")) and ":" not in model
    return f"hf://{model}" if looks_like_a_repo and not os.path.exists(model) else model
