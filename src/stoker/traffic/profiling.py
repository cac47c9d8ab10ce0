"""An engine's profile out of what clients saw: the time between two tokens of a stream is a step of its
engine, and what the step computed follows from the other streams.

Of several replicas each by itself, where the endpoint says which one answered. Least squares with no
negative part and by share, fitted to four fifths of the gaps without the tenth that it misses most; then made
as long as all of them together (but those of a client that was away), and held against the last fifth.
Sequences and their tokens of KV cache rise together in most tests: the tokens are believed where they tell a
good deal more.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from statistics import median

from stoker.engine.profile import EngineProfile
from stoker.traffic.gaps import Gap, by_replica, gaps, when
from stoker.traffic.least_squares import positive
from stoker.traffic.records import RequestRecord

LEAST, MOST = 200, 20_000  # gaps that a fit needs, and takes
DEAR = (1.0, 1.0, 1.0, 1.3)  # base, prefill tokens, sequences, KV tokens: how much more each is to tell
FLAT, FEW = (1, 2, 4, 6, 8, 12), 60  # numbers of sequences to try, and steps that are enough
NOTICED = 0.999  # the same, of one small move
WORTH = 0.99  # of what is missed, below which something tells more
TRIMMED = 0.1
AWAY = 3.0  # times as long as usual: no step that was seen whole, or a client that was away
ALONE = 3  # requests that had an idle engine to themselves, from which on they count
QUARTER = 4  # of these, the one that a quarter was quicker than: an engine's first requests are slow
QUICKEST = 50  # of so many requests, the one that waited least
RESAMPLES, SAMPLED = 40, 1500  # for the intervals of a profile's parts; gaps of each
NAMES = ("base", "prefill_token", "sequence", "kv_token")
TRIED, FARTHEST = 4000, 2.0  # steps by which the neighbours' share is found, and the most that is believed


def fitted(records: Sequence[RequestRecord], source: str = "", seed: int = 0) -> EngineProfile | None:
    """The profile of the one engine that answered; None where there are too few tokens to tell."""
    return fitted_to(gaps(records), records, source, seed)


def fitted_to(
    seen: list[Gap], records: Sequence[RequestRecord], source: str = "", seed: int = 0
) -> EngineProfile | None:
    """The same of gaps of several runs; records: of one of them, for what is beside the engine's steps."""
    if len(seen) < LEAST:
        return None
    random = Random(seed)
    kept = random.sample(seen, min(MOST, len(seen)))
    fifth = len(kept) // 5
    shared = _shared(kept[fifth:])
    flat = _alone(kept[fifth:], shared)
    fit = _Flat(flat)
    times = _in_all(flat, fit)
    held = _alone(kept[:fifth], shared)
    error = median(abs(times * fit.predicted(gap) / gap.seconds - 1) for gap in held)
    base, prefill, sequence, kv = (times * part for part in fit.parts)
    least = times * fit.seconds
    profile = EngineProfile(base, prefill, sequence, kv, shared=round(shared, 4), least=least)
    return replace(profile, overhead=_overhead(records, profile), error=round(error, 4), source=source)


def intervals(seen: Sequence[Gap], seed: int = 0) -> dict[str, tuple[float, float]]:
    """Where each part of a profile lies at 95 %: fits to gaps that are drawn again and again. Empty for too
    few."""
    if len(seen) < LEAST:
        return {}
    random = Random(f"{seed}/intervals")
    some = random.sample(seen, min(MOST, len(seen)))
    shared = _shared(some)
    seen = _Flat(_alone(some, shared)).others(_alone(seen, shared))
    fits = [_trimmed(random.choices(seen, k=min(SAMPLED, len(seen)))) for _ in range(RESAMPLES)]
    edge = RESAMPLES // 40
    ordered = [sorted(parts) for parts in zip(*fits, strict=True)]
    return {name: (part[edge], part[-1 - edge]) for name, part in zip(NAMES, ordered, strict=True)}


def _in_all(seen: Sequence[Gap], fit: "_Flat") -> float:
    """How many times as long all steps together took as by the fit, which is of usual ones: who waits for an
    answer waits for the slow ones too."""
    pairs = [(gap.seconds, fit.predicted(gap)) for gap in seen]
    usual = [(seconds, by) for seconds, by in pairs if seconds < AWAY * by]
    return sum(seconds for seconds, _ in usual) / sum(by for _, by in usual) if usual else 1.0


