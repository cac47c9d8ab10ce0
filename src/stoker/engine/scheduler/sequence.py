"""One request as the scheduler sees it: counts of tokens, never the tokens."""

from __future__ import annotations

from collections.abc import Hashable
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stoker.engine.scheduler.blocks import Block


class Status(Enum):
    """Where a sequence is. Source: vLLM v1/request.py, RequestStatus."""

    WAITING = "waiting"
    RUNNING = "running"
    PREEMPTED = "preempted"
    FINISHED = "finished"


class Ended(Enum):
    """Why a sequence ended, in the API's words. Source: vLLM v1/engine, FinishReason."""

    STOP = "stop"
    LENGTH = "length"
    ABORT = "abort"


class Sequence:
    """A request on its way through the engine.

    `content` names the first full blocks of its tokens, prompt and answer: two sequences share a block where
    they give it the same name, so a name must stand for all tokens up to its end. Blocks beyond are its own,
    found again by nobody but itself after a preemption. `max_tokens` is the client's limit; with `stops_at`,
    the model ends the answer by itself at that token. The smaller the `priority`, the sooner; ties go by
    `arrival`, then by `id`.

    With `last` tokens it has to end, with `limit` it does. What changes: `tokens` are known (prompt and
    delivered answer), `computed` have their KV or get it in a batch on its way. `blocks` are held, of which
    the first `hashed` can be found by others. `placeholders`, `in_flight` and `stale` are tokens of batches
    not yet committed: sampled but unknown, computed, and to be no more counted on. `eligible` is the first
    step that may decode it, where a pipeline takes turns. `place`: among those that were let in, where a
    `Cohort` counts them; 0 before.
    Source: vLLM v1/request.py, Request.
    """

    __slots__ = (
        "arrival",
        "blocks",
        "cached",
        "computed",
        "content",
        "eligible",
        "ended",
        "hashed",
        "held",
        "id",
        "in_flight",
        "last",
        "limit",
        "max_tokens",
        "place",
        "placeholders",
        "preemptions",
        "priority",
        "prompt",
        "stale",
        "status",
        "stops_at",
        "tokens",
    )

    def __init__(
        self,
        id: str,
        prompt: int,
        max_tokens: int,
        *,
        arrival: float = 0.0,
        priority: int = 0,
        stops_at: int | None = None,
        content: tuple[Hashable, ...] = (),
    ) -> None:
        """A new request. Raises: ValueError, where it has nothing to read or to write."""
        if prompt < 1 or max_tokens < 1 or (stops_at is not None and stops_at < 1):
            raise ValueError("a sequence has a token to read and a token to write")
        self.id, self.arrival, self.priority = id, arrival, priority
        self.prompt, self.max_tokens, self.stops_at = prompt, max_tokens, stops_at
        self.content = content
        self.tokens, self.computed, self.cached = prompt, 0, 0
        self.last = prompt + max_tokens
        self.limit = self.last if stops_at is None else min(self.last, prompt + stops_at)
        self.placeholders = self.in_flight = self.stale = 0
        self.blocks = self.hashed = self.preemptions = self.eligible = self.place = 0
        self.held: list[Block] = []
        self.status = Status.WAITING
        self.ended: Ended | None = None

    @property
    def written(self) -> int:
        """Tokens of the answer so far."""
        return self.tokens - self.prompt

    @property
    def order(self) -> tuple[int, float, str]:
        """Its place under the policy `priority`. Source: vLLM Request.__lt__."""
        return self.priority, self.arrival, self.id

    def __repr__(self) -> str:
        """Its name and where it is."""
        return f"<{self.id} {self.status.value} {self.computed}/{self.tokens}>"
