"""Rules held against what a cluster shows of a fleet: an event, or a condition of an object.

What engines and copies of weights have said is never looked at here: their causes were found as it was read.
"""

import re
from collections.abc import Sequence

from stoker.advise.why.scheduling import judged
from stoker.catalog import rules
from stoker.catalog.rules import Rule
from stoker.findings import Finding
from stoker.fleet.state import Evidence

SHOWN = ("images", "making", "volumes", "placing", "running", "scaling", "fleet")  # files of such rules


def explained(piece: Evidence, evidence: Sequence[Evidence]) -> tuple[Rule, Finding] | None:
    """The first rule that explains a sign among others, and its finding; None where none does."""
    reasons = {one.reason for one in evidence}
    for rule in rules.of(*SHOWN):
        if (match := _match(rule, piece, reasons)) is not None:
            groups = {str(n): text or "" for n, text in enumerate((match[0], *match.groups()))}
            return rule, rule.filled({**groups, "at": piece.subject}, piece.subject)
    return None


def shown(subject: str, reason: str, text: str) -> Finding | None:
    """Why a container cannot run, by what its node says of it: the reason, and the sentence beside it."""
    piece = Evidence("condition", subject, "Failed", f"{reason} {text}".strip())
    found = explained(piece, (piece,))
    return found[1] if found else None


def _match(rule: Rule, piece: Evidence, reasons: set[str]) -> re.Match[str] | None:
    if not rule.reason or re.fullmatch(rule.reason, piece.reason) is None:
        return None
    if rule.beside and rule.beside not in reasons:
        return None
    if rule.without and any(re.fullmatch(rule.without, one) for one in reasons):
        return None
    return rule.match(judged(piece.text), case=False)
