"""`python -m benchmarks.hpa_oracle FILE.jsonl`: the oracle against recorded or random sequences; exits 1
where one differs."""

import argparse
import json
import sys
from pathlib import Path

from benchmarks.hpa_oracle.recorded import moments, replay


def main() -> int:
    """Prints a line for each sequence, and one for each difference."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("file", type=Path)
    options.add_argument("--quiet", action="store_true", help="only sequences that differ, and the sum")
    given = options.parse_args()
    equal = sequences = 0
    with given.file.open(encoding="utf-8") as lines:
        for line in lines:
            sequence = json.loads(line)
            found = replay(sequence)
            sequences += 1
            equal += not found
            if found or not given.quiet:
                listed, all_of_them = len(sequence["syncs"]), len(list(moments(sequence)))
                how = f"{len(found)} differences" if found else "equal"
                print(f"{sequence['id']:<24} {listed:>3} syncs, {all_of_them - listed} unlisted: {how}")
            for difference in found:
                print(f"  {difference}")
    print(f"{equal} of {sequences} sequences equal")
    return 0 if equal == sequences else 1


if __name__ == "__main__":
    sys.exit(main())
