"""Measuring: a workload is sent to an endpoint while its engines are watched, and becomes a Run."""

import asyncio
import json
import math
import os
import platform
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from stoker import __version__
from stoker.bench.folder import RunFolder
from stoker.bench.generator import Generator, Sending
from stoker.bench.job import GRACE, TIMEOUT, Api, Job
from stoker.bench.probe import Probe, Probed
from stoker.bench.server_watch import ServerWatch
from stoker.errors import EnvironmentFailed
from stoker.fleet.target import Endpoint
from stoker.system import loop
from stoker.traffic import profiling, verdict
from stoker.traffic.arrivals import ClosedLoop
from stoker.traffic.gaps import known
from stoker.traffic.measures import measured_window, summarize
from stoker.traffic.objectives import SHARE, LatencyObjectives
from stoker.traffic.records import RequestRecord, from_json
from stoker.traffic.run import Environment, GeneratorUse, Run, ServerSide
from stoker.traffic.workload import Given, Workload

LIVE_EVERY = 0.5  # seconds between two live figures
SHOWN = 20  # newest records of which they are made
_OUT_OF_TOUCH = {"refused"}  # errors of which all of them mean that nobody is there


@dataclass(frozen=True, slots=True)
class Test:
    """What is to be measured, and how. name: the fleet, or its URL; asked: the workload in words."""

    endpoint: Endpoint
    name: str
    workload: Workload
    asked: Mapping[str, Any] = field(default_factory=dict)
    api: Api = "chat"
    objectives: LatencyObjectives = LatencyObjectives()
    share: float = SHARE
    params: Mapping[str, Any] = field(default_factory=dict)
    workers: int = 1
    timeout: float = TIMEOUT
    grace: float = GRACE
    verify: bool = True
    environment: Environment = Environment()


@dataclass(frozen=True, slots=True)
class Live:
    """A running test in figures. elapsed: seconds since its start; recent: records of the last seconds."""

    elapsed: float
    duration: float
    done: int
    failed: int
    running: int
    tokens: int
    busy: float
    recent: tuple[RequestRecord, ...] = ()
    waiting: float | None = None

    @property
    def share(self) -> float | None:
        """How far it is, from 0 to 1; None where it ends by its number of requests."""
        return min(1.0, self.elapsed / self.duration) if self.duration < math.inf else None


Watching = Callable[[Live], None]
Enough = Callable[[float, Sequence[RequestRecord]], str]  # elapsed seconds, records so far: why to end, or ""


def never(_: float, __: Sequence[RequestRecord]) -> str:
    """An Enough that lets a test run to its end."""
    return ""


def probe(test: Test) -> Probed:
    """What the endpoint takes. Raises: EnvironmentFailed, UsageError, in its own words."""
    with Probe(test.endpoint, test.api, test.params, test.verify) as asked:
        return asked.all(exact=not isinstance(test.workload.prompts, Given))


def measure(
    test: Test,
    probed: Probed,
    folder: RunFolder | None = None,
    watch: ServerWatch | None = None,
    live: Watching = lambda _: None,
    enough: Enough = never,
) -> Run:
    """Sends the workload, and returns what was measured; Ctrl-C ends it early, with what there is.

    enough: says now and then whether the test can end, and why.
    Raises: EnvironmentFailed, where nothing could be sent, or nobody answered.
    """
    with asyncio.Runner() as runner:
        return runner.run(_Measuring(test, probed, folder, watch, live, enough).run())


