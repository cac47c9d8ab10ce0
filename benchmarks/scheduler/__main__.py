"""Our scheduler against vLLM's own class, in this environment's vLLM.

    python -m benchmarks.scheduler [--count 10000] [--first 0]
    python -m benchmarks.scheduler --large --count 25   engines and requests of usual sizes
    python -m benchmarks.scheduler --requests 20000     ours alone, on a virtual clock

Every workload is a random engine with random requests. A step is the same if its requests, their order and
tokens, the preempted, the prefix hits and the finished are the same. Target: 100 %. Prints both classes'
steps per second, the requests as small as the workloads are.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

from benchmarks.scheduler import large, speed, workloads
from benchmarks.scheduler.driving import Drive, Made, difference
from benchmarks.scheduler.ours import Ours
from benchmarks.scheduler.theirs import Theirs
from benchmarks.scheduler.workloads import Workload


def pair(workload: Workload) -> tuple[Drive, Drive]:
    """A workload on both."""
    return Drive(Ours(workload), workload).run(), Drive(Theirs(workload.limits), workload).run()


@dataclass
class Sums:
    """Of all workloads: how many are the same, and how many steps; what happened in them; seconds."""

    count: int = 0
    identical: int = 0
    steps: int = 0
    same: int = 0
    preempted: int = 0
    spared: int = 0
    ours: float = 0.0
    theirs: float = 0.0

    def add(self, ours: Drive, theirs: Drive) -> None:
        """One workload more; what differs is printed."""
        told = difference(ours, theirs)
        if told:
            print(told, flush=True)
        self.count += 1
        self.identical += told is None
        self.ours += ours.seconds
        self.theirs += theirs.seconds
        made = [one for one in theirs.seen if isinstance(one, Made)]
        self.steps += len(made)
        mine = [one for one in ours.seen if isinstance(one, Made)]
        self.same += sum(one == other for one, other in zip(mine, made, strict=False))
        self.preempted += sum(len(one.preempted) for one in made)
        self.spared += sum(tokens > 0 for one in made for _, tokens in one.admitted)

    def told(self) -> str:
        """In three lines."""
        return (
            f"{self.identical:,} of {self.count:,} workloads, {100 * self.same / self.steps:.4f} % of "
            f"{self.steps:,} steps the same\n"
            f"with {self.preempted:,} preemptions and {self.spared:,} prefix hits\n"
            f"steps/s: ours {self.steps / self.ours:,.0f}, vLLM's {self.steps / self.theirs:,.0f}, "
            f"ratio {self.theirs / self.ours:.1f}"
        )


def main() -> int:
    """Prints what differs, and the sums."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--requests", type=int)
    asked = parser.parse_args()
    if asked.requests:
        speed.main(asked.requests)
        return 0
    sums = Sums()
    for seed in range(asked.first, asked.first + asked.count):
        sums.add(*pair(large.make(seed) if asked.large else workloads.make(seed)))
        if sums.count % 1000 == 0 or sums.count == asked.count:
            print(sums.told(), flush=True)
    return int(sums.identical < sums.count)


if __name__ == "__main__":
    sys.exit(main())
