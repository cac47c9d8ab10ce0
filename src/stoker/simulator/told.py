"""What clients see of an engine's steps: first tokens, gaps, when the API process has sent them; and what its
metrics page counts.
"""

from __future__ import annotations

from array import array
from typing import cast

from stoker.engine.profile import EngineProfile
from stoker.engine.scheduler import Batch, Cohort, Sequence
from stoker.simulator.gaps import Gaps
from stoker.simulator.request import Request


class Told:
    """An engine as others see it. ends: of all its steps, where they are kept. last: when the last step
    ended; busy: seconds in which it computed.

    api_free, shown: when its API process is done, and half done, with the last tokens.
    """

    __slots__ = (
        "_cohort",
        "_fresh",
        "_paused",
        "api_free",
        "busy",
        "ends",
        "gaps",
        "generated",
        "last",
        "preemptions",
        "profile",
        "prompts",
        "shown",
        "ttft_count",
        "ttft_sum",
    )

    def __init__(self, profile: EngineProfile, gaps: Gaps, cohort: Cohort | None, logged: bool) -> None:
        self.profile, self.gaps, self._cohort = profile, gaps, cohort
        self.ends: array[float] | None = array("d") if logged else None
        self.api_free = self.shown = self.last = self.busy = 0.0
        self.preemptions = self.prompts = self.generated = 0
        self.ttft_sum, self.ttft_count = 0.0, 0
        self._fresh: set[Request] = set()  # let in, and without a token yet
        self._paused: dict[Request, float] = {}  # preempted, with the time of their last token

    def let_in(self, batch: Batch) -> None:
        """A batch was made: who waits for a first token, or has lost its place."""
        for one in batch.admitted:
            if not one.written and one not in self._paused:
                self._fresh.add(cast(Request, one))
        for one in batch.preempted:
            self.preemptions += 1
            if one not in self._fresh:
                self._paused.setdefault(cast(Request, one), self.last)

    def told(self, sampled: list[Sequence], aside: int, now: float, took: float) -> None:
        """What clients see of a step that has ended. aside: how many more it gave a token."""
        if self.ends is not None:
            self.ends.append(now)
        self.busy += took
        tokens = len(sampled) + aside
        self.generated += tokens
        self._serve(tokens, now)
        usual = tokens
        if self._fresh:
            usual -= self._first_tokens(now)
        if self._paused:
            usual -= self._back(sampled, now)
        if usual > 0:
            self.gaps.add(now - self.last, usual)

    def _serve(self, tokens: int, now: float) -> None:
        """The API process sends a step's tokens, one after another, when it is done with those before."""
        begins = max(now, self.api_free)
        self.api_free = begins + tokens * self.profile.api_token
        self.shown = (begins + self.api_free) / 2

    def serve_row(self, tokens: int, last: int, now: float) -> None:
        """Sends the tokens of the steps of a row, of which the last brings so many."""
        each = self.profile.api_token
        self.api_free = max(self.api_free + tokens * each, now + last * each)
        self.shown = self.api_free - last * each / 2

    def _back(self, sampled: list[Sequence], now: float) -> int:
        """Those who were preempted and have a token again; their number."""
        cohort = self._cohort
        aside = [one for one in self._paused if cohort is not None and one in cohort]
        back = [*aside, *(one for one in cast(list[Request], sampled) if one in self._paused)]
        for one in back:
            self.gaps.add(now - self._paused.pop(one), 1)
        return len(back)

    def _first_tokens(self, now: float) -> int:
        """Those that have their first token now; their number."""
        found = [one for one in self._fresh if one.written]
        for one in found:
            self._fresh.discard(one)
            one.first = self.api_free
            self.prompts += one.prompt
            self.ttft_sum += self.api_free - one.arrival
        self.ttft_count += len(found)
        return len(found)
