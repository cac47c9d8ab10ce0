"""Runs made without a server: requests of known times, from a seed."""

import json
import math
from array import array
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from stoker.bench.folder import RunFolder
from stoker.fleet.points import Point
from stoker.traffic import records, verdict
from stoker.traffic.measures import measured_window, summarize
from stoker.traffic.objectives import LatencyObjectives
from stoker.traffic.records import Failure, RequestRecord
from stoker.traffic.run import Environment, GeneratorUse, Moment, Run, ServerSide

SERVER = ServerSide(
    requests=10.0,
    generation_tokens=200.0,
    latencies={"ttft": {"count": 10, "mean": 0.05, "p50": 0.05}, "queue": {"count": 10, "mean": 0.001}},
)


def made(
    seed: int = 0,
    rate: float = 20.0,
    seconds: float = 60.0,
    ttft: float = 0.05,
    itl: float = 0.01,
    tokens: int = 20,
    failing: float = 0.0,
    text: str = "busy",
    alike: float = 0.0,
    **more: Any,
) -> Run:
    """Poisson arrivals; first tokens log-normal about `ttft`, gaps gamma about `itl`. failing: a share, in
    these words. alike: how much one first token is like the one before it."""
    random = Random(seed)
    found, at, drift = list[RequestRecord](), 0.0, 0.0
    while (at := at + random.expovariate(rate)) < seconds:
        drift = alike * drift + math.sqrt(1 - alike * alike) * random.gauss(0, 0.3)
        first = at + ttft * math.exp(drift)
        gaps = [random.gammavariate(4, itl / 4) for _ in range(tokens - 1)]
        found.append(_record(len(found), at, first, gaps, random.random() < failing, text))
    return replace(_run(tuple(found), rate, seconds), **more)


def _run(found: tuple[RequestRecord, ...], rate: float, seconds: float) -> Run:
    objectives = LatencyObjectives(ttft=0.1, itl=0.02)
    summary = summarize(found, measured_window(found, seconds / 10, seconds), objectives)
    use = GeneratorUse(1, 0.1, 1.0, "uvloop")
    return Run(
        kind="measured",
        name="shop",
        model="demo",
        url="http://127.0.0.1:8000",
        started=1.8e9,
        workload={"rate": f"{rate:g}", "duration": f"{seconds:g}s"},
        summary=summary,
        objectives=objectives,
        server=SERVER,
        generator=use,
        environment=Environment("0.1.0", "vLLM 0.32.0", "3.11", "Linux", 2, {"name": "shop"}, price=2.0),
        findings=(*verdict.validity(summary, use, open_loop=True), *verdict.load(summary, open_loop=True)),
        records=found,
        timeline=_timeline(seconds),
    )


def _record(index: int, at: float, first: float, gaps: list[float], fails: bool, text: str) -> RequestRecord:
    sent = at + 0.0005
    if fails:
        return RequestRecord(index, at, sent, last=sent + 0.01, failure=Failure("status", text, 503))
    times = array("d", [first])
    for gap in gaps:
        times.append(times[-1] + gap)
    return RequestRecord(
        index, at, sent, first, times, None, times[-1], input=100, output=len(times), wanted=100
    )


def _timeline(seconds: float) -> tuple[Moment, ...]:
    points = (
        Point(1.8e9 + n, running=5.0, waiting=0.0, kv_cache_usage=0.3, generation_tokens_rate=200.0)
        for n in range(round(seconds))
    )
    return tuple(Moment(n + 0.3, point) for n, point in enumerate(points))


def kept(run: Run, folder: Path) -> Path:
    """The run in a directory, as `stoker bench` leaves it."""
    writing = RunFolder(folder)
    for one in run.records:
        writing.keep(json.dumps(records.to_json(one)).encode())
    assert writing.close(run) is None
    return folder
