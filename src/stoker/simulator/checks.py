"""What has to be said beside a simulation's figures: traffic that is not what it seems, requests that no
engine takes, and engines that never were asked."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

from stoker.engine.scheduler import SchedulerLimits
from stoker.findings import Finding
from stoker.simulator.request import Request
from stoker.traffic.traces import TraceRow
from stoker.traffic.workload import Recorded, Workload

PAUSE = 3600.0  # seconds without a request that are told of a trace
MEANWHILE = 20  # and this many times the mean of its other gaps


def told(workload: Workload, limits: SchedulerLimits, requests: Sequence[Request]) -> Iterator[Finding]:
    """Of a simulation that has ended."""
    if isinstance(workload.prompts, Recorded):
        yield from _trace(workload.prompts)
    yield from _refused(limits, requests)
    yield from _stuck(limits, requests)


def refused(limits: SchedulerLimits, one: Request) -> bool:
    """Whether vLLM's API answers 400 to it: its prompt fills the model's context."""
    return one.prompt >= limits.max_model_len


def _trace(prompts: Recorded) -> Iterator[Finding]:
    """Rows that were skipped or out of order, and long pauses."""
    if not prompts.in_order:
        yield Finding(
            "the trace's rows are not in order of time",
            why="they were put in order: what it shows is right if the times are",
            severity="note",
            rule="simulate-trace",
        )
    if prompts.skipped:
        yield Finding(
            f"{prompts.skipped:,} rows of the trace have no answer, and were left out",
            why="a request that failed as it was recorded says nothing of its length",
            severity="note",
            rule="simulate-trace",
        )
    pause, after = _longest(prompts.rows)
    usual = (prompts.rows[-1].at - pause) / max(1, len(prompts.rows) - 2)  # of the others
    if pause > max(PAUSE, MEANWHILE * usual):
        yield Finding(
            f"the trace has a pause of {pause / 3600:.1f} hours, after {after / 3600:.1f} hours",
            why="replicas are paid for meanwhile, and the autoscaler is at its lowest: rates, cost "
            "and idle time count it in",
            fix="cut the trace there, if the pause is one of the recording",
            severity="warning",
            rule="simulate-trace",
        )


def _longest(rows: Sequence[TraceRow]) -> tuple[float, float]:
    """The longest time without a request, and when it begins."""
    gaps = [(after.at - row.at, row.at) for row, after in itertools.pairwise(rows)]
    return max(gaps, default=(0.0, 0.0))


def _refused(limits: SchedulerLimits, requests: Sequence[Request]) -> Iterator[Finding]:
    long = [one.prompt for one in requests if refused(limits, one)]
    if long:
        yield Finding(
            f"{len(long):,} of {len(requests):,} requests are refused with 400: their prompts are too long",
            why=f"the longest has {max(long):,} tokens, max-model-len is {limits.max_model_len:,}; vLLM "
            "takes what leaves room for an answer",
            fix="engine: {max-model-len: …}, or a workload of shorter prompts",
            severity="warning",
            rule="simulate-too-long",
        )
    cut = sum(
        not refused(limits, one) and one.prompt + one.max_tokens > limits.max_model_len for one in requests
    )
    if cut:
        yield Finding(
            f"{cut:,} of {len(requests):,} answers end at max-model-len, earlier than the workload says",
            why=f"prompt and answer have {limits.max_model_len:,} tokens together",
            severity="note",
            rule="simulate-cut",
        )


def _stuck(limits: SchedulerLimits, requests: Sequence[Request]) -> Iterator[Finding]:
    """A prompt that the whole KV cache does not hold waits for good, and all behind it."""
    room = (limits.num_gpu_blocks - 1) * limits.block_size
    most = max((one.prompt for one in requests if not refused(limits, one)), default=0)
    if most > room:
        yield Finding(
            f"a prompt of {most:,} tokens never fits the KV cache, which holds {room:,}",
            why="the engine waits for room that does not come, and who comes later waits behind it",
            fix="a shorter max-model-len, as vLLM asks for when it starts, or more memory for the cache",
            severity="error",
            rule="simulate-cache",
        )
    if requests and math.inf == min(
        (one.first for one in requests if one.first is not None), default=math.inf
    ):
        yield Finding(
            "no request was answered",
            why="no replica was ready in time, or all were refused: the line `failed` says which",
            severity="error",
            rule="simulate-none",
        )