class _Measuring:
    def __init__(
        self,
        test: Test,
        probed: Probed,
        folder: RunFolder | None,
        watch: ServerWatch | None,
        live: Watching,
        enough: Enough,
    ) -> None:
        self._test, self._probed, self._folder, self._watch, self._live = test, probed, folder, watch, live
        self._enough, self._ended = enough, ""
        self._lines: list[bytes] = []
        self._records: list[RequestRecord] = []  # of as many lines as were read
        job = Job(
            test.endpoint,
            test.workload,
            test.api,
            probed.vocabulary,
            probed.abilities,
            test.params,
            test.timeout,
            test.grace,
            test.verify,
        )
        self._generator = Generator(job, test.workers, self._keep)
        self._shown = 0

    def _keep(self, line: bytes) -> None:
        self._lines.append(line)
        if self._folder is not None:
            self._folder.keep(line)

    async def run(self) -> Run:
        """From the first request to the run."""
        workload, sending = self._test.workload, self._generator.sending
        beside = [asyncio.create_task(self._show())]
        if self._watch is not None:
            beside.append(
                asyncio.create_task(
                    self._watch.run(lambda: sending.clock, workload.warmup, workload.duration)
                )
            )
        events = asyncio.get_running_loop()
        for signum in (signal.SIGINT, signal.SIGTERM):
            with suppress(NotImplementedError, RuntimeError, ValueError):  # another thread than the main one
                events.add_signal_handler(signum, self._generator.stop)
        try:
            await self._generator.run()
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
        return self._result(sending)

    async def _show(self) -> None:
        while True:
            await asyncio.sleep(LIVE_EVERY)
            sending = self._generator.sending
            if self._enough is not never and not self._ended:
                self._ended = self._enough(sending.elapsed, self._read())
                if self._ended:
                    self._generator.stop()
            workers = sending.workers
            fresh = [_record(line) for line in self._lines[max(self._shown, len(self._lines) - SHOWN) :]]
            self._shown = len(self._lines)
            moment = self._watch.latest if self._watch is not None else None
            self._live(
                Live(
                    sending.elapsed,
                    self._test.workload.duration,
                    sum(one.done for one in workers),
                    sum(one.failed for one in workers),
                    sum(one.running for one in workers),
                    sum(one.tokens for one in workers),
                    max(one.busy for one in workers),
                    tuple(fresh),
                    moment.whole.waiting if moment else None,
                )
            )

    def _read(self) -> list[RequestRecord]:
        """All records so far."""
        self._records += [_record(line) for line in self._lines[len(self._records) :]]
        return self._records

    def _result(self, sending: Sending) -> Run:
        test, records = self._test, sorted(self._read(), key=lambda one: (one.scheduled, one.index))
        _in_touch(test, records)
        duration = test.workload.duration
        if sending.interrupted:
            duration = min(duration, max((one.last or 0.0 for one in records), default=0.0))
        window = measured_window(records, min(test.workload.warmup, duration), duration)
        if self._ended:
            window = replace(window, rule=f"{window.rule}: {self._ended}")
        summary = summarize(records, window, test.objectives or None)
        use = GeneratorUse(
            len(sending.workers),
            max((one.busiest for one in sending.workers), default=0.0),
            round(sum(one.cpu for one in sending.workers), 3),
            "uvloop" if loop.factory() else "asyncio",
        )
        server = self._watch.told() if self._watch is not None else ServerSide()
        found = Run(
            kind="measured",
            name=test.name,
            model=test.endpoint.model,
            url=test.endpoint.url,
            started=sending.wall,
            workload=dict(test.asked),
            summary=summary,
            objectives=test.objectives,
            share=test.share,
            interrupted=sending.interrupted and not self._ended,
            server=server,
            generator=use,
            environment=_environment(test.environment, self._probed),
            records=tuple(records),
            timeline=tuple(self._watch.timeline) if self._watch is not None else (),
            profile=profiling.fitted(records, self._source(sending))
            if self._alone() or known(records)
            else None,
        )
        return self._said(found, sending)

    def _alone(self) -> bool:
        """Whether a single engine answered all the time, so that its steps can be told."""
        timeline = self._watch.timeline if self._watch is not None else []
        return bool(timeline) and all(len(one.replicas) == 1 for one in timeline)

    def _source(self, sending: Sending) -> str:
        date = time.strftime("%Y-%m-%d", time.gmtime(sending.wall))
        engine = self._test.environment.engine or self._probed.engine
        return f"{self._test.name}, {engine}, {platform.machine()}, {date}"

    def _said(self, found: Run, sending: Sending) -> Run:
        """The run with its findings, written to its directory."""
        open_loop = not isinstance(self._test.workload.arrivals, ClosedLoop)
        findings = [
            *verdict.validity(found.summary, found.generator, open_loop=open_loop),
            *verdict.lengths(found.summary),
            *verdict.load(found.summary, open_loop=open_loop),
            *verdict.agreement(found.summary, found.server),
            *verdict.broken(sending.errors),
        ]
        found = replace(found, findings=tuple(findings))
        unwritten = self._folder.close(found) if self._folder is not None else None
        return replace(found, findings=(*findings, unwritten)) if unwritten else found


def _record(line: bytes) -> RequestRecord:
    return from_json(json.loads(line))


def _environment(known: Environment, probed: Probed) -> Environment:
    return replace(
        known,
        stoker=__version__,
        engine=known.engine or probed.engine,
        python=platform.python_version(),
        machine=platform.platform(),
        cores=os.cpu_count() or 0,
    )


def _in_touch(test: Test, records: list[RequestRecord]) -> None:
    """Raises: EnvironmentFailed, where nobody answered a single request."""
    failures = [one.failure for one in records if one.failure is not None]
    if records and len(failures) == len(records) and {one.kind for one in failures} <= _OUT_OF_TOUCH:
        raise EnvironmentFailed(
            f"{test.endpoint.url} does not answer",
            why=failures[0].text,
            fix="is it up? `stoker status`, or check --url",
        )
