"""What `vllm bench serve --save-result` writes; with `--save-detailed` every request's times are in it.

Source: vLLM 0.32 `benchmarks/serve.py`, `benchmark` and `main_async`.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from stoker.traffic.peers.fields import get, number, per, rows, texts, whole
from stoker.traffic.result import Result, Sampled, Sampling, Told

TOOL = "vllm bench serve"
MS = 0.001
LATENCIES = {"ttft": "ttft", "itl": "itl", "tpot": "tpot", "e2e": "e2el"}
_SENT = "from when a request was sent, after its wait for --max-concurrency"
NOTES = {
    "ttft": f"{_SENT}; an event that carries a role alone counts as the first token",
    "itl": "events, not tokens: several tokens in one event are one gap, a role-only event begins one, a "
    "last event without text ends one of 0 ms",
    "tpot": "(latency - ttft) / (tokens - 1), with that first token",
    "e2e": _SENT,
    "completed": "per second until the last answer, the tail included; streams that end with an error event "
    "count as completed",
    "output_rate": "per second until the last answer, the tail included",
}


def knows(value: Any) -> bool:
    """Whether it is such a result."""
    return (
        isinstance(value, Mapping)
        and {"total_input_tokens", "request_throughput", "duration"} <= value.keys()
    )


def read(value: Mapping[str, Any]) -> tuple[Result, ...]:
    """The result. Raises: ValueError, naming the place."""
    seconds = get(value, "duration")
    completed, failed = whole(value.get("completed"), "completed"), whole(value.get("failed"), "failed")
    total = None if completed is None else completed + (failed or 0)
    latencies = {
        name: told for name, theirs in LATENCIES.items() if (told := _told(value, theirs, completed))
    }
    return (
        Result(
            tool=TOOL,
            kind="measured",
            name=texts(value, "label") or TOOL,
            model=texts(value, "model_id"),
            workload=_workload(value),
            seconds=seconds,
            requests=total,
            failed=failed,
            offered=_offered(value),
            completed=get(value, "request_throughput"),
            output_rate=get(value, "output_throughput"),
            input_rate=per(get(value, "total_input_tokens"), seconds),
            goodput=get(value, "request_goodput"),
            input=per(get(value, "total_input_tokens"), completed),
            output=per(get(value, "total_output_tokens"), completed),
            latencies=latencies,
            notes=NOTES,
            from_sent=frozenset({"ttft", "e2e"}),
            sampled=_sampled(value, seconds),
        ),
    )


def _offered(value: Mapping[str, Any]) -> float | None:
    """`inf` is all at once: no rate."""
    rate = value.get("request_rate")
    return None if isinstance(rate, str) else number(rate, "request_rate")


def _workload(value: Mapping[str, Any]) -> dict[str, Any]:
    names = {
        "request_rate": "rate",
        "burstiness": "burstiness",
        "max_concurrency": "max_concurrency",
        "num_prompts": "requests",
    }
    return {ours: value[theirs] for theirs, ours in names.items() if value.get(theirs) is not None}


def _told(value: Mapping[str, Any], name: str, count: int | None) -> Told | None:
    """Percentiles are those that were asked for."""
    found = {
        key: get(value, f"{theirs}_{name}_ms", MS)
        for key, theirs in (
            ("mean", "mean"),
            ("p50", "median"),
            ("p90", "p90"),
            ("p95", "p95"),
            ("p99", "p99"),
        )
    }
    if all(one is None for one in found.values()):
        return None
    return Told(**found, count=None if name == "itl" else count)


def _sampled(value: Mapping[str, Any], seconds: float | None) -> Sampled | None:
    """Every request's times, where they were saved; tokens are taken to come with their events."""
    lists = [rows(value, name) for name in ("start_times", "ttfts", "itls", "output_lens", "latencies")]
    errors = rows(value, "errors") or [""] * len(lists[0])
    if (
        not seconds
        or seconds < 0
        or not lists[0]
        or {len(one) for one in (*lists, errors)} != {len(lists[0])}
    ):
        return None
    begin = min(number(one, "start_times") or 0.0 for one in lists[0])
    sampling = Sampling(seconds + 1e-9)
    for start, ttft, gaps, tokens, latency, error in zip(*lists, errors, strict=True):
        if not error:
            at = (number(start, "start_times") or 0.0) - begin
            first, whole_ = number(ttft, "ttfts") or 0.0, number(latency, "latencies") or 0.0
            between = [number(gap, "itls") or 0.0 for gap in gaps]
            _take(sampling, at, first, between, whole(tokens, "output_lens") or 0, whole_)
    return sampling.sampled()


def _take(
    sampling: Sampling, at: float, ttft: float, gaps: Sequence[float], tokens: int, latency: float
) -> None:
    sampling.latency("ttft", at, ttft)
    sampling.latency("itl", at, gaps)
    sampling.latency("e2e", at, latency)
    sampling.latency("tpot", at, (latency - ttft) / (tokens - 1) if tokens > 1 else None)
    sampling.amount("completed", at + latency, 1)
    moments = list(accumulate([at + ttft, *gaps]))
    for moment in moments:
        sampling.amount("output_rate", moment, tokens / len(moments))
