"""RequestRecord: what became of one request, moment by moment; and its form in `records.jsonl`.

Times are seconds from the start of the run, on the clock of the machine that sends.
"""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

ErrorKind = Literal[
    "refused",  # no connection
    "status",  # an HTTP status other than 200
    "stream-error",  # the stream told of an error, whatever its status
    "cut",  # the stream ended, or its connection, without its end
    "malformed",  # what came is no answer of this protocol
    "timeout",
    "cancelled",  # the test was over, or interrupted
    "skipped",  # a later turn of a conversation that had failed
]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request failed. status: HTTP's, where there was an answer; text: the server's own words, cut."""

    kind: ErrorKind
    text: str = ""
    status: int | None = None


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request. Tokens are counted by the server (`usage`).

    scheduled: when it was due; sent: when its bytes left; first_event: the first event of the stream, which
    may carry a role alone; times: when tokens of the answer came, in order, and counts how many each time
    (None: one each); last: when the stream was whole, or had failed. input: prompt tokens, cached of them
    found in a prefix cache. wanted: prompt tokens asked for.
    """

    index: int
    scheduled: float
    sent: float | None = None
    first_event: float | None = None
    times: Sequence[float] = ()
    counts: Sequence[int] | None = None
    last: float | None = None
    input: int | None = None
    output: int | None = None
    cached: int | None = None
    wanted: int | None = None
    session: int = 0
    turn: int = 0
    replica: str = ""
    failure: Failure | None = None

    @property
    def ok(self) -> bool:
        """Whether it was answered to its end."""
        return self.failure is None

    @property
    def lag(self) -> float | None:
        """Seconds from when it was due until it was sent: the load generator's own delay."""
        return None if self.sent is None else max(0.0, self.sent - self.scheduled)

    @property
    def tokens(self) -> Iterator[tuple[float, int]]:
        """When how many tokens came."""
        return zip(self.times, self.counts or (1,) * len(self.times), strict=True)

    @property
    def first_token(self) -> float | None:
        """When the first token came."""
        return self.times[0] if self.times else None

    @property
    def ttft(self) -> float | None:
        """Time to first token, from when the request was due."""
        return self.times[0] - self.scheduled if self.times else None

    @property
    def e2e(self) -> float | None:
        """From when it was due until its answer was whole."""
        return None if self.last is None else self.last - self.scheduled

    @property
    def streamed(self) -> int:
        """Tokens that came, whether the answer became whole or not."""
        return len(self.times) if self.counts is None else sum(self.counts)

    @property
    def tpot(self) -> float | None:
        """Mean time an output token after the first: (last token - first token) / (tokens - 1)."""
        count = self.streamed
        return (self.times[-1] - self.times[0]) / (count - 1) if count > 1 else None

    def gaps(self) -> list[float]:
        """Times between tokens that follow each other: zero between those that came in one event."""
        times = self.times
        between = [after - before for before, after in pairwise(times)]
        if self.counts is None:
            return between
        out: list[float] = []
        for gap, number in zip([0.0, *between], self.counts, strict=True):
            out.append(gap)
            out.extend([0.0] * (number - 1))
        return out[1:]


def to_json(record: RequestRecord) -> dict[str, Any]:
    """One line of `records.jsonl`. Moments in seconds; `tokens_us` are microseconds after `sent`, and
    `counts` their numbers of tokens, left out where all are one."""
    sent = record.sent if record.sent is not None else record.scheduled
    out: dict[str, Any] = {
        "index": record.index,
        "session": record.session,
        "turn": record.turn,
        "scheduled": round(record.scheduled, 6),
        "sent": _rounded(record.sent),
        "first_event": _rounded(record.first_event),
        "last": _rounded(record.last),
        "input": record.input,
        "output": record.output,
        "cached": record.cached,
        "wanted": record.wanted,
        "tokens_us": [round((at - sent) * 1e6) for at in record.times],
    }
    if record.counts is not None:
        out["counts"] = list(record.counts)
    if record.replica:
        out["replica"] = record.replica
    if record.failure is not None:
        failure = record.failure
        out["error"] = {"kind": failure.kind, "text": failure.text, "status": failure.status}
    return out


def from_json(raw: Mapping[str, Any]) -> RequestRecord:
    """The record that `to_json` wrote. Raises: KeyError, TypeError, ValueError, for anything else."""
    sent = raw["sent"] if raw["sent"] is not None else raw["scheduled"]
    counts = raw.get("counts")
    error = raw.get("error")
    return RequestRecord(
        index=raw["index"],
        scheduled=raw["scheduled"],
        sent=raw["sent"],
        first_event=raw["first_event"],
        times=array("d", [sent + offset / 1e6 for offset in raw["tokens_us"]]),
        counts=array("l", counts) if counts else None,
        last=raw["last"],
        input=raw["input"],
        output=raw["output"],
        cached=raw["cached"],
        wanted=raw["wanted"],
        session=raw["session"],
        turn=raw["turn"],
        replica=raw.get("replica", ""),
        failure=Failure(error["kind"], error["text"], error["status"]) if error else None,
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
