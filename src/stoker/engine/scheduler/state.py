"""The engine between two steps, and what one step computes."""

from dataclasses import dataclass, field

from stoker.engine.scheduler.blocks import KVBlocks
from stoker.engine.scheduler.limits import SchedulerLimits
from stoker.engine.scheduler.sequence import Sequence
from stoker.engine.scheduler.waiting import Waiting, queue


@dataclass(slots=True, eq=False)
class Batch:
    """What one step computes.

    `tokens` of each sequence, in vLLM's order: those that ran, then those let in. `sampled` get a token at
    its end: all but prefills with more to come. `admitted` are new or back, with the tokens that the prefix
    cache spared them; `preempted` lost their blocks to others; `finished` ended since the step before.
    Source: vLLM v1/core/sched/output.py, SchedulerOutput.
    """

    tokens: dict[Sequence, int] = field(default_factory=dict)
    sampled: list[Sequence] = field(default_factory=list)
    admitted: dict[Sequence, int] = field(default_factory=dict)
    preempted: list[Sequence] = field(default_factory=list)
    finished: list[Sequence] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether there is anything to compute."""
        return bool(self.tokens)

    @property
    def total(self) -> int:
        """Tokens of the whole batch."""
        return sum(self.tokens.values())


class State:
    """Who waits, who runs, and what of the KV cache is free.

    It changes in place, by `add`, `step`, `commit`, `abort` and `advance` alone. aside: how many more run
    than are listed, as a `Cohort` counts them together.
    """

    __slots__ = ("aside", "blocks", "finished", "limits", "running", "steps", "waiting")

    def __init__(self, limits: SchedulerLimits) -> None:
        """An engine without requests."""
        self.limits = limits
        self.blocks = KVBlocks(limits)
        self.waiting: Waiting = queue(limits.policy)
        self.running: list[Sequence] = []
        self.finished: list[Sequence] = []
        self.steps = 0
        self.aside = 0

    def add(self, sequence: Sequence) -> None:
        """A request arrives. Source: vLLM Scheduler.add_request.

        Raises: ValueError, for a prompt that leaves no room for a token: vLLM's API server refuses it.
        """
        if sequence.prompt >= self.limits.max_model_len:
            raise ValueError(f"{sequence.id} has a prompt as long as the model's context, or longer")
        sequence.limit = min(sequence.limit, self.limits.max_model_len)
        sequence.last = min(sequence.last, self.limits.max_model_len)
        self.waiting.add(sequence)

    @property
    def unfinished(self) -> int:
        """Sequences that wait or run."""
        return len(self.waiting) + len(self.running) + self.aside
