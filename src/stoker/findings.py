"""Finding: one thing that is wrong or worth knowing, with its place, its reason and its fix."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What lint, doctor, why, the checks before `up` and every error have in common.

    `at` is a place a person can open (`stoker.yaml:7:3`, a log, a port); `rule` is a stable id for machines.
    """

    what: str
    why: str = ""
    fix: str = ""
    at: str = ""
    severity: Severity = "error"
    rule: str = ""

    def __str__(self) -> str:
        """The finding as text: one line for what, then `at`, `why` and `fix` where they are known."""
        lines = [f"{self.severity}: {self.what}"]
        for label in ("at", "why", "fix"):
            text = getattr(self, label)
            if text:
                first, *more = text.splitlines()
                lines += [f"  {label:<4} {first}", *(f"       {line}" for line in more)]
        return "\n".join(lines)
