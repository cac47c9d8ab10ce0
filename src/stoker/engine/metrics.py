"""vLLM's metrics page: the few figures that Stoker acts on, and one page out of several replicas'."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gauges:
    """Figures of one replica, summed over its engines. None where the page lacks them, never zero.

    kv_cache_usage is a share of the cache, 0 to 1.
    """

    num_requests_running: float | None = None
    num_requests_waiting: float | None = None
    kv_cache_usage: float | None = None
    prompt_tokens_total: float | None = None
    generation_tokens_total: float | None = None
    num_preemptions_total: float | None = None
    request_success_total: float | None = None


_FAMILIES = {
    b"vllm:num_requests_running": "num_requests_running",
    b"vllm:num_requests_waiting": "num_requests_waiting",
    b"vllm:kv_cache_usage_perc": "kv_cache_usage",
    b"vllm:gpu_cache_usage_perc": "kv_cache_usage",  # before 0.11
    b"vllm:prompt_tokens_total": "prompt_tokens_total",
    b"vllm:generation_tokens_total": "generation_tokens_total",
    b"vllm:num_preemptions_total": "num_preemptions_total",
    b"vllm:request_success_total": "request_success_total",
}
_SAMPLE = re.compile(rb"^(vllm:[a-z_]+)(?:\{[^\n]*\})? (\S+)(?: \d+)?$", re.M)


def sample(page: bytes | str) -> Gauges:
    """Reads a page, also half of one; a value that is not a number is as good as none."""
    data = page.encode() if isinstance(page, str) else page
    sums: dict[str, float] = {}
    for name, text in _SAMPLE.findall(data):
        field = _FAMILIES.get(name)
        value = _number(text) if field else None
        if field and value is not None:
            sums[field] = sums.get(field, 0.0) + value
    return Gauges(**sums)


def _number(text: bytes) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def merge(pages: Mapping[str, bytes]) -> bytes:
    """One page out of several: each sample with its `replica` label, each family once and in one piece."""
    heads: dict[bytes, list[bytes]] = {}
    samples: dict[bytes, list[bytes]] = {}
    for replica, page in pages.items():
        family = b""
        for line in page.splitlines():
            if line.startswith((b"# HELP ", b"# TYPE ")):
                family = line.split(b" ", 3)[2]
                known = heads.setdefault(family, [])
                if not any(have[:7] == line[:7] for have in known):
                    known.append(line)
            elif line and not line.startswith(b"#") and family:
                samples.setdefault(family, []).append(_labelled(line, replica.encode()))
    lines = [line for family, head in heads.items() for line in (*head, *samples.get(family, ()))]
    return b"\n".join([*lines, b""]) if lines else b""


def _labelled(line: bytes, replica: bytes) -> bytes:
    label = b'replica="%b"' % replica
    brace, space = line.find(b"{"), line.find(b" ")
    if brace == -1 or (space != -1 and space < brace):
        return line[:space] + b"{" + label + b"}" + line[space:]
    comma = b"" if line[brace + 1 : brace + 2] == b"}" else b","
    return line[: brace + 1] + label + comma + line[brace + 1 :]
