"""What the three metrics APIs answer, out of a sequence's figures: None is a metric that is not known, an
empty mapping or list one that is and has no items."""

from typing import Any

from benchmarks.hpa_oracle.errors import MetricError
from benchmarks.hpa_oracle.golang import clock
from benchmarks.hpa_oracle.pods import Sample
from benchmarks.hpa_oracle.quantities import milli_value

MINUTE = 60_000_000  # the window of samples that tell none


def of_pods(metrics: dict[str, Any], name: str, api: str, container: str = "") -> dict[str, Sample]:
    """A metric's sample by pod. `api`: "custom" or "resource"; a container's stands under CONTAINER/NAME.
    Raises: MetricError."""
    figures = metrics.get(f"{container}/{name}" if container else name)
    if figures is None:
        raise MetricError(f"unable to fetch metrics from {api} metrics API: no metric {name}")
    if not figures:
        raise MetricError(f"no metrics returned from {api} metrics API")
    return {pod: _sample(figure) for pod, figure in figures.items() if figure is not None}


def _sample(figure: Any) -> Sample:
    if not isinstance(figure, dict):
        return Sample(milli_value(figure))
    window = figure.get("window")
    at = clock(figure.get("timestamp") or 0)
    return Sample(milli_value(figure["value"]), at, MINUTE if window is None else clock(window))


def external(metrics: dict[str, Any], name: str) -> list[int]:
    """An external metric's values, in thousandths. Raises: MetricError."""
    figures = metrics.get(name)
    if figures is None:
        raise MetricError(f"unable to fetch metrics from external metrics API: no metric {name}")
    if figures in ({}, []):
        raise MetricError("no metrics returned from external metrics API")
    return [milli_value(figure) for figure in (figures if isinstance(figures, list) else [figures])]


def of_object(metrics: dict[str, Any], name: str) -> int:
    """An object's one value, in thousandths. Raises: MetricError."""
    figures = metrics.get(name)
    if figures is None:
        raise MetricError(f"unable to fetch metrics from custom metrics API: no metric {name}")
    items = list(figures) if isinstance(figures, list | dict) else [figures]
    if len(items) != 1:
        raise MetricError(
            "unable to fetch metrics from custom metrics API: the custom metrics API server returned "
            f"{len(items)} results when we asked for exactly one"
        )
    return milli_value(items[0])
