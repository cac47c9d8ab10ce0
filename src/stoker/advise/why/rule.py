"""One known cause: what is seen, what it means, what to do."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from stoker.advise.why.scheduling import judged
from stoker.findings import Finding, Severity
from stoker.fleet.state import Evidence


@dataclass(frozen=True, slots=True)
class Rule:
    """One cause. reason and text are patterns of a sign; `{1}` in cause and fix is the text's first group,
    `{1|else}` what stands there where it has none, `{at}` whom the sign is about (`Deployment/shop`).

    beside: a reason that must be among all signs; without: one that must not.
    """

    name: str
    reason: str
    text: str
    cause: str
    fix: str
    beside: str = ""
    without: str = ""
    severity: Severity = "error"

    def fits(self, piece: Evidence, evidence: Sequence[Evidence]) -> bool:
        """Whether it explains a sign."""
        reasons = {one.reason for one in evidence}
        return (
            re.fullmatch(self.reason, piece.reason) is not None
            and re.search(self.text, judged(piece.text), re.I) is not None
            and (not self.beside or self.beside in reasons)
            and (not self.without or not any(re.fullmatch(self.without, one) for one in reasons))
        )

    def finding(self, piece: Evidence, subject: str, seen: str) -> Finding:
        """The cause, with what it was seen by."""
        match = re.search(self.text, judged(piece.text), re.I)
        groups = ["", *(match.groups() if match else ())]

        def fill(text: str) -> str:
            told = re.sub(r"\{(\d)(?:\|([^}]*))?\}", lambda m: groups[int(m[1])] or m[2] or "", text)
            return told.replace("{at}", piece.subject)

        return Finding(
            f"{subject}: {fill(self.cause)}",
            seen,
            fill(self.fix),
            piece.subject,
            self.severity,
            f"why-{self.name}",
        )


def rules(*rows: tuple[str, ...]) -> tuple[Rule, ...]:
    """Rules out of rows of a table."""
    return tuple(Rule(*row) for row in rows)  # type: ignore[arg-type]
