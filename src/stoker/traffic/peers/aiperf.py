"""What `aiperf profile` writes: profile_export_aiperf.json, the summary, and profile_export.jsonl, a line a
request.

Source: aiperf 0.13.0 `exporters/metrics_json_exporter.py`, `common/models/{export,record}_models.py`,
`metrics/types`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

from stoker.traffic.measures import Spread, spread
from stoker.traffic.peers.fields import at, get, number, per, rows, texts, whole
from stoker.traffic.result import Result, Sampled, Sampling, Told

MS, NS = 0.001, 1e-9
LATENCIES = {
    "ttft": "time_to_first_token",
    "itl": "inter_chunk_latency",
    "tpot": "inter_token_latency",
    "e2e": "request_latency",
}
_SENT = "from when a request was sent"
NOTES = {
    "ttft": _SENT,
    "itl": "its inter_chunk_latency: events, not tokens; several tokens in one event are one gap",
    "tpot": "its inter_token_latency: (latency - ttft) / (tokens - 1), with the tokens that it counts itself",
    "e2e": f"{_SENT}, to the last event with text",
    "completed": "streams that end with an error event count as completed",
    "output_rate": "with the tokens that its own tokenizer counts in the text",
}


def knows(value: Any) -> bool:
    """Whether it is such a summary."""
    return isinstance(value, Mapping) and "aiperf_version" in value and "request_latency" in value


def knows_record(value: Any) -> bool:
    """Whether it is a line of profile_export.jsonl."""
    return (
        isinstance(value, Mapping)
        and isinstance(value.get("metadata"), Mapping)
        and "request_start_ns" in value["metadata"]
        and "metrics" in value
    )


def read(value: Mapping[str, Any]) -> tuple[Result, ...]:
    """The summary. Raises: ValueError, naming the place."""
    answered, failed = (
        whole(get(value, "request_count.avg")),
        whole(get(value, "error_request_count.avg")) or 0,
    )
    phase, urls = _first(value, "input_config.phases"), rows(value, "input_config.endpoint.urls")
    rate = phase.get("rate")
    return (
        Result(
            tool=f"aiperf {texts(value, 'aiperf_version')}",
            kind="measured",
            name=str(urls[0]) if urls else "aiperf",
            model=texts(_first(value, "input_config.models.items"), "name"),
            workload=_workload(value, phase),
            seconds=get(value, "benchmark_duration.avg"),
            requests=None if answered is None else answered + failed,
            failed=failed,
            offered=number(rate, "input_config.phases[0].rate"),
            completed=get(value, "request_throughput.avg"),
            output_rate=get(value, "output_token_throughput.avg"),
            input_rate=get(value, "input_token_throughput.avg"),
            goodput=get(value, "goodput.avg"),
            concurrency=get(value, "effective_concurrency.avg"),
            input=get(value, "input_sequence_length.avg"),
            output=get(value, "output_sequence_length.avg"),
            latencies={ours: told for ours, theirs in LATENCIES.items() if (told := _told(value, theirs))},
            notes=_notes(get(value, "output_sequence_length.avg"), get(value, "usage_completion_tokens.avg")),
            from_sent=frozenset({"ttft", "e2e"}),
        ),
    )


def _notes(own: float | None, servers: float | None) -> dict[str, str]:
    """Where the server counted other tokens than the tool did, by how much."""
    if own is None or servers is None or abs(own - servers) < 0.01 * servers:
        return NOTES
    more = f": {own:.1f} an answer, {servers:.1f} by the server's count"
    return {**NOTES, "tpot": NOTES["tpot"] + more, "output_rate": NOTES["output_rate"] + more}


def _first(value: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    found = rows(value, path)
    return found[0] if found and isinstance(found[0], Mapping) else {}


def _workload(value: Mapping[str, Any], phase: Mapping[str, Any]) -> dict[str, Any]:
    prompts = at(_first(value, "input_config.datasets"), "prompts")
    found = {
        "arrivals": phase.get("type"),
        "rate": phase.get("rate"),
        "users": phase.get("concurrency"),
        "requests": phase.get("requests"),
        "input_len": at(prompts, "isl.mean") if isinstance(prompts, Mapping) else None,
        "output_len": at(prompts, "osl.mean") if isinstance(prompts, Mapping) else None,
    }
    return {name: one for name, one in found.items() if isinstance(one, str | int | float)}


def _told(value: Mapping[str, Any], name: str) -> Told | None:
    if get(value, f"{name}.avg") is None:
        return None
    unit = texts(value, f"{name}.unit")
    if unit != "ms":
        raise ValueError(f"{name}.unit: expected ms, not {unit!r}")
    quantiles = {label: get(value, f"{name}.{label}", MS) for label in ("p50", "p90", "p95", "p99")}
    most, count = get(value, f"{name}.max", MS), get(value, f"{name}.count")
    return Told(get(value, f"{name}.avg", MS), **quantiles, most=most, count=count)


def with_records(result: Result, lines: Sequence[Any]) -> Result:
    """The summary, with its requests in the course of time. Raises: ValueError, naming the line."""
    return replace(result, sampled=_sampled(_measured(lines)))


def of_records(lines: Sequence[Any]) -> Result:
    """What the lines alone tell. Raises: ValueError, naming the line."""
    measured = _measured(lines)
    answered = [line for line in measured if line.get("error") is None]
    found = _sampled(measured)
    seconds = found.seconds
    spreads = {name: _spread(found, name) for name in LATENCIES}
    sums = {
        name: sum(get(line, f"metrics.{name}.value") or 0.0 for line in answered)
        for name in ("input_sequence_length", "output_sequence_length", "usage_completion_tokens")
    }
    tokens, count = sums["output_sequence_length"], len(answered)
    return Result(
        tool="aiperf",
        kind="measured",
        name="aiperf",
        model="",
        seconds=seconds,
        requests=len(measured),
        failed=len(measured) - count,
        completed=per(count, seconds),
        output_rate=per(tokens, seconds),
        input_rate=per(sums["input_sequence_length"], seconds),
        input=per(sums["input_sequence_length"], count),
        output=per(tokens, count),
        latencies={name: told for name, told in spreads.items() if told is not None},
        notes=_notes(per(tokens, count), per(sums["usage_completion_tokens"], count) or None),
        from_sent=frozenset({"ttft", "e2e"}),
        sampled=found,
    )


def _measured(lines: Sequence[Any]) -> list[Mapping[str, Any]]:
    """Those of the measured phase: warm-up is another."""
    for n, line in enumerate(lines, 1):
        if not knows_record(line):
            raise ValueError(f"line {n}: expected metadata and metrics of a request")
    return [line for line in lines if texts(line, "metadata.benchmark_phase") in ("profiling", "")]


def _sampled(lines: Sequence[Mapping[str, Any]]) -> Sampled:
    """From the first request's start to the last one's end."""
    begin = min((get(line, "metadata.request_start_ns") or 0.0 for line in lines), default=0.0)
    end = max((get(line, "metadata.request_end_ns") or 0.0 for line in lines), default=0.0)
    sampling = Sampling(max(0.0, (end - begin) * NS) + 1e-9)
    for line in lines:
        if line.get("error") is None:
            _take(sampling, line, ((get(line, "metadata.request_start_ns") or begin) - begin) * NS)
    return sampling.sampled()


def _take(sampling: Sampling, line: Mapping[str, Any], at_: float) -> None:
    for ours in ("ttft", "tpot", "e2e"):
        sampling.latency(ours, at_, get(line, f"metrics.{LATENCIES[ours]}.value", MS))
    place = "metrics.inter_chunk_latency.value"
    gaps = [(number(one, place) or 0.0) * MS for one in rows(line, place)]
    sampling.latency("itl", at_, gaps)
    sampling.amount("completed", at_ + (get(line, "metrics.request_latency.value", MS) or 0.0), 1)
    first = at_ + (get(line, "metrics.time_to_first_token.value", MS) or 0.0)
    moments = list(accumulate([first, *gaps]))
    tokens = get(line, "metrics.output_sequence_length.value") or 0.0
    for moment in moments:
        sampling.amount("output_rate", moment, tokens / len(moments))


def _spread(found: Sampled, name: str) -> Told | None:
    observed = found.latencies.get(name)
    if not observed:
        return None
    one: Spread = spread(value for _, values in observed for value in values)
    return Told(one.mean, one.p50, one.p90, one.p95, one.p99, one.most, one.count)
