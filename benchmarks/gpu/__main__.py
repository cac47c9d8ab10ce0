"""One run on a machine with a GPU: what users do, and then the figures that the plan has only by derivation.

    python -m benchmarks.gpu --out DIR                 everything, 15 minutes at most
    python -m benchmarks.gpu --out DIR --only users    doctor, plan, up to Ready, chat, scale, down
    python -m benchmarks.gpu --out DIR --only NAME …   single engines, by name
    python -m benchmarks.gpu --out DIR --dry-run       on any machine: users' steps on a simulated fleet, and
                                                       the plan of every engine; nothing is measured

What it needs: vLLM and Stoker in this Python, one GPU of 40 GiB or more, no network and no weights. Users'
model is written here, with weights of one small number and a tokenizer of bytes; engines are started with
dummy weights. `--only users --small` goes as far with a CPU's vLLM (two minutes on two cores).

What it measures, in this order, so that what is cut by the limit matters least:
1. users: `doctor`, `plan`, `up -d` to Ready, the first and the second chat, `scale` to 0 and back, `down`:
   seconds, exit code, and whether the plan's release is the installed one;
2. engines, one process each, their bytes read off vLLM's own worker: a dense model compiled cold and then
   warm (what does compiling take?), experts compiled (graphs and activations of 0.26 and later), hybrids with
   Mamba 2 and with a gated delta net (in which dtype is a state kept?), sliding windows, a latent; of each
   the first request of 8 tokens and the second (what does a cold kernel cost?).

`results.json` holds all of it, `table.txt` the measured figures beside the plan's, each with the plan's band,
`logs/` what each process said. The figures of a run belong into docs/explanation/memory.md and, as rows, into
the table that `benchmarks/memory.py` reads. An engine gets its cap and the whole run LIMIT: what does not
fit is named, not begun.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.gpu import engines, table, users
from benchmarks.gpu.cases import CASES, Case
from benchmarks.gpu.folder import ONE_B, SMALL

LIMIT = 870.0  # seconds for everything: a quarter of an hour, less what the machine takes itself
USERS = 290.0  # of these for what users do, at most
RESERVE = 15.0


def main(argv: list[str] | None = None) -> int:
    """Runs what was asked, and writes it down as it goes."""
    asked = _parser().parse_args(argv)
    out = Path(asked.out)
    (out / "logs").mkdir(parents=True, exist_ok=True)
    clock = Clock(asked.limit)
    found: dict[str, Any] = {
        "dry_run": asked.dry_run,
        "machine": engines.machine(),
        "users": [],
        "engines": [],
    }
    shape = SMALL if asked.small else ONE_B
    if not asked.only or "users" in asked.only:
        for row in users.steps(out, shape, clock.left(USERS), dry=asked.dry_run):
            found["users"].append(row)
            _write(out, found)
    for case in CASES:
        if not asked.only or case.name in asked.only:
            found["engines"].append(_engine(case, out, asked, clock, found["machine"]))
            _write(out, found)
    sys.stdout.write((out / "table.txt").read_text(encoding="utf-8"))
    return 0 if all(row.get("ok") for row in (*found["users"], *found["engines"])) else 1


def _engine(
    case: Case, out: Path, asked: argparse.Namespace, clock: "Clock", here: dict[str, Any]
) -> dict[str, Any]:
    row: dict[str, Any] = {"name": case.name, "planned": engines.planned(case, asked.gpu, here)}
    if asked.dry_run:
        return row | {"ok": True}
    if clock.left(case.cap) < case.cap:
        return row | {"ok": False, "error": f"not begun: {case.cap:.0f} s do not fit into what is left"}
    return row | engines.measured(case, out, clock.left(case.cap))


def _write(out: Path, found: dict[str, Any]) -> None:
    (out / "results.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    (out / "table.txt").write_text(table.text(found), encoding="utf-8")


class Clock:
    """What is left of the run."""

    def __init__(self, limit: float) -> None:
        self._end = time.monotonic() + limit

    def left(self, most: float) -> float:
        """Seconds that a part may take: `most`, or what is left."""
        return max(0.0, min(most, self._end - RESERVE - time.monotonic()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="benchmarks.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", required=True, help="a folder for the results")
    parser.add_argument("--only", nargs="*", default=[], choices=["users", *(case.name for case in CASES)])
    parser.add_argument(
        "--small", action="store_true", help="a model of two layers for users' steps, as for a CPU"
    )
    parser.add_argument(
        "--gpu", default="", help="the GPU to plan for, by its catalog name; else the one that is here"
    )
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds for everything")
    parser.add_argument("--dry-run", action="store_true", help="no engine and no GPU: steps and plans alone")
    return parser


if __name__ == "__main__":
    sys.exit(main())
