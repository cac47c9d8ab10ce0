"""Results of other load generators, known by what is in them, as results of the same form as ours.

What such a tool does not tell stays unknown; where it defines a figure otherwise, a note says how. What the
notes say was seen with vllm bench 0.32.0, guidellm 0.8.1 and aiperf 0.13.0: docs/reference/measures.md.
"""

from collections.abc import Callable, Sequence
from typing import Any

from stoker.traffic.peers import aiperf, guidellm, vllm_bench
from stoker.traffic.result import Result

_KNOWN: tuple[tuple[Callable[[Any], bool], Callable[[Any], tuple[Result, ...]]], ...] = (
    (vllm_bench.knows, vllm_bench.read),
    (guidellm.knows, guidellm.read),
    (aiperf.knows, aiperf.read),
)


class Unknown(ValueError):
    """No tool that is known here has written it."""


def read(values: Sequence[Any]) -> tuple[Result, ...]:
    """The results in a file's JSON values: one, or one a line. Raises: Unknown; ValueError, which names the
    place."""
    if aiperf.knows_record(values[0]):
        return (aiperf.of_records(values),)
    return tuple(result for value in values for result in _read(value))


def _read(value: Any) -> tuple[Result, ...]:
    for knows, read_ in _KNOWN:
        if knows(value):
            return read_(value)
    raise Unknown("it has neither the fields of vllm bench serve, nor guidellm's, nor aiperf's")


with_records = aiperf.with_records
