"""Changes: the steps that lead from what runs to what is wanted, seen before any is taken."""

from dataclasses import dataclass
from typing import Literal

Action = Literal["start", "stop", "replace", "wait", "update", "create", "delete", "run"]


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what is done to what, why, and the subjects that come first."""

    action: Action
    subject: str
    why: str
    needs: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.action} {self.subject}" + (f" ({self.why})" if self.why else "")


@dataclass(frozen=True, slots=True)
class Changes:
    """Steps, and the revision of the state they were computed from."""

    steps: tuple[Step, ...]
    seen: int

    @property
    def acting(self) -> tuple[Step, ...]:
        """Those that change something; the others only wait."""
        return tuple(step for step in self.steps if step.action != "wait")
