"""What `guidellm run` writes as benchmarks.json: one benchmark, or one for each of its profile's strategies.

Source: guidellm 0.8.1 `benchmark/schemas/{report,benchmark,metrics}.py`.
"""

from collections.abc import Mapping
from typing import Any

from stoker.traffic.peers.fields import at, get, rows, texts, whole
from stoker.traffic.result import Result, Sampled, Sampling, Told

MS = 0.001
NOTES = {
    "ttft": "from when a request was sent; the scheduled moment is in its e2e alone",
    "tpot": "its inter_token_latency: a request's mean, counted once for each of its tokens; what it calls "
    "time_per_output_token is latency / tokens, the first token included",
    "itl": "not told: it keeps no single gaps",
    "e2e": "from when a request was scheduled (its request_scheduled_latency)",
    "completed": "the mean over its requests of 1 / the gap between completions",
    "output_rate": "successful requests alone",
}


def knows(value: Any) -> bool:
    """Whether it is such a report."""
    return (
        isinstance(value, Mapping)
        and isinstance(value.get("benchmarks"), list)
        and isinstance(value.get("metadata"), Mapping)
        and "guidellm_version" in value["metadata"]
    )


def read(value: Mapping[str, Any]) -> tuple[Result, ...]:
    """Its benchmarks. Raises: ValueError, naming the place."""
    if not value["benchmarks"]:
        raise ValueError("benchmarks: it is empty")
    return tuple(_result(value, one, f"benchmarks[{n}]") for n, one in enumerate(value["benchmarks"]))


def _result(report: Mapping[str, Any], one: Any, place: str) -> Result:
    if not isinstance(one, Mapping) or not isinstance(one.get("metrics"), Mapping):
        raise ValueError(f"{place}.metrics: it is missing")
    metrics = one["metrics"]
    latencies = {
        "ttft": _told(metrics, "time_to_first_token_ms", MS),
        "tpot": _told(metrics, "inter_token_latency_ms", MS),
        "e2e": _told(metrics, "request_scheduled_latency") or _told(metrics, "request_latency"),
        "e2e_sent": _told(metrics, "request_latency"),
    }
    failed, total = whole(at(metrics, "request_totals.errored")), _finished(metrics)
    rate = get(one, "config.strategy.rate")
    return Result(
        tool=f"guidellm {texts(report, 'metadata.guidellm_version')}",
        kind="measured",
        name=texts(report, "config.spec.backend.target") or "guidellm",
        model=texts(report, "config.spec.backend.model"),
        started=get(one, "start_time"),
        workload=_workload(report, one),
        seconds=get(one, "duration"),
        requests=total,
        failed=failed,
        offered=rate,
        completed=get(metrics, "requests_per_second.successful.mean"),
        output_rate=get(metrics, "output_tokens_per_second.successful.mean"),
        input_rate=get(metrics, "prompt_tokens_per_second.successful.mean"),
        goodput=get(metrics, "request_goodput.successful.mean"),
        concurrency=get(metrics, "request_concurrency.successful.mean"),
        input=get(metrics, "prompt_token_count.successful.mean"),
        output=get(metrics, "output_token_count.successful.mean"),
        latencies={name: told for name, told in latencies.items() if told is not None},
        notes=NOTES,
        from_sent=frozenset({"ttft"}),
        sampled=_sampled(one, total, failed),
    )


def _finished(metrics: Mapping[str, Any]) -> int | None:
    """Requests that ended by themselves; what was under way at the end is counted apart."""
    done, failed = (whole(at(metrics, f"request_totals.{name}")) for name in ("successful", "errored"))
    return None if done is None else done + (failed or 0)


def _workload(report: Mapping[str, Any], one: Mapping[str, Any]) -> dict[str, Any]:
    data = rows(report, "config.spec.data")
    lengths = data[0] if data and isinstance(data[0], Mapping) else {}
    found = {
        "profile": at(one, "config.strategy.type_"),
        "rate": at(one, "config.strategy.rate"),
        "streams": at(one, "config.strategy.streams"),
        "prompt_tokens": lengths.get("prompt_tokens"),
        "output_tokens": lengths.get("output_tokens"),
    }
    return {name: value for name, value in found.items() if isinstance(value, str | int | float)}


def _told(metrics: Mapping[str, Any], name: str, scale: float = 1.0) -> Told | None:
    found = at(metrics, f"{name}.successful")
    if not isinstance(found, Mapping) or not found.get("count"):
        return None
    quantiles = {label: get(found, f"percentiles.{label}", scale) for label in ("p50", "p90", "p95", "p99")}
    return Told(
        get(found, "mean", scale), **quantiles, most=get(found, "max", scale), count=get(found, "count")
    )


def _sampled(one: Mapping[str, Any], total: int | None, failed: int | None) -> Sampled | None:
    """Its requests, where all of them are kept (--metrics sample_size): tokens are taken as evenly spaced,
    since it keeps no single ones."""
    kept = rows(one, "requests.successful")
    begin, seconds = get(one, "start_time"), get(one, "duration")
    if begin is None or not seconds or seconds < 0 or total is None or len(kept) != total - (failed or 0):
        return None
    sampling = Sampling(seconds + 1e-9)
    for n, row in enumerate(kept):
        _take(sampling, row, begin, f"requests.successful[{n}]")
    return sampling.sampled()


def _take(sampling: Sampling, row: Any, begin: float, place: str) -> None:
    if not isinstance(row, Mapping):
        raise ValueError(f"{place}: expected a table")
    sent, ended, ttft = (
        get(row, name) for name in ("request_start_time", "request_end_time", "time_to_first_token_ms")
    )
    if sent is None or ended is None:
        return
    at_, tokens = sent - begin, whole(row.get("output_tokens"), place) or 0
    gap = get(row, "inter_token_latency_ms", MS)
    sampling.latency("ttft", at_, None if ttft is None else ttft * MS)
    sampling.latency("tpot", at_, gap and [gap] * (tokens - 1))
    sampling.latency("e2e", at_, get(row, "request_scheduled_latency"))
    sampling.latency("e2e_sent", at_, get(row, "request_latency"))
    sampling.amount("completed", ended - begin, 1)
    for n in range(tokens):
        sampling.amount("output_rate", at_ + (ttft or 0.0) * MS + n * (gap or 0.0), 1)
