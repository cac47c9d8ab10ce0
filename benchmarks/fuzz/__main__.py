"""The command: runs cases, prints what failed with the number that makes it again, exits 1 where anything
did."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks.fuzz import __doc__ as about
from benchmarks.fuzz.kinds import KINDS, run
from benchmarks.fuzz.pool import Ended, cores, ended


def main() -> int:
    """Runs, and prints how it went."""
    words = argparse.ArgumentParser(
        prog="python -m benchmarks.fuzz", description=(about or "").splitlines()[0]
    )
    words.add_argument("--count", type=int, default=10_000, help="cases in all")
    words.add_argument("--seconds", type=float, help="how long, instead of a count")
    words.add_argument("--seed", type=int, default=0, help="the number of the first case")
    words.add_argument("--kinds", default=",".join(KINDS), help="of which kinds, by commas")
    words.add_argument("--processes", type=int, default=cores(), help="children at once")
    words.add_argument("--case", metavar="KIND:NUMBER", help="one case again, in this process")
    words.add_argument("--failed", type=Path, help="a file for what failed: a line each")
    asked = words.parse_args()
    os.environ |= {
        "STOKER_HOME": tempfile.mkdtemp(prefix="fuzz-home-"),
        "STOKER_OFFLINE": "1",
        "NO_COLOR": "1",
    }
    if asked.case:
        kind, _, number = asked.case.partition(":")
        print(run(kind, int(number)) or "ok")
        return 0
    kinds = asked.kinds.split(",")
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        words.error(f"unknown kind {unknown[0]}; known: {', '.join(KINDS)}")
    until = time.monotonic() + asked.seconds if asked.seconds else None
    cases = _cases(kinds, asked.seed, None if until else asked.count, until)
    return report(ended(cases, asked.processes), asked.failed)


def _cases(kinds: list[str], seed: int, count: int | None, until: float | None) -> Iterator[tuple[str, int]]:
    for index in itertools.count():
        if (count is not None and index >= count) or (until is not None and time.monotonic() > until):
            return
        yield kinds[index % len(kinds)], seed + index // len(kinds)


def _until_interrupted(ends: Iterator[Ended]) -> Iterator[Ended]:
    """Ctrl-C ends the run, not the report."""
    with contextlib.suppress(KeyboardInterrupt):
        yield from ends


def report(ends: Iterator[Ended], failed: Path | None) -> int:
    """Prints each kind of failure once, with a case of it, and the sums. Returns the exit code."""
    counts: Counter[str] = Counter()
    slowest: dict[str, Ended] = {}
    largest: dict[str, Ended] = {}
    found: dict[str, list[Ended]] = {}
    for one in _until_interrupted(ends):
        counts[one.kind] += 1
        slowest[one.kind] = max(one, slowest.get(one.kind, one), key=lambda end: end.seconds)
        largest[one.kind] = max(one, largest.get(one.kind, one), key=lambda end: end.megabytes)
        if one.wrong:
            known = found.setdefault(f"{one.kind}: {one.wrong.rpartition(' at ')[2]}", [])
            known.append(one)
            if len(known) == 1:
                print(f"{one.kind}:{one.number}  {one.wrong}", flush=True)
            if failed:
                with failed.open("a") as file:
                    print(f"{one.kind}:{one.number}\t{one.wrong}", file=file)
    for kind, count in counts.items():
        slow, large = slowest[kind], largest[kind]
        print(
            f"{kind:10} {count:7,} cases, "
            f"{sum(len(f) for k, f in found.items() if k.startswith(f'{kind}:')):5,} failed; "
            f"slowest {slow.seconds:.2f} s ({kind}:{slow.number}), most memory {large.megabytes:.0f} MB "
            f"({kind}:{large.number})"
        )
    print(f"{counts.total():,} cases, {sum(map(len, found.values())):,} failed, {len(found)} ways")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
