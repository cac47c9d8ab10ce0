"""How many reported deaths of engines are explained rightly.

    python -m benchmarks.causes FOLDER

reads every log of a folder (NAME.log), and says of each whether the likeliest cause and its fix say what
`causes.toml` asks of them. Exit code 1 where one does not, or has no row there.
"""

import re
import sys
import time
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from stoker.engine.last_error import last_error
from stoker.findings import Finding

TABLE = Path(__file__).with_name("causes.toml")


def faults(found: Finding, row: Mapping[str, Sequence[str]]) -> list[str]:
    """What an answer lacks, or says and should not; none where it is right."""
    text = "\n".join((found.what, found.why, found.fix))
    missing = [f"lacks {one!r}" for one in row.get("said", ()) if not re.search(one, text, re.I)]
    return missing + [f"says {one!r}" for one in row.get("never", ()) if re.search(one, text, re.I)]


def main(folder: Path, table: Path = TABLE) -> int:
    """Prints a line a log, and the sum; the exit code."""
    rows = tomllib.loads(table.read_text(encoding="utf-8"))
    right, logs, began = 0, sorted(folder.glob("*.log")), time.perf_counter()
    for path in logs:
        found = last_error(path.read_text(encoding="utf-8", errors="replace").splitlines())
        wrong = faults(found, rows[path.stem]) if path.stem in rows else ["no row says what is right"]
        right += not wrong
        print(f"{'right' if not wrong else 'WRONG'}  {path.stem:<28} {found.rule:<20} {found.what[:150]}")
        if wrong:
            print(f"       {'; '.join(wrong)}; fix: {found.fix[:120]}")
    print(f"{right} of {len(logs)} right, {time.perf_counter() - began:.1f} s")
    return 0 if right == len(logs) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *map(Path, sys.argv[2:])))
