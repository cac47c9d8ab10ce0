"""Finding: one thing that is wrong or worth knowing, with its place, its reason and its fix."""

from collections.abc import Mapping
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
        return "\n".join([f"{self.severity}: {self.what}", *self.lines()])

    def lines(self, indent: str = "  ") -> list[str]:
        """What stands below the headline, each with its label."""
        return labelled({"at": self.at, "why": self.why, "fix": self.fix}, indent)


def labelled(parts: Mapping[str, str], indent: str = "  ", width: int = 4) -> list[str]:
    """Texts with their labels before them; further lines of a text stand under its first, empty ones are left
    out."""
    return [
        f"{indent}{label if n == 0 else '':<{width}} {line}"
        for label, text in parts.items()
        for n, line in enumerate(text.splitlines())
    ]
