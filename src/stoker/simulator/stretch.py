"""Steps that follow each other and only decode, as one value."""

import math


class Stretch:
    """`count` steps. The first ends at `first`, the one after takes `second` seconds, and each following one
    `more` than the one before."""

    __slots__ = ("count", "first", "more", "second")

    def __init__(self, count: int, first: float, second: float, more: float) -> None:
        self.count, self.first, self.second, self.more = count, first, second, more

    def end(self, step: int) -> float:
        """When the step of that number ends, counted from 1."""
        after = step - 1
        return self.first + after * self.second + self.more * after * (after - 1) / 2

    def begun(self, now: float) -> int:
        """How many of its steps have ended, or run, at that moment: at least one."""
        past = now - self.first
        if past <= 0:
            return 1
        if self.more <= 0:
            steps = past / self.second
        else:
            half = self.second - self.more / 2
            steps = (math.sqrt(half * half + 2 * self.more * past) - half) / self.more
        found = min(self.count, max(1, math.ceil(steps) + 1))
        while found < self.count and self.end(found) < now:  # rounding, either way
            found += 1
        while found > 1 and self.end(found - 1) >= now:
            found -= 1
        return found

    def rest(self, ended: int) -> "Stretch":
        """What is left after so many of its steps."""
        return Stretch(self.count - ended, self.end(ended + 1), self.second + self.more * ended, self.more)
