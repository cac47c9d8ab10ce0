"""The console in a terminal: the fleet's table, its last minutes as lines of blocks, and what happened."""

import math
import time
from collections.abc import Mapping, Sequence

from stoker.fleet.points import Point
from stoker.fleet.state import FleetState, Replica, Scaling, Service
from stoker.observe.store import Record
from stoker.ui.terminal import COLUMNS, age, table, wrapped

HEAD = [
    "REPLICA",
    "PHASE",
    "AGE",
    "ON",
    "RUNNING",
    "WAITING",
    "KV",
    "TOKENS/S",
    "TTFT P99",
    "ITL P99",
    "RESTARTS",
]
RIGHT = frozenset({2, 4, 5, 6, 7, 8, 9, 10})
BLOCKS, PLAIN = "▁▂▃▄▅▆▇█", "_.-=*#"
CHARTS = (
    ("running", "running"),
    ("waiting", "waiting"),
    ("generation_tokens_rate", "out/s"),
    ("prompt_tokens_rate", "in/s"),
    ("ttft_p50", "TTFT p50"),
    ("ttft_p90", "TTFT p90"),
    ("ttft_p99", "TTFT p99"),
    ("itl_p50", "ITL p50"),
    ("itl_p90", "ITL p90"),
    ("itl_p99", "ITL p99"),
    ("kv_cache_usage", "KV cache"),
    ("prefix_hit_share", "hits"),
    ("preemptions_rate", "preempt/s"),
    ("errors_rate", "errors/s"),
    ("ready", "ready"),
    ("wanted", "wanted"),
)
WIDTH, EVENTS = 60, 8
SHORT = 20  # characters of a detail that stands beside its phase
UNDER = "    "
STAGES = {"weights": "copy", "snapshot": "snapshot", "claim": "claim"}


def text(
    state: FleetState,
    points: Mapping[str, Point] | None = None,
    silent: Mapping[str, str] | None = None,
    columns: int = COLUMNS,
) -> str:
    """One fleet as a person reads it; points give each replica's rates and times, where somebody measures
    them.

    columns: how wide the place is: sentences are wrapped to it, and stand under what they are about.
    """
    where = f"   revision {state.revision}   {state.ready} of {state.wanted} ready"
    lines = [f"{state.name}   {state.target}{where}   {state.endpoint or ''}".rstrip()]
    if state.page:
        page = state.service("page")
        lines.append(f"chat   {state.page}{'' if page and page.phase == 'Ready' else '   (starting)'}")
    if state.stopping:
        lines.append("it is being taken down")
    if state.trouble:
        lines.append(wrapped(f"trouble: {state.trouble}", columns))
    if (stopped := state.stopped) is not None:
        words = f"{stopped.subject} failed: {stopped.last_error}"
        text = f"revision {stopped.revision} was stopped, {stopped.serving} serves on: {words}"
        lines.append(wrapped(text, columns))
    lines += [*_stages(state, columns), *_replicas(state, points or {}, columns)]
    lines += scaling(state.scaling, state.at, columns) if state.scaling else []
    said = [_beside(one) for one in state.services if one.role not in STAGES and _tells(one)]
    if state.ready < state.wanted or state.stopping:
        said += [f"{piece.subject}: {piece.reason}: {piece.text}" for piece in state.evidence[-3:]]
    said += [f"replica {r.name}: last error: {r.last_error}" for r in state.replicas if r.last_error]
    said += [f"replica {name}: {why}" for name, why in (silent or {}).items()]
    return "\n".join([*lines, *(wrapped(line, columns) for line in said)])


def _stages(state: FleetState, columns: int) -> list[str]:
    """How far the weights are, where a copy, a snapshot and a claim bring them."""
    found = [one for one in map(state.service, STAGES) if one is not None]
    if not found:
        return []
    lines = [f"weights   {'   '.join(f'{STAGES[one.role]} {one.phase}' for one in found)}"]
    told = [(one, one.last_error or one.detail) for one in found if one.phase != "Ready"]
    return lines + [wrapped(f"{STAGES[one.role]}: {words}", columns, UNDER) for one, words in told if words]


def _tells(one: Service) -> bool:
    """Whether it is not as it should be; that the page starts stands beside its address."""
    return one.phase != "Ready" and (one.role != "page" or one.phase == "Failed")


