"""What the controller remembers of one HPA: recommendations before they were stabilized, and changes of
scale."""

from dataclasses import dataclass, field
from typing import Any

from benchmarks.hpa_oracle.golang import int32

SECOND = 1_000_000


@dataclass
class Recommendation:
    """What the metrics asked for, and when (microseconds)."""

    replicas: int
    at: int


@dataclass
class Change:
    """Replicas added or deleted at once, and when; one that is outdated may be overwritten, not sooner."""

    replicas: int
    at: int
    outdated: bool = False


@dataclass
class History:
    """Both lists are never pruned: a new entry takes the place of the last old one, if there is any."""

    recommendations: list[Recommendation] = field(default_factory=list)
    added: list[Change] = field(default_factory=list)
    deleted: list[Change] = field(default_factory=list)

    def begin(self, replicas: int, now: int) -> None:
        """The first reconcile takes the replicas that there are for a recommendation, a moment before its
        own: a window of 0 s does not reach back to it."""
        if not self.recommendations:
            self.recommendations.append(Recommendation(replicas, now - 1))

    def recommend(self, replicas: int, now: int, old: int | None) -> None:
        """Keeps a recommendation, in the place of an old one (its index), if one was found."""
        if old is None:
            self.recommendations.append(Recommendation(replicas, now))
        else:
            self.recommendations[old] = Recommendation(replicas, now)

    def highest(self, replicas: int, now: int, window: int) -> int:
        """The highest recommendation of the window (its start included), this one among them; it is kept."""
        cutoff, highest, old = now - window, replicas, None
        for index, one in enumerate(self.recommendations):
            if one.at < cutoff:
                old = index
            else:
                highest = max(highest, one.replicas)
        self.recommend(replicas, now, old)
        return highest

    def stabilized(self, current: int, replicas: int, now: int, up: int, down: int) -> int:
        """The current count, pulled up to the lowest recommendation of the one window and down to the highest
        of the other (their starts not included); this recommendation counts, and is kept as it was."""
        lowest = highest = replicas
        old = None
        for index, one in enumerate(self.recommendations):
            if one.at > now - up:
                lowest = min(lowest, one.replicas)
            if one.at > now - down:
                highest = max(highest, one.replicas)
            if one.at < now - up and one.at < now - down:
                old = index
        self.recommend(replicas, now, old)
        result = current
        if result < lowest:
            result = lowest
        if result > highest:
            result = highest
        return result

    def changed(self, behavior: dict[str, Any] | None, before: int, after: int, now: int) -> None:
        """Keeps a change of scale, if there is a behavior that may ask for it."""
        if behavior is None:
            return
        grown = after > before
        changes, rules = (self.added, behavior["scaleUp"]) if grown else (self.deleted, behavior["scaleDown"])
        longest = max([0, *(policy["periodSeconds"] for policy in rules.get("policies") or [])])
        old = None
        for index, one in enumerate(changes):
            if one.at < now - longest * SECOND:
                one.outdated = True
            if one.outdated:
                old = index
        new = Change(int32(after - before if grown else before - after), now)
        if old is None:
            changes.append(new)
        else:
            changes[old] = new

    def at_start(self, current: int, period: int, now: int) -> int:
        """Replicas as they were when a policy's period (seconds) began; what happened right then is before
        it."""
        return int32(current - _sum(self.added, period, now) + _sum(self.deleted, period, now))


def _sum(changes: list[Change], period: int, now: int) -> int:
    return int32(sum(one.replicas for one in changes if one.at > now - period * SECOND))
