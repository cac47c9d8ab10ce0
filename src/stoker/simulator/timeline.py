"""A simulated fleet moment by moment, in the points of a measured one."""

from __future__ import annotations

from dataclasses import dataclass, field

from stoker.fleet.points import Point
from stoker.simulator.fleet import Fleet
from stoker.traffic.run import Moment

MOMENTS = 600  # of a simulation, at most
EACH = 12  # replicas that get a point of their own


@dataclass(slots=True)
class Timeline:
    """Collects them. Figures of engines that are gone count on."""

    moments: list[Moment] = field(default_factory=list)
    _before: tuple[float, int, int, int] = (0.0, 0, 0, 0)

    def look(self, fleet: Fleet, now: float) -> None:
        """One moment."""
        for pod in fleet.pods:
            if pod.engine is not None:
                pod.engine.look(now)
        engines = [(pod, pod.engine) for pod in fleet.pods if pod.engine is not None]
        every = [one for pod in (*fleet.pods, *fleet.gone) for one in pod.engines]
        generated, prompts = sum(one.generated for one in every), sum(one.prompts for one in every)
        preempted = sum(one.preemptions for one in every)
        at, *earlier = self._before
        took = now - at
        rates = [
            (new - old) / took if took else None
            for new, old in zip((generated, prompts, preempted), earlier, strict=True)
        ]
        self._before = now, generated, prompts, preempted
        usage = [one.state.blocks.usage for _, one in engines]
        whole = Point(
            now,
            ready=len(fleet.ready),
            wanted=fleet.wanted,
            running=sum(one.running for _, one in engines),
            waiting=sum(one.waiting for _, one in engines) + len(fleet.waiting),
            kv_cache_usage=sum(usage) / len(usage) if usage else None,
            generation_tokens_rate=rates[0],
            prompt_tokens_rate=rates[1],
            preemptions_rate=rates[2],
        )
        each = tuple(
            Point(
                now,
                pod.id,
                running=one.running,
                waiting=one.waiting,
                kv_cache_usage=one.state.blocks.usage,
            )
            for pod, one in engines[:EACH]
        )
        self.moments.append(Moment(now, whole, each))
