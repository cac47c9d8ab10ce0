"""Metric names as each back-end spells them, held against the families of a release.

Sources: https://cloud.google.com/stackdriver/docs/managed-prometheus/hpa (metric types), `prometheus_client`
(the series of a counter and a histogram), the `Gauge(`, `Counter(` and `Histogram(` of vLLM 0.32.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from stoker.catalog import vllm
from stoker.catalog.changes import Change, changes, missing

ENGINE = "vllm:"
STACKDRIVER = "prometheus.googleapis.com"
AGENT = "autoscaling.gke.io"
_ENDS = ("_bucket", "_sum", "_count", "_created")
# Beginnings of families that a page shows where their feature is in use: of patterns nothing else is known.
_FEATURES = re.compile(
    r"vllm:(spec_decode|lora|nixl|kv_offload|simple_kv_offload|kv_block|kv_transfer|hisparse|hf3fs|mooncake|diffusion"
    r"|websocket|sleep_mode|rl_weight|tool_call|watermark|corrupted|num_requests_kv_fetch|lmcache)"
)
# Of vLLM's production stack: its router counts under the same prefix.
_ROUTER = re.compile(
    r"vllm:(current_qps|avg_|healthy_pods|num_(incoming|prefill|decoding|swapped)|router|gpu_prefix_cache_hit"
    r"|num_requests_(swapped|uncompleted|finished)|incoming|outgoing)"
)

Verdict = Literal["there", "histogram", "counter", "gone", "unlisted", "conditional", "other"]


@dataclass(frozen=True, slots=True)
class Series:
    """A name held against a release.

    verdict: `there`; `histogram` or `counter` for the name of a family that has no series of that very
    name; `gone` or `unlisted`; `conditional` for what is there with a feature alone; `other` for what is
    no engine's. kind: the family's type.
    """

    name: str
    verdict: Verdict
    kind: str = ""
    change: Change | None = None

    @property
    def engines(self) -> bool:
        """Whether an engine counts it, in this release or in another."""
        return self.verdict in ("there", "histogram", "counter", "gone")


@lru_cache(2048)
def series(name: str, release: str) -> Series:
    """A name with the engine's prefix, with its colon or an underscore in its place."""
    name = colon(name)
    known = vllm.nearest_release(release).metrics
    if not name.startswith(ENGINE) or name.count(":") > 1:  # two colons: somebody's recording rule
        return Series(name, "other")
    kind = known.get(name)
    if kind == "histogram":
        return Series(name, "histogram", kind)
    if kind is not None:
        return Series(name, "there", kind)
    for end in _ENDS:
        family = name.removesuffix(end)
        kind = known.get(family) or known.get(f"{family}_total") if family != name else None
        if kind and (kind == "histogram" or end == "_created"):
            return Series(name, "there", kind)
    if f"{name}_total" in known:
        return Series(name, "counter", "counter")
    return _absent(name, release)


def _absent(name: str, release: str) -> Series:
    """A name that the release's page does not list."""
    bare = re.sub(r"_(bucket|sum|count|total|created)$", "", name)
    if gone := missing("metric", [name, bare], release):
        return Series(name, "gone", change=gone[0])
    if (before := _before(name, bare)) is not None:
        return before
    if _conditional(name, bare, release):
        return Series(name, "conditional")
    known = release in vllm.KNOWN  # of another one nobody knows what else its page lists
    return Series(name, "unlisted" if known and not _ROUTER.match(name) else "other")


def _conditional(name: str, bare: str, release: str) -> bool:
    """Whether a page shows it where its feature is in use."""
    features = vllm.nearest_release(release).features
    parts = any(one.startswith(f"{name}_") for one in features)  # the beginning of several
    return parts or any(one in features for one in (name, bare, f"{bare}_total"))


@lru_cache(8)
def every(release: str) -> frozenset[str]:
    """All series of a release's page, under their own names."""
    out: set[str] = set()
    for name, kind in vllm.nearest_release(release).metrics.items():
        out |= {f"{name}{end}" for end in ("_bucket", "_sum", "_count")} if kind == "histogram" else {name}
        if kind == "counter" and not name.endswith("_total"):
            out.add(f"{name}_total")
    return frozenset(out)


def perhaps(pattern: str) -> bool:
    """Whether a pattern may name what only a feature or another component has."""
    plain = re.split(r"[.*+?()\[\]|\\{}^$]", pattern)[0]
    return not plain.startswith(ENGINE) or bool(
        _FEATURES.match(plain) or _ROUTER.match(plain) or plain == ENGINE
    )


def _before(name: str, bare: str) -> Series | None:
    """A name that the release still had, and later ones have not; of its successor's type."""
    for change in changes():
        if change.kind == "metric" and change.name in (name, bare):
            kind = vllm.nearest_release(vllm.DEFAULT).metrics.get(change.instead, "")
            return Series(name, "histogram" if kind == "histogram" and change.name == name else "there", kind)
    return None


def colon(name: str) -> str:
    """A name with the engine's prefix as the engine writes it."""
    return ENGINE + name.removeprefix("vllm_") if name.startswith("vllm_") else name


@dataclass(frozen=True, slots=True)
class Asked:
    """A name as an HPA asks for it. back_end: whose spelling it is. series: as Prometheus would call it.

    kind: the last part of a Stackdriver name, or the metric of an AutoscalingMetric; empty where there is
    none.
    """

    back_end: Literal["stackdriver", "agent", "other"]
    series: str
    kind: str = ""


def asked(name: str) -> Asked:
    """Takes an HPA's metric name apart."""
    parts = re.split(r"[|/]", name)
    if parts[0] == STACKDRIVER and len(parts) > 1:
        return Asked("stackdriver", parts[1], parts[2] if len(parts) > 2 else "")
    if parts[0] == AGENT and len(parts) > 2:
        return Asked("agent", parts[1], parts[2])
    return Asked("other", name)
