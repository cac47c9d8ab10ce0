"""An engine's profile out of what clients saw: the time between two tokens of a stream is a step of its
engine, and what the step computed follows from the other streams.

Of several replicas each by itself, where the endpoint says which one answered. Least squares with no
negative part, fitted to four fifths of the gaps, without the tenth that it misses most (a client that was
late), and held against the last fifth.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from random import Random
from statistics import median

from stoker.engine.profile import EngineProfile
from stoker.traffic.gaps import Gap, by_replica, gaps, when
from stoker.traffic.records import RequestRecord

LEAST, MOST = 200, 20_000  # gaps that a fit needs, and takes
PARTS = 4  # base, prefill tokens, sequences, KV tokens
TRIMMED = 0.1
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
    shared, parts = _shared(kept[fifth:])
    flat = _alone(kept[:fifth], shared)
    error = median(abs(_predicted(parts, gap) - gap.seconds) / gap.seconds for gap in flat)
    base, prefill, sequence, kv = parts
    profile = EngineProfile(base, prefill, sequence, kv, shared=round(shared, 4))
    return replace(profile, overhead=_overhead(records, profile), error=round(error, 4), source=source)


def intervals(seen: Sequence[Gap], seed: int = 0) -> dict[str, tuple[float, float]]:
    """Where each part of a profile lies at 95 %: fits to gaps that are drawn again and again. Empty for too
    few."""
    if len(seen) < LEAST:
        return {}
    random = Random(f"{seed}/intervals")
    seen = _alone(seen, _shared(random.sample(seen, min(MOST, len(seen))))[0])
    fits = [_trimmed(random.choices(seen, k=min(SAMPLED, len(seen)))) for _ in range(RESAMPLES)]
    edge = RESAMPLES // 40
    ordered = [sorted(parts) for parts in zip(*fits, strict=True)]
    return {name: (part[edge], part[-1 - edge]) for name, part in zip(NAMES, ordered, strict=True)}


def _shared(seen: Sequence[Gap]) -> tuple[float, list[float]]:
    """By what share each neighbour that is busy makes a step longer, and the fit without that."""
    shared, step = 0.0, 0.1
    some = seen[:TRIED]
    while step > 0.005 and shared < FARTHEST and any(gap.others for gap in some):
        near = [one for one in (shared - step, shared, shared + step) if one >= 0]
        best = min(near, key=lambda one: _off(_alone(some, one)))
        shared, step = best, step / 2 if best == shared else step
    shared = shared if shared < FARTHEST else 0.0
    return shared, _trimmed(_alone(seen, shared))


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
    seen = sorted(seen, key=lambda gap: abs(_predicted(first, gap) - gap.seconds))
    return _fit(seen[: int(len(seen) * (1 - TRIMMED))])


def _fit(seen: Sequence[Gap]) -> list[float]:
    """The best of all fits that leave some parts at zero and have none below it."""
    rows = [(gap.row, gap.seconds) for gap in seen]
    left = [[sum(row[a] * row[b] for row, _ in rows) for b in range(PARTS)] for a in range(PARTS)]
    right = [sum(row[a] * seconds for row, seconds in rows) for a in range(PARTS)]
    best: list[float] | None = None
    least = float("inf")
    for size in range(1, PARTS + 1):
        for chosen in combinations(range(PARTS), size):
            solved = _solved([[left[a][b] for b in chosen] for a in chosen], [right[a] for a in chosen])
            if solved is None or min(solved) < 0:
                continue
            parts = [0.0] * PARTS
            for place, value in zip(chosen, solved, strict=True):
                parts[place] = value
            missed = _missed(parts, left, right)
            if missed < least:
                best, least = parts, missed
    return best or [median(seconds for _, seconds in rows), 0.0, 0.0, 0.0]


def _missed(parts: Sequence[float], left: list[list[float]], right: list[float]) -> float:
    """The sum of squares that is missed, but for a constant."""
    quadratic = sum(parts[a] * parts[b] * left[a][b] for a in range(PARTS) for b in range(PARTS))
    return quadratic - 2 * sum(part * value for part, value in zip(parts, right, strict=True))


def _solved(matrix: list[list[float]], vector: list[float]) -> list[float] | None:
    """A small system of equations, by elimination; None for one that has no single answer."""
    size = len(vector)
    scale = [matrix[n][n] ** 0.5 or 1.0 for n in range(size)]  # parts differ by many orders of magnitude
    rows = [
        [matrix[a][b] / scale[a] / scale[b] for b in range(size)] + [vector[a] / scale[a]]
        for a in range(size)
    ]
    for n in range(size):
        pivot = max(range(n, size), key=lambda row: abs(rows[row][n]))
        if abs(rows[pivot][n]) < 1e-9:
            return None
        rows[n], rows[pivot] = rows[pivot], rows[n]
        for other in range(size):
            if other != n and rows[other][n]:
                factor = rows[other][n] / rows[n][n]
                rows[other] = [a - factor * b for a, b in zip(rows[other], rows[n], strict=True)]
    return [rows[n][size] / rows[n][n] / scale[n] for n in range(size)]


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
