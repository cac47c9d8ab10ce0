"""One command's turn at a fleet: whom it waits for, what it takes over, and how it learns that the fleet is
no more its own."""

from typing import Any

from stoker.errors import StateMoved, UsageError
from stoker.events import Event, Report, silent
from stoker.fleet.target import Question, nobody
from stoker.system import clock
from stoker.targets.kubernetes.claim import HANDOVER, Claim, Held, me
from stoker.targets.kubernetes.client import FORBIDDEN, Api
from stoker.targets.kubernetes.diff import changed

MOST = 8  # differences that are told


class Turn:
    """Of a verb that leads to a spec. over: whoever else changes the fleet is not waited for; ask: says so
    when asked.

    before: who had the fleet last, once this command has it.
    """

    def __init__(
        self,
        claim: Claim,
        api: Api,
        namespace: str,
        verb: str,
        wanted: dict[str, Any] | None,
        *,
        report: Report = silent,
        over: bool = False,
        ask: Question = nobody,
    ) -> None:
        self.claim, self.verb = claim, verb
        self._api, self._namespace, self._wanted = api, namespace, wanted
        self._report, self._over, self._ask = report, over, ask
        self._taken = False
        self._first: float | None = None  # when the claim that was there at first began
        self.before: Held | None = None

    def blocked(self) -> str:
        """Whom to wait for; empty where it is this command's turn. Raises: StateMoved, where somebody else is
        at work."""
        if self._taken:
            return ""
        if self.verb != "down":
            self._overtaken()
        other = None if self._over else self.claim.other()
        if other is None or (self.verb == "down" and other.by == me()):
            return ""
        if self.verb == other.verb == "up" and other.wanted == self._wanted:
            return f"{other} of the same file, begun {other.at}"
        if not self.claim.renews:
            return f"a sign of life of {other}, begun {other.at}"
        self._over = self._ask(f"{other} has been changing the fleet since {other.at}. Take it over?")
        if not self._over:
            raise self._held(other)
        return ""

    def _overtaken(self) -> None:
        """Raises: StateMoved, where somebody else led the fleet elsewhere while this command waited."""
        last = self.claim.last()
        since = last.since if last else 0.0
        if self._first is None:
            self._first = since
        elif last is not None and since != self._first:
            if last.wanted != self._wanted or last.verb == "down":
                raise self._lost(last)
            self._first = since

    def take(self) -> bool:
        """Claims the fleet, and gives who loses it the time to see that. False, where somebody else was
        quicker."""
        if self._taken:
            return True
        self.before, other = self.claim.last(), self.claim.other()
        if other is not None:
            self._report(Event("claim", f"taken over from {other}, begun {other.at}", "warn"))
        try:
            self._taken = self.claim.take(self.verb, self._wanted)
        except UsageError:  # in a namespace that goes, nothing new can be written, and is not needed
            if self.verb != "down":
                raise
            self._taken = True
        if self._taken and other is not None:
            clock.sleep(HANDOVER)
        return self._taken

    def check(self) -> None:
        """Keeps the claim. Raises: StateMoved, where somebody else has it by now, or took all of it away."""
        lost = self.claim.lost()
        if isinstance(lost, Held):
            raise self._lost(lost)
        if lost is not None and self.verb != "down":
            raise self.gone(lost)

    def _lost(self, other: Held) -> StateMoved:
        return StateMoved(
            f"{other} has taken the fleet over from this `{self.verb}`",
            why=f"at {other.at}; what was applied until then is its to change",
            fix=f"`stoker status` shows what runs; `stoker {self.verb}` again, once it is done",
            rule="fleet-taken-over",
        )

    def gone(self, subject: str) -> StateMoved:
        """Something was there since this command began, and is not any more."""
        last = self.claim.last()
        if ending := self.ending():
            why = ending
        elif last is not None and last.verb == "down":
            why = f"{last} of {last.at}: {subject} is gone"
        else:
            why = f"{subject} is gone: somebody has deleted it, such as by `stoker down` or kubectl"
        return StateMoved(
            f"the fleet was taken away while this `{self.verb}` was at work",
            why=why,
            fix="`stoker up` makes it anew",
            rule="fleet-gone",
        )

    def ending(self) -> str:
        """That the namespace goes, or is gone; empty where it does neither."""
        try:
            space = self._api.get("Namespace", None, self._namespace)
        except UsageError as refused:
            if refused.finding.rule != FORBIDDEN:
                raise
            return ""
        if space is None:
            return f"the namespace {self._namespace} was deleted"
        return (
            f"the namespace {self._namespace} is being deleted"
            if "deletionTimestamp" in space["metadata"]
            else ""
        )

    def _held(self, other: Held) -> StateMoved:
        differ = changed(other.wanted or {}, self._wanted or {}) if other.wanted and self._wanted else ()
        more = [f"and {len(differ) - MOST} more"] if len(differ) > MOST else []
        how = ["it differs from this one in", *(f"  {one}" for one in differ[:MOST]), *more] if differ else []
        return StateMoved(
            f"{other} is changing the fleet since {other.at}",
            why="\n".join([f"its claim {self.claim.name} in {self._namespace} is being renewed", *how]),
            fix=f"wait until it is done, and the same again; or `stoker {self.verb} --take-over`, which ends "
            f"it",
            rule="fleet-held",
        )
