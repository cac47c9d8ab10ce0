"""`stoker ui`: the web page of a fleet."""

import os
import socket
import subprocess
import sys
import tempfile
import time
import webbrowser
from contextlib import ExitStack
from pathlib import Path

import click
import httpx2

from stoker.cli.common import FleetOptions, fleet_options
from stoker.cli.endpoint import given_endpoint
from stoker.cli.fleets import find_fleet
from stoker.cli.signals import terminate_as_interrupt
from stoker.errors import EnvironmentFailed, MissingDependency
from stoker.fleet.target import Endpoint
from stoker.operate.prepare import CONSOLE
from stoker.system import installation

START_SECONDS = 30.0
STOP_SECONDS = 10.0


@click.command("ui")
@fleet_options
@click.option("--url", help="Any vLLM endpoint instead of a fleet, with or without /v1.")
@click.option("--model", help="The model to ask for, with --url.")
@click.option("--key", metavar="REF", help="The endpoint's key, with --url: env:NAME or file:PATH.")
@click.option("--port", type=click.IntRange(1, 65535), help="Local port of the page. Default: a free one.")
@click.option("--browser/--no-browser", default=True, help="Open it in the browser.")
def command(
    which: FleetOptions,
    url: str | None,
    model: str | None,
    key: str | None,
    port: int | None,
    browser: bool,
) -> None:
    """Opens the console and the chat page: beside a fleet here, or on this machine for a cluster's fleet.

    A cluster's is reached through a port-forward, for as long as this runs; Ctrl-C ends both. With --url it
    shows what an endpoint says of itself.
    """
    terminate_as_interrupt()
    with ExitStack() as stack:
        if url is not None:
            _serve(stack, given_endpoint(url, model, key), port or _free(), browser, [])
            return
        fleet = find_fleet(which, looking=True)
        state = fleet.status()
        if state.target == "local" and state.page is not None and port is None:
            console = state.page.removesuffix("chat")
            click.echo(f"console  {console}   chat {state.page}")
            _open(console, browser)
            return
        endpoint = stack.enter_context(fleet.endpoint())
        _serve(stack, endpoint, port or _free(), browser, fleet.place)


def _open(url: str, wanted: bool) -> None:
    if wanted and sys.stdout.isatty():
        webbrowser.open(url)


def _serve(stack: ExitStack, endpoint: Endpoint, port: int, browser: bool, place: list[str]) -> None:
    """Runs the page until Ctrl-C. Raises: MissingDependency, EnvironmentFailed."""
    if not installation.here(*CONSOLE):
        raise MissingDependency(
            "the console is not installed",
            why=f"it needs the packages {' and '.join(CONSOLE)}",
            fix=installation.fix("local"),
            rule="page-missing",
        )
    argv = [sys.executable, "-m", "stoker.ui.console", "--endpoint", endpoint.url, "--model", endpoint.model]
    argv += ["--host", "127.0.0.1", "--port", str(port), *place]
    if endpoint.key:
        argv += ["--key-file", _private(stack, endpoint.key)]
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    url = f"http://127.0.0.1:{port}/"
    try:
        _wait(process, port)
        click.echo(f"console  {url}   chat {url}chat   Ctrl-C stops it")
        _open(url, browser)
        _, said = process.communicate()
        raise EnvironmentFailed("the page ended", why=_last(said), fix="start it again")
    except KeyboardInterrupt:
        return
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait(process: "subprocess.Popen[str]", port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            assert process.stderr is not None
            raise EnvironmentFailed(
                "the page did not start", why=_last(process.stderr.read()), fix="another --port?"
            )
        try:
            httpx2.get(f"http://127.0.0.1:{port}/", timeout=1)
        except httpx2.TransportError:
            time.sleep(0.1)
        else:
            return
    raise EnvironmentFailed(
        "the page did not start", why=f"it does not listen after {START_SECONDS:.0f} s", fix="try again"
    )


def _last(said: str) -> str:
    """Its error with what is below that, else the last line it said."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    begin = next((n for n, line in enumerate(lines) if line.startswith("error: ")), len(lines) - 1)
    return "\n".join(line.removeprefix("error: ") for line in lines[begin:]) if lines else "it said nothing"


def _private(stack: ExitStack, key: str) -> str:
    """A file of mode 0600 with the key, for as long as the page runs."""
    path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stoker-"))) / "key"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(key)
    return str(path)


def _free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
