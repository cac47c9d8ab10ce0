"""How many manifests and dashboards `stoker lint` judges rightly.

    python -m benchmarks.lint FOLDER

runs every case of a folder that `lint.toml` has a row for (a file, or a folder that is read as a whole), and
says of each whether it finds what is wrong, and nothing else. Exit code 1 where one does not, or where a
manifest has no row.
"""

import json
import re
import shutil
import sys
import tempfile
import time
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from stoker.cli.lint import command

TABLE = Path(__file__).with_name("lint.toml")
Found = Sequence[Mapping[str, str]]


def found(path: Path, *options: str) -> Found:
    """What lint says of a file or a folder."""
    ran = CliRunner().invoke(command, [str(path), "-o", "json", *options])
    if ran.exception is not None and not isinstance(ran.exception, SystemExit):
        return [{"rule": "crash", "severity": "error", "what": repr(ran.exception), "why": "", "fix": ""}]
    out: Found = json.loads(ran.stdout)
    return out


def faults(said: Found, row: Mapping[str, Any]) -> list[str]:
    """What an answer lacks, or says and should not; none where it is right.

    `rules`: the rules of all errors and warnings. `said`, `never`: patterns of what every finding together
    says.
    """
    rules = {one["rule"].removeprefix("lint-") for one in said if one["severity"] != "note"}
    wanted = set(row.get("rules", ()))
    text = "\n".join(" ".join((one["rule"], one["what"], one["why"], one["fix"])) for one in said)
    out = [f"silent: {one}" for one in sorted(wanted - rules)] + [
        f"false: {one}" for one in sorted(rules - wanted)
    ]
    out += [f"lacks {one!r}" for one in row.get("said", ()) if not re.search(one, text, re.I)]
    return out + [f"says {one!r}" for one in row.get("never", ()) if re.search(one, text, re.I)]


def mended(path: Path, row: Mapping[str, Any]) -> list[str]:
    """What `--fix` does not write, or writes and should not."""
    if "fixed" not in row and "kept" not in row:
        return []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        shutil.copy(path, copy)
        found(copy, "--fix")
        text = copy.read_text(encoding="utf-8")
    lacking = [f"--fix does not write {one!r}" for one in row.get("fixed", ()) if one not in text]
    return lacking + [f"--fix does not keep {one!r}" for one in row.get("kept", ()) if one not in text]


def main(folder: Path, table: Path = TABLE) -> int:
    """Prints a line a case, and the sum; the exit code."""
    rows = tomllib.loads(table.read_text(encoding="utf-8"))
    right, began = 0, time.perf_counter()
    cases = [(name, row) for name, row in rows.items() if (folder / name).exists()]
    for name, row in cases:
        wrong = [*faults(found(folder / name), row), *mended(folder / name, row)]
        right += not wrong
        print(f"{'right' if not wrong else 'WRONG'}  {name:<44} {'; '.join(wrong)}"[:200])
    unknown = _unknown(folder, rows)
    for name in unknown:
        print(f"       {name}: no row says what is right")
    print(f"{right} of {len(cases)} right, {time.perf_counter() - began:.1f} s")
    return 0 if right == len(cases) and not unknown else 1


def _unknown(folder: Path, rows: Mapping[str, Any]) -> list[str]:
    """Manifests in the folders of the table that it does not name."""
    folders = {str(Path(name).parent) for name in rows} - {"."}
    names = [
        str(one.relative_to(folder)) for part in folders for one in sorted((folder / part).glob("*.yaml"))
    ]
    return [name for name in names if name not in rows]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *map(Path, sys.argv[2:])))
