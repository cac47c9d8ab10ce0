"""The engine's metrics under vLLM's names, and their page.

Source: vLLM 0.32 `v1/metrics/loggers.py`; help texts as on a page of it.
"""

import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping

from stoker.catalog.buckets import ITL, REQUEST, TTFT

SOURCES = ("local_compute", "local_cache_hit", "external_kv_transfer")
FINISHED = ("stop", "length", "abort", "error")

Labels = Mapping[str, str]


class Histogram:
    """Counts in buckets, with their sum."""

    __slots__ = ("bounds", "counts", "help", "name", "sum")

    def __init__(self, name: str, help: str, bounds: Iterable[float]) -> None:
        self.name = name
        self.help = help
        self.bounds = tuple(float(bound) for bound in bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Counts one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Counter:
    """A number that only grows, for each value of at most one label."""

    __slots__ = ("help", "label", "name", "values")

    def __init__(self, name: str, help: str, label: str = "", values: Iterable[str] = ("",)) -> None:
        self.name = name
        self.help = help
        self.label = label
        self.values = dict.fromkeys(values, 0)

    def add(self, count: int = 1, value: str = "") -> None:
        """Adds to the number of this label value."""
        self.values[value] += count


class Metrics:
    """All that one engine counts. Gauges are not kept: the page asks for them."""

    def __init__(self, labels: Labels, max_model_len: int = 8192) -> None:
        self._labels = dict(labels)
        self._created = time.time()
        self._families: list[Counter | Histogram] = []  # as they stand on the page
        self._count_tokens()
        self._measure_times()
        self._measure_requests(tuple(_one_two_five(max_model_len)))

    def _count_tokens(self) -> None:
        count = self._counter
        self.preemptions = count("num_preemptions", "Cumulative number of preemption from the engine.")
        self.prompt_tokens = count("prompt_tokens", "Number of prefill tokens processed.")
        by_source = "Number of prompt tokens by source."
        self.by_source = count("prompt_tokens_by_source", by_source, "source", SOURCES)
        self.cached = count("prompt_tokens_cached", "Number of cached prompt tokens (local + external).")
        self.generation_tokens = count("generation_tokens", "Number of generation tokens processed.")
        queries = "Prefix cache queries, in terms of number of queried tokens."
        self.prefix_queries = count("prefix_cache_queries", queries)
        hits = "Prefix cache hits, in terms of number of cached tokens."
        self.prefix_hits = count("prefix_cache_hits", hits)
        finished = "Count of successfully processed requests."
        self.finished = count("request_success", finished, "finished_reason", FINISHED)

    def _measure_times(self) -> None:
        hist = self._histogram
        self.ttft = hist("time_to_first_token_seconds", "Histogram of time to first token in seconds.", TTFT)
        self.itl = hist("inter_token_latency_seconds", "Histogram of inter-token latency in seconds.", ITL)
        tpot = "Histogram of time_per_output_token_seconds per request."
        self.tpot = hist("request_time_per_output_token_seconds", tpot, ITL)
        e2e = "Histogram of e2e request latency in seconds."
        self.e2e = hist("e2e_request_latency_seconds", e2e, REQUEST)
        spent = "Histogram of time spent in {} phase for request."
        self.queue = hist("request_queue_time_seconds", spent.format("WAITING"), REQUEST)
        self.inference = hist("request_inference_time_seconds", spent.format("RUNNING"), REQUEST)
        self.prefill = hist("request_prefill_time_seconds", spent.format("PREFILL"), REQUEST)
        self.decode = hist("request_decode_time_seconds", spent.format("DECODE"), REQUEST)

    def _measure_requests(self, lengths: tuple[float, ...]) -> None:
        hist = self._histogram
        self.prompt_length = hist("request_prompt_tokens", "Number of prefill tokens processed.", lengths)
        generated = "Number of generation tokens processed."
        self.answer_length = hist("request_generation_tokens", generated, lengths)
        longest = "Histogram of maximum number of requested generation tokens."
        self.longest = hist("request_max_num_generation_tokens", longest, lengths)
        self.asked_n = hist("request_params_n", "Histogram of the n request parameter.", (1, 2, 5, 10, 20))
        asked = "Histogram of the max_tokens request parameter."
        self.asked_tokens = hist("request_params_max_tokens", asked, lengths)
        computed = "Histogram of new KV tokens computed during prefill (excluding cached tokens)."
        self.computed = hist("request_prefill_kv_computed_tokens", computed, lengths)
        preempted = "Histogram of the number of times a request was preempted."
        self.preempted = hist("request_num_preemptions", preempted, (1, 2, 3, 4, 5, 10, 20))

    def page(self, gauges: Iterable[tuple[str, str, Labels, float]]) -> bytes:
        """The page in Prometheus' text format; gauges are (name, help, more labels, value), by name."""
        lines: list[str] = []
        last = ""
        for name, help, labels, value in gauges:
            if name != last:
                lines += _head(name, help, "gauge")
            last = name
            lines.append(self._sample(name, labels, value))
        for family in self._families:
            lines += self._counted(family) if isinstance(family, Counter) else self._measured(family)
        return ("\n".join(lines) + "\n").encode()

    def _counter(self, name: str, help: str, label: str = "", values: Iterable[str] = ("",)) -> Counter:
        counter = Counter(f"vllm:{name}", help, label, values)
        self._families.append(counter)
        return counter

    def _histogram(self, name: str, help: str, bounds: Iterable[float]) -> Histogram:
        histogram = Histogram(f"vllm:{name}", help, bounds)
        self._families.append(histogram)
        return histogram

    def _counted(self, family: Counter) -> list[str]:
        labelled = [
            ({family.label: value} if family.label else {}, count) for value, count in family.values.items()
        ]
        total = [self._sample(f"{family.name}_total", labels, count) for labels, count in labelled]
        created = [self._sample(f"{family.name}_created", labels, self._created) for labels, _ in labelled]
        return [
            *_head(f"{family.name}_total", family.help, "counter"),
            *total,
            *_head(f"{family.name}_created", family.help, "gauge"),
            *created,
        ]

    def _measured(self, family: Histogram) -> list[str]:
        lines = _head(family.name, family.help, "histogram")
        total = 0
        for bound, count in zip([*map(str, family.bounds), "+Inf"], family.counts, strict=True):
            total += count
            lines.append(self._sample(f"{family.name}_bucket", {"le": bound}, total))
        lines.append(self._sample(f"{family.name}_count", {}, total))
        lines.append(self._sample(f"{family.name}_sum", {}, family.sum))
        lines += _head(f"{family.name}_created", family.help, "gauge")
        lines.append(self._sample(f"{family.name}_created", {}, self._created))
        return lines

    def _sample(self, name: str, labels: Labels, value: float) -> str:
        pairs = ",".join(
            f'{key}="{_escaped(text)}"' for key, text in sorted({**self._labels, **labels}.items())
        )
        return f"{name}{{{pairs}}} {float(value)!r}"


def _one_two_five(most: int) -> Iterator[int]:
    """1, 2, 5, 10, 20, 50, … up to the longest sequence."""
    power = 1
    while power <= most:
        yield from (power * step for step in (1, 2, 5) if power * step <= most)
        power *= 10


def _head(name: str, help: str, kind: str) -> list[str]:
    return [f"# HELP {name} {help}", f"# TYPE {name} {kind}"]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
