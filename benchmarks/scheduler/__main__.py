"""Our scheduler against vLLM's own class, in this environment's vLLM.

    python -m benchmarks.scheduler [--count 10000] [--first 0]

Every workload is a random engine with random requests. A step is the same if its requests, their order and
tokens, the preempted, the prefix hits and the finished are the same. Target: 100 %. Prints both classes'
steps per second, the requests as small as the workloads are.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.scheduler.driving import Drive, difference
from benchmarks.scheduler.ours import Ours
from benchmarks.scheduler.theirs import Theirs
from benchmarks.scheduler.workloads import make


def pair(seed: int) -> tuple[Drive, Drive]:
    """The workload of a seed on both."""
    workload = make(seed)
    return Drive(Ours(workload), workload).run(), Drive(Theirs(workload.limits), workload).run()


def main() -> int:
    """Prints what differs, and the sums."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    asked = parser.parse_args()
    steps = same = entries = identical = 0
    seconds = [0.0, 0.0]
    for seed in range(asked.first, asked.first + asked.count):
        ours, theirs = pair(seed)
        told = difference(ours, theirs)
        if told:
            print(told, flush=True)
        identical += told is None
        steps += theirs.steps
        entries += max(len(ours.seen), len(theirs.seen))
        same += sum(one == other for one, other in zip(ours.seen, theirs.seen, strict=False))
        seconds[0] += ours.seconds
        seconds[1] += theirs.seconds
    print(f"{identical:,} of {asked.count:,} workloads the same, {steps:,} steps", end=", ")
    print(f"{100 * same / entries:.4f} % of all that was compared")
    print(f"steps/s  ours {steps / seconds[0]:,.0f}   vLLM's {steps / seconds[1]:,.0f}", end="   ")
    print(f"ratio {seconds[1] / seconds[0]:.1f}")
    return int(identical < asked.count)


if __name__ == "__main__":
    sys.exit(main())
