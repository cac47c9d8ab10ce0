"""The options that make a host one of several: what torchrun calls them."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from stoker.errors import UsageError
from stoker.planner.group import HEARTBEAT_TIMEOUT, JOIN, PORT, Group
from stoker.spec.fields import read_key

F = TypeVar("F", bound=Callable[..., Any])
_PROBE = 65535


def group_options(function: F) -> F:
    """--nnodes, --node-rank, --master-addr and what goes with them."""
    for option in (
        click.option(
            "--interface", help="Network interface of the ranks. Default: the one that leads to the master."
        ),
        click.option(
            "--join-timeout",
            type=float,
            default=JOIN,
            help=f"Seconds that nodes are waited for. Default: {JOIN:g}.",
        ),
        click.option(
            "--heartbeat-timeout",
            type=float,
            default=HEARTBEAT_TIMEOUT,
            help=f"Seconds after which a silent node counts as dead. Default: {HEARTBEAT_TIMEOUT:g}.",
        ),
        click.option("--group-key", metavar="file:PATH", help="The secret that all nodes share."),
        click.option(
            "--group-port",
            type=click.IntRange(1, _PROBE),
            default=PORT,
            help=f"Port on which the nodes speak. Default: {PORT}.",
        ),
        click.option("--master-addr", metavar="ADDRESS", help="Address of node 0, as the others reach it."),
        click.option("--node-rank", type=int, help="Which node this is: 0 has the endpoint."),
        click.option(
            "--nnodes", type=int, help="Over how many nodes the replica spreads: the same command on each."
        ),
    ):
        function = option(function)
    return function


def read_group(options: dict[str, Any]) -> Group | None:
    """This host's place; None where no option asks for one. Raises: UsageError, for what is missing or makes
    no sense."""
    nodes, rank, master = options["nnodes"], options["node_rank"], options["master_addr"]
    if nodes is None and rank is None and master is None:
        return None
    for name, value in (("--nnodes", nodes), ("--node-rank", rank), ("--master-addr", master)):
        if value is None:
            raise UsageError(
                f"{name} is missing",
                why="a node needs --nnodes, --node-rank and --master-addr",
                fix="--nnodes 2 --node-rank R --master-addr ADDRESS",
                rule="group-options",
            )
    if nodes < 2 or not 0 <= rank < nodes:
        raise UsageError(
            f"node {rank} of {nodes} makes no sense",
            why="nodes are counted from 0, and a group has two at least",
            fix=f"--node-rank 0 to {max(2, nodes) - 1}",
            rule="group-options",
        )
    if options["heartbeat_timeout"] <= 0 or options["join_timeout"] <= 0:
        raise UsageError(
            "--heartbeat-timeout and --join-timeout are seconds above zero",
            fix=f"--heartbeat-timeout {HEARTBEAT_TIMEOUT:g}",
        )
    return Group(
        nodes,
        rank,
        master,
        options["group_port"],
        _key(options["group_key"]),
        options["heartbeat_timeout"],
        options["join_timeout"],
        options["interface"],
    )


def _key(text: str | None) -> str:
    """The key's file, checked: it has to be there, and nobody else may read it."""
    if text is None:
        raise UsageError(
            "--group-key is missing",
            why="whoever reaches the port could join the group and end it",
            fix="openssl rand -hex 32 > group.key, chmod 600, the same file on every host, --group-key "
            "file:group.key",
            rule="group-key",
        )
    from stoker.system import keys

    try:
        ref = read_key(text)
    except ValueError as error:
        raise UsageError(
            f"--group-key {text} is no reference", why=str(error), fix="--group-key file:PATH"
        ) from None
    if ref.kind != "file":
        raise UsageError(
            f"--group-key is {ref}", why="the nodes read it from a file", fix="--group-key file:PATH"
        )
    path = Path(ref.where).expanduser().absolute()
    keys.read(dataclasses.replace(ref, where=str(path)), "--group-key")
    if path.stat().st_mode & 0o077:
        raise UsageError(
            f"{path} can be read by others", why="it is the group's secret", fix=f"chmod 600 {path}"
        )
    return str(path)
