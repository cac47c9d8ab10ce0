"""One look at an engine's metrics page, as values under names of their own: the same for every release of
vLLM.

Only the families that are used are read: a page of 57 kB takes a third of a millisecond, not nine.
Source: Prometheus text format 0.0.4; metric names of vLLM `v1/metrics/loggers.py`, their changes in the
catalog.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce

# Ours, and vLLM's of this release and of earlier ones; where a page has both, the first wins. Units are
# vLLM's own.
GAUGES = {
    "running": ("num_requests_running",),
    "waiting": ("num_requests_waiting",),
    "kv_cache_usage": ("kv_cache_usage_perc", "gpu_cache_usage_perc"),
}
COUNTERS = {
    "prompt_tokens": ("prompt_tokens_total",),
    "generation_tokens": ("generation_tokens_total",),
    "preemptions": ("num_preemptions_total",),
    "requests": ("request_success_total",),
    "prefix_queries": ("prefix_cache_queries_total", "gpu_prefix_cache_queries_total"),
    "prefix_hits": ("prefix_cache_hits_total", "gpu_prefix_cache_hits_total"),
}
HISTOGRAMS = {
    "ttft": ("time_to_first_token_seconds",),
    "itl": ("inter_token_latency_seconds", "time_per_output_token_seconds"),
    "e2e": ("e2e_request_latency_seconds",),
    "queue": ("request_queue_time_seconds",),
}
ERRORS = "errors"  # of `requests`, those that ended in an error
_PARTS = tuple(
    f"{family}{part}"
    for known in HISTOGRAMS.values()
    for family in known
    for part in ("_bucket", "_count", "_sum")
)
_FAMILIES = (*(family for known in (*GAUGES.values(), *COUNTERS.values()) for family in known), *_PARTS)
# The page with just these: `name[]` is prometheus-client's own way to ask for it. vLLM's plain /metrics is
# another handler,
# which writes everything whatever is asked; the one with a slash is prometheus-client's.
NARROW = "/metrics/?" + "&".join(f"name%5B%5D=vllm:{family}" for family in _FAMILIES)
MEANS = frozenset({"kv_cache_usage"})  # over engines; everything else is summed
_LABELLED = re.compile(rb'(?<!\w)le="([^"]+)",?')
_FAILED = b'finished_reason="error"'


@dataclass(frozen=True, slots=True)
class Histogram:
    """Observations by their size: `counts[i]` are at most `bounds[i]`; the last bound is infinite."""

    bounds: tuple[float, ...]
    counts: tuple[float, ...]
    sum: float = 0.0

    @property
    def count(self) -> float:
        """How many observations."""
        return self.counts[-1] if self.counts else 0.0

    def plus(self, other: "Histogram") -> "Histogram":
        """Both together; of other bounds, the other alone."""
        if self.bounds != other.bounds:
            return other
        return Histogram(
            self.bounds,
            tuple(a + b for a, b in zip(self.counts, other.counts, strict=True)),
            self.sum + other.sum,
        )

    def since(self, earlier: "Histogram") -> "Histogram":
        """What came after an earlier look; all of it, where the engine has begun anew."""
        if self.bounds != earlier.bounds or self.count < earlier.count:
            return self
        counts = tuple(max(0.0, a - b) for a, b in zip(self.counts, earlier.counts, strict=True))
        return Histogram(self.bounds, counts, max(0.0, self.sum - earlier.sum))

    def quantile(self, share: float) -> float | None:
        """The size below which that share of the observations is; None without any.

        Even within a bucket, as Prometheus' histogram_quantile; beyond the last finite bound, that bound.
        """
        rank = share * self.count
        if rank <= 0:
            return None
        low = below = 0.0
        for bound, count in zip(self.bounds, self.counts, strict=True):
            if count >= rank:
                if math.isinf(bound):
                    return low
                return low + (bound - low) * (rank - below) / (count - below)
            low, below = bound, count
        return low


@dataclass(frozen=True, slots=True)
class MetricSample:
    """What one engine said of itself at a moment (`at`, seconds). A figure that its page lacks is absent,
    never zero.

    counters and histograms are summed over labels; series and shapes are the same by their labels, since of
    several engines on one page each begins anew by itself.
    """

    at: float
    gauges: Mapping[str, float] = field(default_factory=dict)
    counters: Mapping[str, float] = field(default_factory=dict)
    histograms: Mapping[str, Histogram] = field(default_factory=dict)
    series: Mapping[str, Mapping[bytes, float]] = field(default_factory=dict)
    shapes: Mapping[str, Mapping[bytes, Histogram]] = field(default_factory=dict)


def read(page: bytes, at: float) -> MetricSample | None:
    """The sample of a page; None where it has none of vLLM's families.

    A line that is cut off counts for nothing, nor does a histogram without its end, or a value that is no
    finite number.
    """
    whole = b"\n" + page[: page.rfind(b"\n") + 1]
    gauges = {
        name: value for name, known in GAUGES.items() if (value := _gauge(whole, name, known)) is not None
    }
    series = {name: found for name, known in COUNTERS.items() if (found := _counter(whole, known))}
    if "requests" in series:
        series[ERRORS] = {labels: value for labels, value in series["requests"].items() if _FAILED in labels}
    shapes = {name: seen for name, known in HISTOGRAMS.items() if (seen := _histograms(whole, known))}
    if not (gauges or series or shapes):
        return None
    counters = {name: sum(found.values()) for name, found in series.items()}
    histograms = {name: reduce(Histogram.plus, found.values()) for name, found in shapes.items()}
    return MetricSample(at, gauges, counters, histograms, series, shapes)


def _gauge(page: bytes, name: str, known: tuple[str, ...]) -> float | None:
    for family in known:
        values = [value for _, value in _lines(page, family)]
        if values:
            return sum(values) / len(values) if name in MEANS else sum(values)
    return None


def _counter(page: bytes, known: tuple[str, ...]) -> dict[bytes, float]:
    """By labels; of a page that has two lines of the same, both."""
    for family in known:
        out: dict[bytes, float] = {}
        for labels, value in _lines(page, family):
            out[labels] = out.get(labels, 0.0) + value
        if out:
            return out
    return {}


def _histograms(page: bytes, known: tuple[str, ...]) -> dict[bytes, Histogram]:
    """By labels, but for the bucket's; those without an end, a count or a sum are left out."""
    out: dict[bytes, Histogram] = {}
    for family in known:
        buckets: dict[bytes, dict[float, float]] = {}
        for labels, value in _lines(page, f"{family}_bucket"):
            bound = _bound(labels)
            if bound is not None:
                mine = buckets.setdefault(_apart(labels), {})
                mine[bound] = mine.get(bound, 0.0) + value
        counts, sums = (
            {_apart(labels): value for labels, value in _lines(page, f"{family}{end}")}
            for end in ("_count", "_sum")
        )
        for labels, found in buckets.items():
            if math.inf in found and labels in counts and labels in sums:
                bounds = tuple(sorted(found))
                out[labels] = Histogram(bounds, tuple(found[one] for one in bounds), sums[labels])
        if out:
            return out
    return {}


def _bound(labels: bytes) -> float | None:
    match = _LABELLED.search(labels)
    try:
        return float(match[1]) if match else None
    except ValueError:
        return None


def _apart(labels: bytes) -> bytes:
    """Labels without the bucket's."""
    return _LABELLED.sub(b"", labels).rstrip(b",")


def _lines(page: bytes, family: str) -> Iterator[tuple[bytes, float]]:
    """Labels and value of each line of a family, wherever on the page it stands."""
    start = b"\nvllm:" + family.encode()
    at = page.find(start)
    while at >= 0:
        end = page.find(b"\n", at + 1)
        line = page[at + len(start) : end]
        if line[:1] in (b"{", b" "):
            labels, _, rest = line.rpartition(b"}") if line[:1] == b"{" else (b"", b"", line)
            value = _number(rest)
            if value is not None:
                yield labels, value
        at = page.find(start, end)


def _number(text: bytes) -> float | None:
    """The value, with or without a time behind it."""
    try:
        value = float(text.split()[0])
    except (ValueError, IndexError):
        return None
    return value if math.isfinite(value) else None
