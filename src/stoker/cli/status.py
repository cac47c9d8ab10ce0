"""`stoker status`: what runs."""

import sys
import time
from collections.abc import Callable

import click

from stoker.cli.common import chosen_name, cluster_fleet, fleet_options, output_option, print_json, read_spec
from stoker.errors import Mistake
from stoker.fleet.state import FleetState, Replica, Scaling
from stoker.operate.fleet import Fleet, connect
from stoker.targets.local.target import names
from stoker.ui.terminal import age, table

HEAD = ["REPLICA", "PHASE", "AGE", "ON", "RUNNING", "WAITING", "KV", "RESTARTS"]


@click.command("status")
@fleet_options
@click.option("-w", "--watch", "watch", is_flag=True, help="Follow it, once a second.")
@click.option(
    "-A",
    "--all",
    "every",
    is_flag=True,
    help="All fleets of this machine; or of the cluster, -n: of a namespace.",
)
@output_option("table", "json")
def command(
    file: str | None,
    name: str | None,
    target: str | None,
    namespace: str | None,
    watch: bool,
    every: bool,
    output: str,
) -> None:
    """Shows a fleet: its endpoint, and each replica with phase and load."""
    look = _every(file, target, namespace) if every else _one(file, name, target, namespace)
    while True:
        states = look()
        if output == "json":
            print_json(states if every else states[0])
        else:
            if watch and sys.stdout.isatty():
                click.clear()
            click.echo("\n\n".join(text(state) for state in states) or "no fleet runs there")
        if not watch:
            return
        time.sleep(1)


def _one(
    file: str | None, name: str | None, target: str | None, namespace: str | None
) -> Callable[[], list[FleetState]]:
    cluster = cluster_fleet(name, file, target, namespace)
    return lambda: [(cluster or connect(chosen_name(name, file))).status()]


def _every(file: str | None, target: str | None, namespace: str | None) -> Callable[[], list[FleetState]]:
    """All fleets of this machine; of the cluster, or of one namespace of it, where the target is one."""
    try:
        spec = read_spec(None, file, (), target)
    except Mistake:
        if file or target:
            raise
        spec = None  # a broken stoker.yaml is no reason not to look at what runs here
    if spec is None or spec.target != "kubernetes":
        return lambda: [Fleet(one).status() for one in names()]
    from stoker.operate.cluster import every_fleet

    context = spec.kubernetes.context
    return lambda: list(every_fleet(context, namespace))


def text(state: FleetState) -> str:
    """One fleet as a person reads it."""
    where = f"   revision {state.revision}   {state.ready} of {state.wanted} ready"
    lines = [f"{state.name}   {state.target}{where}   {state.endpoint or ''}".rstrip()]
    if state.page:
        page = state.service("page")
        lines.append(f"chat   {state.page}{'' if page and page.phase == 'Ready' else '   (starting)'}")
    if state.stopping:
        lines.append("it is being taken down")
    rows = [HEAD, *(row for replica in state.replicas for row in (_row(replica, state.at), *_ranks(replica)))]
    lines.append(table(rows, right=frozenset({2, 4, 5, 6, 7})))
    lines += scaling(state.scaling, state.at) if state.scaling else []
    gateway = state.service("gateway")
    if gateway is not None and gateway.phase != "Ready":
        lines.append(
            f"the gateway is {gateway.phase}{f': {gateway.last_words}' if gateway.last_words else ''}"
        )
    if state.ready < state.wanted:
        lines += [f"{sign.subject}: {sign.reason}: {sign.text}" for sign in state.signs[-3:]]
    lines += [f"replica {r.name}: last words: {r.last_words}" for r in state.replicas if r.last_words]
    return "\n".join(lines)


def scaling(by: Scaling, now: float) -> list[str]:
    """The line of `kubectl get hpa`, and what it means."""
    targets = ", ".join(f"{_plain(one.value)}/{_plain(one.target)} (avg)" for one in by.metrics)
    rows = [
        ["HPA", "REFERENCE", "TARGETS", "MINPODS", "MAXPODS", "REPLICAS", "AGE"],
        [by.by.partition(" ")[0], by.by.partition(" ")[2], targets, str(by.low), str(by.high), str(by.now), age(now - by.since)],
    ]  # fmt: skip
    return ["", table(rows, right=frozenset({3, 4, 5, 6})), by.reason]


def _plain(value: float | None) -> str:
    return "<unknown>" if value is None else f"{value:g}"


def _row(replica: Replica, now: float) -> list[str]:
    sample = replica.sample if replica.phase in ("Ready", "Draining") else None
    phase = f"{replica.phase} {replica.detail}".strip()
    return [
        replica.name,
        phase,
        age(now - replica.since),
        replica.hardware or "-",
        _figure(sample.running if sample else None),
        _figure(sample.waiting if sample else None),
        "-" if sample is None or sample.kv_cache_usage is None else f"{sample.kv_cache_usage * 100:.0f} %",
        str(replica.restarts),
    ]


def _ranks(replica: Replica) -> list[list[str]]:
    """One line a rank, where a replica has several: where it stands."""
    if len(replica.ranks) < 2:
        return []
    return [
        [
            f"  rank {rank.index}",
            rank.phase,
            "",
            f"{rank.host} pid {rank.pid}" if rank.pid else "-",
            "",
            "",
            "",
            "",
        ]
        for rank in replica.ranks
    ]


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"
