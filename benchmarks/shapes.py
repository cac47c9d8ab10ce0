"""How near the plan's parameters come to a model's own, and whether its band holds.

    python -m benchmarks.shapes FOLDER       a folder with `parameters.tsv` and a folder with config.json a
    row

Each row: planned, the band that the plan states, true, the error. The totals are of all rows; a config that
is refused counts as wrong, and as outside its band where it is refused by a traceback.
"""

from __future__ import annotations

import csv
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from stoker.errors import StokerError
from stoker.model.files import ModelFiles
from stoker.model.shape import read_shape


@dataclass(frozen=True)
class Row:
    """One config: what was planned, the band as a share of it, and what is true. `why`: it was refused."""

    name: str
    planned: int
    band: float
    true: int
    seconds: float
    why: str = ""

    @property
    def error(self) -> float:
        """Relative to the true count."""
        return self.planned / self.true - 1

    @property
    def near(self) -> bool:
        """Whether it is within one percent."""
        return not self.why and abs(self.error) <= 0.01

    @property
    def inside(self) -> bool:
        """Whether the true count is within the stated band."""
        return not self.why and abs(self.planned - self.true) <= self.band * self.planned


def rows(folder: Path) -> list[Row]:
    """Every config of the table, in its order."""
    with (folder / "parameters.tsv").open(encoding="utf-8") as lines:
        return [
            row(folder, one["folder"], int(one["parameters"]))
            for one in csv.DictReader(lines, delimiter="\t")
        ]


def row(folder: Path, name: str, true: int) -> Row:
    """One config."""
    config = json.loads((folder / name / "config.json").read_text(encoding="utf-8"))
    began = time.process_time()
    try:
        shape = read_shape(ModelFiles(config, {}))
    except StokerError as error:
        return Row(
            name, 0, 0.0, true, time.process_time() - began, f"{error.finding.what}: {error.finding.why}"
        )
    return Row(name, shape.parameters, shape.band, true, time.process_time() - began)


def main(folder: Path) -> int:
    """Prints a row a config, and the totals."""
    found = rows(folder)
    for one in found:
        mark = "ok   " if one.near else "IN   " if one.inside else "OUT  "
        said = one.why or f"{one.planned:>18,} +-{one.band:6.1%} for {one.true:>18,}  {one.error:+9.2%}"
        print(f"  {mark} {one.name:42} {said}")
    near, inside = sum(one.near for one in found), sum(one.inside for one in found)
    refused = sum(bool(one.why) for one in found)
    sure = sum(not one.why and one.band <= 0.01 for one in found)
    print(f"{near} of {len(found)} within 1 %, {len(found) - inside} outside their band ({refused} refused)")
    print(f"{sure} said to be sure; slowest {max(one.seconds for one in found):.3f} s")
    return 0 if near >= 0.95 * len(found) and inside == len(found) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
