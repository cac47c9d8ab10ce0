"""Decisions of the policy against recorded ones of a real controller: `python -m benchmarks.hpa FILE.jsonl`.

A line is one sequence: an HPA's spec, and at each sync what was fed, the pods, and what the controller
decided and wrote. Prints where the policy differs, and exits 1 if anywhere.

`--random N` compares it in N random sequences with an oracle that was written from the controller's source
and recordings alone (`benchmarks.hpa_oracle`). With neither it measures decisions a minute on one core.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.hpa_oracle import random
from benchmarks.hpa_replay import Difference, replay
from benchmarks.hpa_speed import speed


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hpa", description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, help="recorded sequences, one JSON object a line")
    parser.add_argument(
        "--random", type=int, default=0, metavar="N", help="so many sequences of the oracle's"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the random sequences")
    parser.add_argument("--quiet", action="store_true", help="print the total alone")
    asked = parser.parse_args()
    if asked.random:
        return _compare(random.sequences(asked.random, asked.seed), asked.quiet)
    return speed() if asked.file is None else _compare(_read(asked.file), asked.quiet)


def _compare(recorded: Iterable[dict[str, Any]], quiet: bool) -> int:
    sequences = decisions = 0
    wrong: list[Difference] = []
    began = time.perf_counter()
    for sequence in recorded:
        found = list(replay(sequence))
        sequences, decisions = sequences + 1, decisions + len(found)
        differ = [one for syncs in found for one in syncs]
        wrong += differ
        for one in () if quiet else differ:
            print(one)
    seconds = time.perf_counter() - began
    sure = len({(one.sequence, one.sync) for one in wrong})
    print(
        f"{sequences:,} sequences, {decisions:,} decisions: {decisions - sure:,} equal "
        f"({100 * (decisions - sure) / max(1, decisions):.2f} %) in decision, figures, conditions and "
        f"reasons, {seconds:.1f} s"
    )
    return 1 if wrong or not decisions else 0


def _read(file: Path) -> Iterator[dict[str, Any]]:
    with file.open() as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


if __name__ == "__main__":
    sys.exit(main())
