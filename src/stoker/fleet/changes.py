"""Changes: the steps that lead from what runs to what is wanted, seen before any is taken."""

from dataclasses import dataclass, field
from typing import Literal

Action = Literal["start", "stop", "replace", "wait", "update", "create", "delete", "run"]


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what is done to what, why, and the subjects that come first.

    body: what the target applies, in its own terms; it is not shown, for it may hold a key.
    """

    action: Action
    subject: str
    why: str
    needs: tuple[str, ...] = ()
    body: object = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        return f"{self.action} {self.subject}" + (f" ({self.why})" if self.why else "")


@dataclass(frozen=True, slots=True)
class Changes:
    """Steps, and the revision of what was wanted when they were computed: 0 where the target keeps none.

    body: what the target applies as a whole, in its own terms; not shown, as a step's.
    """

    steps: tuple[Step, ...]
    seen: int = 0
    body: object = field(default=None, repr=False, compare=False)

    @property
    def acting(self) -> tuple[Step, ...]:
        """Those that change something; the others only wait."""
        return tuple(step for step in self.steps if step.action != "wait")