def _beside(one: Service) -> str:
    words = one.last_error or one.detail
    return f"the {one.role} is {one.phase}{f': {words}' if words else ''}"


def _replicas(state: FleetState, points: Mapping[str, Point], columns: int) -> list[str]:
    """The table, and what there is to say of a replica under its row."""
    rows, under = [HEAD], {}
    for replica in state.replicas:
        rows.append(_row(replica, state.at, points.get(replica.name)))
        if len(replica.detail) > SHORT:
            under[len(rows) - 1] = wrapped(_told(replica, state.at), columns, UNDER)
        rows += _ranks(replica)
    lines = table(rows, right=RIGHT).split("\n")
    return [
        part for number, line in enumerate(lines) for part in (line, under.get(number)) if part is not None
    ]


def _told(replica: Replica, now: float) -> str:
    lost = f"not ready since {age(now - replica.since)}: " if replica.phase == "Unready" else ""
    return f"{lost}{replica.detail}"


def charts(points: Sequence[Point], wide: bool = True) -> list[str]:
    """The last rounds of a few figures, each a line with its newest value and its highest."""
    out = []
    for name, label in CHARTS:
        values = [getattr(one, name) for one in points[-WIDTH:]]
        seen = [value for value in values if value is not None]
        if seen:
            out.append(
                f"{label:<9} {spark(values, wide):<{WIDTH}} {_figure(name, seen[-1])}, at most "
                f"{_figure(name, max(seen))}"
            )
    return out


def spark(values: Sequence[float | None], wide: bool = True) -> str:
    """A figure over time in one line of blocks; a gap where there was none."""
    blocks = BLOCKS if wide else PLAIN
    top = max((value for value in values if value is not None), default=0.0) or 1.0
    return "".join(
        " " if value is None else blocks[min(len(blocks) - 1, math.floor(value / top * len(blocks)))]
        for value in values
    )


def happened(events: Sequence[Record]) -> list[str]:
    """The newest events, each a line with its time."""
    return [
        f"{time.strftime('%H:%M:%S', time.localtime(one.at))}  {one.event.subject}  {one.event.text}"
        for one in list(events)[-EVENTS:]
    ]


def scaling(by: Scaling, now: float, columns: int = COLUMNS) -> list[str]:
    """The line of `kubectl get hpa`, and what it means."""
    targets = ", ".join(f"{_known(one.value)}/{_known(one.target)} (avg)" for one in by.metrics)
    rows = [
        ["HPA", "REFERENCE", "TARGETS", "MINPODS", "MAXPODS", "REPLICAS", "AGE"],
        [
            by.by.partition(" ")[0],
            by.by.partition(" ")[2],
            targets,
            str(by.low),
            str(by.high),
            str(by.now),
            age(now - by.since),
        ],
    ]
    soon = [wrapped(f"next: {by.soon}", columns)] if by.soon else []
    return ["", table(rows, right=frozenset({3, 4, 5, 6})), wrapped(by.reason, columns), *soon]


def _known(value: float | None) -> str:
    return "<unknown>" if value is None else f"{value:g}"


def _figure(name: str, value: float) -> str:
    """A figure with its unit."""
    if name.startswith(("ttft", "itl")):
        return _seconds(value)
    return f"{value * 100:.0f} %" if name in ("kv_cache_usage", "prefix_hit_share") else _plain(value)


def _plain(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _row(replica: Replica, now: float, point: Point | None) -> list[str]:
    sample = replica.sample if replica.phase in ("Ready", "Draining") else None
    running = point.running if point and point.running is not None else sample.running if sample else None
    waiting = point.waiting if point and point.waiting is not None else sample.waiting if sample else None
    cache = (
        point.kv_cache_usage
        if point and point.kv_cache_usage is not None
        else sample.kv_cache_usage
        if sample
        else None
    )
    return [
        replica.name,
        f"{replica.phase} {replica.detail if len(replica.detail) <= SHORT else ''}".strip(),
        age(now - replica.since),
        replica.hardware or "-",
        _whole(running),
        _whole(waiting),
        "-" if cache is None else f"{cache * 100:.0f} %",
        _whole(point.generation_tokens_rate if point else None),
        _seconds(point.ttft_p99 if point else None),
        _seconds(point.itl_p99 if point else None),
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
            *[""] * (len(HEAD) - 4),
        ]
        for rank in replica.ranks
    ]


def _whole(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"
