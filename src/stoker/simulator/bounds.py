"""Bounds that need no simulation: how many requests a workload brings, and how few replicas cannot do."""

from __future__ import annotations

import math
from itertools import islice

from stoker.simulator.scenario import Scenario
from stoker.traffic.arrivals import ClosedLoop, OpenLoop
from stoker.traffic.workload import Recorded, Workload, sessions

LOOKED_AT = 2000  # conversations that stand for all


def expected(workload: Workload) -> float:
    """About how many conversations it brings; infinite where only the fleet's pace decides."""
    if workload.limit is not None:
        return float(workload.limit)
    if isinstance(workload.prompts, Recorded):
        return float(len(workload.prompts.rows))
    if isinstance(workload.arrivals, OpenLoop) and workload.duration < math.inf:
        left, count = workload.duration, 0.0
        for piece in workload.arrivals.pieces:
            part = min(left, piece.seconds)
            rise = (piece.high - piece.low) / piece.seconds if piece.seconds < math.inf else 0.0
            count += part * (2 * piece.low + rise * part) / 2
            left -= part
        return count + max(0.0, left) * workload.arrivals.pieces[-1].high
    return math.inf


def least_replicas(scenario: Scenario) -> int:
    """Fewer than so many cannot compute the traffic at its mean rate, whatever they have at once: the parts
    of a step that grow with its work alone, and no waiting. At least 1."""
    workload = scenario.workload
    if isinstance(workload.arrivals, ClosedLoop):
        return 1
    seen = list(islice(sessions(workload), LOOKED_AT))
    if not seen or seen[-1].at is None:
        return 1
    span = (seen[-1].at or 0.0) - (seen[0].at or 0.0)
    if span <= 0:
        return 1
    pace, work = scenario.profile, 0.0
    for session in seen:
        said = 0
        for turn in session.turns:
            output = turn.output or 1
            prompt = said + turn.input
            fresh = turn.input if session.turns[1:] or len(turn.parts) > 1 else prompt
            work += max(0, fresh - pace.prefill_free) * pace.prefill_token * (len(turn.parts) < 2)
            work += output * (pace.sequence + (prompt + output / 2) * pace.kv_token)
            said = prompt + output
    return max(1, math.floor(0.8 * work / span))
