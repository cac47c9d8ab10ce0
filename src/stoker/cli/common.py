"""What the verbs share: options, reading the spec, choosing the fleet, printing values."""

import json
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

import click

from stoker import __version__
from stoker.bounds import TEXT
from stoker.errors import SpecError, UsageError
from stoker.findings import Finding
from stoker.fleet.state import FleetState
from stoker.spec import load
from stoker.spec.loader import DEFAULT_FILE
from stoker.spec.nouns import ServeSpec
from stoker.system import reading
from stoker.system.reading import Unreadable
from stoker.ui import findings as shapes
from stoker.units import Seconds

if TYPE_CHECKING:
    from stoker.operate.fleet import Fleet

# Escape sequences whole, then every control character but tab and newline.
_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)

F = TypeVar("F", bound=Callable[..., Any])


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
    """-f, --set, --target: which spec, with which changes."""
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
    """--name, -f, --target and -n: which fleet, of this machine or of a cluster."""
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


def read_spec(
    model: str | None,
    file: str | None,
    sets: tuple[str, ...],
    target: str | None = None,
    namespace: str | None = None,
) -> ServeSpec:
    """The spec, as `parse_spec` has it; what reading it found is told. Raises: SpecError."""
    spec = parse_spec(model, file, sets, target, namespace)
    for note in spec.notes:
        click.echo(shapes.plain(note), err=True)
    return spec


def parse_spec(
    model: str | None,
    file: str | None,
    sets: tuple[str, ...],
    target: str | None = None,
    namespace: str | None = None,
) -> ServeSpec:
    """The spec: of a file, of a model on the command line, or the demo's. Raises: SpecError."""
    sets = with_place(sets, target, namespace)
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


def with_place(sets: tuple[str, ...], target: str | None, namespace: str | None) -> tuple[str, ...]:
    """The overrides, with those that --target and -n stand for."""
    if target:
        sets = (*sets, f"target={target}")
    return (*sets, f"kubernetes.namespace={namespace}") if namespace else sets


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


def chosen_name(name: str | None, file: str | None, *, looking: bool = False) -> str | None:
    """The fleet's name: as given, of the file, of the stoker.yaml here if that fleet runs, or None for the
    only one.

    looking: nothing is changed, and a broken stoker.yaml is no reason not to look at what runs here.
    """
    if name is not None:
        return name
    if file is not None:
        return read_spec(None, file, ()).name
    if Path(DEFAULT_FILE).exists():
        from stoker.targets.local.known import names

        spec = _spec_or_none(None, (), None, None, looking)
        if spec is None:
            return None
        mine = spec.name
        if mine in names() or len(names()) != 1:
            return mine
    return None


def find_fleet(
    name: str | None,
    file: str | None,
    target: str | None = None,
    namespace: str | None = None,
    *,
    looking: bool = False,
    left: bool = False,
) -> "Fleet":
    """The fleet of the file here (or of -f), on this machine or in its cluster; without one the only one
    here.

    Without a file, --target kubernetes leads to the fleet of that name, or to the only one of the namespace.
    looking: as for `chosen_name`. left: of a named one, what it has left behind on this machine will do.
    Raises: SpecError, NoSuchFleet.
    """
    found = _in_cluster(name, file, target, namespace, looking)
    if found is not None:
        return found
    from stoker.operate.local_fleet import LocalFleet, connect

    chosen = chosen_name(name, file, looking=looking)
    return LocalFleet(chosen) if left and chosen else connect(chosen)


def _in_cluster(
    name: str | None, file: str | None, target: str | None, namespace: str | None, looking: bool
) -> "Fleet | None":
    if target == "local":
        return None
    if file is None and not Path(DEFAULT_FILE).exists():
        if target is None:
            return None
        from stoker.operate.cluster import connect_cluster

        return connect_cluster(name, namespace)
    sets = (f"name={name}",) if name is not None else ()
    spec = _spec_or_none(file, sets, target, namespace, looking)
    if spec is None or spec.target != "kubernetes":
        return None
    from stoker.operate.cluster import ClusterFleet

    return ClusterFleet(spec)


def every_cluster(file: str | None, target: str | None, *, looking: bool = False) -> ServeSpec | None:
    """The spec whose cluster -A is about; None where it is about this machine. Raises: SpecError."""
    if target == "local":
        return None
    spec = _spec_or_none(file, (), target, None, looking)
    return spec if spec is not None and spec.target == "kubernetes" else None


def _spec_or_none(
    file: str | None, sets: tuple[str, ...], target: str | None, namespace: str | None, looking: bool
) -> ServeSpec | None:
    """The spec; None for a broken stoker.yaml that nobody named, where nothing is changed. Raises:
    SpecError."""
    try:
        return read_spec(None, file, sets, target, namespace)
    except UsageError:
        if looking and file is None and target is None:
            return None
        raise


def terminate_as_interrupt() -> None:
    """A closed terminal and `kill` end what runs attached as Ctrl-C does."""

    def interrupt(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    _on_end(interrupt)


def terminate_in_order() -> None:
    """A closed terminal and `kill` end it where Ctrl-C does not, and leave nothing behind that it had
    started."""
    heard = threading.Event()

    def leave(number: int, _: FrameType | None) -> None:
        heard.set()
        sys.exit(128 + number)

    _on_end(leave)
    _repeat_unheard(heard)


def _repeat_unheard(heard: threading.Event) -> None:
    """Sends a signal again that came between the prompt and the wait for a line: readline sleeps on through
    it."""
    read_fd, write_fd = os.pipe()
    os.set_blocking(write_fd, False)
    signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)
    main = threading.main_thread().ident or 0

    def repeat() -> None:
        while True:
            number = os.read(read_fd, 1)[0]
            while number in (signal.SIGTERM, signal.SIGHUP) and not heard.wait(0.2):
                signal.pthread_kill(main, number)

    threading.Thread(target=repeat, daemon=True).start()


def _on_end(handler: Callable[[int, FrameType | None], None]) -> None:
    signal.signal(signal.SIGTERM, handler)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup keeps it
        signal.signal(signal.SIGHUP, handler)


def printable(text: str) -> str:
    """Text of others as a terminal may show it: without what would move its cursor, set its title or its
    clipboard."""
    return _CONTROL.sub("", text) if sys.stdout.isatty() else text


def plain(value: Any) -> Any:
    """A noun as plain values, without what its own text leaves out: keys, and what a step applies."""
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value) if one.repr}
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in (sorted(value) if isinstance(value, set | frozenset) else value)]
    return value


def print_json(value: Any) -> None:
    """One noun, as JSON."""
    click.echo(json.dumps(plain(value), indent=2, default=str))


def print_fleet(state: FleetState, output: str, more: str = "") -> None:
    """What a verb has led a fleet to: the state as JSON, or a line."""
    if output == "json":
        print_json(state)
    else:
        click.echo(f"{state.name}: {state.ready} of {state.wanted} replicas ready{more}")


def print_findings(
    found: Sequence[Finding], output: str, shown: Callable[[Finding], str], err: bool = False
) -> None:
    """Findings, as `-o json` or `-o sarif` has them, or each as text: to stderr where that is asked."""
    if output == "json":
        print_json(list(found))
    elif output == "sarif":
        from stoker.advise.sarif import sarif

        print_json(sarif(found, __version__))
    else:
        for one in found:
            click.echo(shown(one), err=err)