def _shared(seen: Sequence[Gap]) -> float:
    """By what share each neighbour that is busy makes a step longer."""
    shared, step = 0.0, 0.1
    some = seen[:TRIED]
    while step > 0.005 and shared < FARTHEST and any(gap.others for gap in some):
        near = [one for one in (shared - step, shared, shared + step) if one >= 0]
        missed = {one: _off(_alone(some, one)) for one in near}
        best = min(near, key=lambda one: missed[one])
        if missed[best] > NOTICED * missed[shared]:
            best = shared  # where all are always busy, one share fits as well as another
        shared, step = best, step / 2 if best == shared else step
    return shared if shared < FARTHEST else 0.0


def _off(seen: Sequence[Gap]) -> float:
    """By what share the best fit misses them, on average; none by more than by all of it."""
    parts = _trimmed(seen)
    return sum(min(1.0, abs(_predicted(parts, gap) / gap.seconds - 1)) for gap in seen)


def _alone(seen: Sequence[Gap], shared: float) -> list[Gap]:
    """The steps as long as they would have been without neighbours."""
    if not shared:
        return list(seen)
    return [
        replace(gap, seconds=gap.seconds / (1 + shared * gap.others)) if gap.others else gap for gap in seen
    ]


def _trimmed(seen: Sequence[Gap]) -> list[float]:
    """A fit, and another one without what the first misses most."""
    first = _fit(seen)
    seen = sorted(seen, key=lambda gap: abs(_predicted(first, gap) / gap.seconds - 1))
    return _fit(seen[: int(len(seen) * (1 - TRIMMED))])


def _fit(seen: Sequence[Gap]) -> list[float]:
    found = positive([(gap.row, gap.seconds) for gap in seen], DEAR)
    return found or [median(gap.seconds for gap in seen), 0.0, 0.0, 0.0]


class _Flat:
    """Up to how many sequences a step of decoding takes as long as with one, and how long: where that tells
    more than a line alone. parts: of all other steps."""

    def __init__(self, seen: Sequence[Gap]) -> None:
        some = seen[:TRIED]
        self.upto, self.seconds, self.parts = 0, 0.0, _trimmed(some)
        missed = self._missed(some)
        for upto in FLAT:
            few = [gap.seconds for gap in some if not gap.prefill and gap.sequences <= upto]
            rest = [gap for gap in some if gap.prefill or gap.sequences > upto]
            if len(few) < FEW or len(rest) < FEW:
                continue
            before = self.upto, self.seconds, self.parts
            self.upto, self.seconds, self.parts = upto, median(few), _trimmed(rest)
            now = self._missed(some)
            if now < missed * WORTH:
                missed = now
            else:
                self.upto, self.seconds, self.parts = before
        if len(seen) > len(some):
            self.parts = _trimmed(self.others(seen))

    def others(self, seen: Sequence[Gap]) -> list[Gap]:
        """The steps that are not flat."""
        return [gap for gap in seen if gap.prefill or gap.sequences > self.upto]

    def predicted(self, gap: Gap) -> float:
        """How long a step takes by this."""
        return max(self.seconds, _predicted(self.parts, gap))

    def _missed(self, seen: Sequence[Gap]) -> float:
        return sum(min(1.0, abs(self.predicted(gap) / gap.seconds - 1)) for gap in seen)


def _predicted(parts: Sequence[float], gap: Gap) -> float:
    return sum(part * value for part, value in zip(parts, gap.row, strict=True))


def _overhead(records: Sequence[RequestRecord], profile: EngineProfile) -> float:
    """What a first token takes beyond one step that reads its prompt: the lower quartile of those who had an
    idle engine to themselves; where none did, of the quickest, which waited for nobody."""
    over: list[float] = []
    alone: list[float] = []
    for one in by_replica(records):
        _beyond(one, profile, over, alone)
    if len(alone) >= ALONE:
        return max(0.0, sorted(alone)[len(alone) // QUARTER])
    return max(0.0, sorted(over)[len(over) // QUICKEST]) if over else 0.0


def _beyond(
    records: Sequence[RequestRecord], profile: EngineProfile, over: list[float], alone: list[float]
) -> None:
    """Adds what the first tokens of one engine took beyond their steps; alone: while nobody else was
    there."""
    sent = sorted((one for one in records if one.sent is not None), key=when)
    busy = 0.0
    following = [*(when(one) for one in sent[1:]), math.inf]
    for one, after in zip(sent, following, strict=True):
        assert one.sent is not None
        if one.times and one.input:
            read = profile.seconds(one.input - (one.cached or 0), 1, one.input)
            over.append(one.times[0] - one.sent - read)
            if one.sent >= busy and after > one.times[0]:
                alone.append(over[-1])
        busy = max(busy, one.last if one.last is not None else one.sent)
