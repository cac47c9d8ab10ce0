"""Runs the test tiers in the order given, and stops at the first that fails: tiers.py check fast package …"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
PYTEST = [str(BIN / "python"), "-m", "pytest", "-q"]
FOLDERS = {"fast": ("unit", "property", "golden"), "contract": ("process", "contract")}
WAITING = ["-n", "4", "--dist", "worksteal"]  # tests that wait more than they compute share a core
NOTHING_COLLECTED = 5  # pytest's exit code where a folder holds no test yet


@dataclass(frozen=True)
class Outcome:
    """How a tier ended: passed, failed or skipped; `detail` is its time, what failed, or why it is
    skipped."""

    tier: str
    how: str
    detail: str

    def __str__(self) -> str:
        return f"== {self.tier:<8} {self.how:<8} {self.detail}"


def commands(tier: str) -> list[list[str]]:
    """What a tier runs, in order."""
    if tier == "check":
        lint = [["ruff", "check", "--quiet"], ["ruff", "format", "--check", "--quiet"]]
        types = [["mypy", "--no-error-summary"], ["lint-imports", "--no-logo"]]
        return [[str(BIN / program), *flags] for program, *flags in lint + types]
    if tier in FOLDERS:
        spread = ["-n", "2"] if tier == "fast" else WAITING
        return [[*PYTEST, *spread, *(f"tests/{name}" for name in FOLDERS[tier])]]
    if tier == "cluster":
        apart = [] if os.environ.get("KUBECONFIG") else WAITING  # a real cluster's GPUs are all of one
        return [[*PYTEST, *apart, "--timeout", "300", "tests/cluster"]]
    if tier == "package":
        return [[*PYTEST, "-n", "2", "--dist", "loadfile", "--timeout", "900", "tests/package"]]
    return [[*PYTEST, "--timeout", "1200", f"tests/{tier}"]]


def why_skipped(tier: str, flavour: str, programs: frozenset[str]) -> str | None:
    """Why this machine cannot run a tier, or None."""
    if tier == "engine" and flavour == "none":
        return "no engine fits this machine"
    if tier == "cluster" and "kubectl" not in programs:
        return "kubectl is not here"
    if tier == "browser" and not {"chromium", "chromedriver"} <= programs:
        return "no Chromium here, and it takes root to install: sudo apt-get install chromium chromium-driver"
    return None


def run(tier: str) -> Outcome:
    """Runs one tier."""
    setup = json.loads((ROOT / ".venv" / "stoker-setup.json").read_text())
    programs = frozenset(name for name in ("chromium", "chromedriver", "kubectl") if shutil.which(name))
    reason = why_skipped(tier, setup["flavour"], programs)
    if reason:
        return Outcome(tier, "skipped", reason)
    print(f"== {tier}", flush=True)
    begun = time.monotonic()
    for command in commands(tier):
        code = subprocess.call(command, cwd=ROOT)
        if code not in (0, NOTHING_COLLECTED):
            shown = " ".join(word.replace(f"{ROOT}/", "") for word in command)
            return Outcome(tier, "failed", f"{time.monotonic() - begun:.0f} s, exit code {code}: {shown}")
    return Outcome(tier, "passed", f"{time.monotonic() - begun:.0f} s")


def main(tiers: list[str]) -> int:
    """Runs the tiers, then says how all of them went."""
    begun, outcomes = time.monotonic(), list[Outcome]()
    for tier in tiers:
        outcomes.append(run(tier))
        print(outcomes[-1], flush=True)
        if outcomes[-1].how == "failed":
            break
    left = [Outcome(tier, "not run", "an earlier one failed") for tier in tiers[len(outcomes) :]]
    failed = outcomes[-1].how == "failed"
    summary = "\n".join(str(outcome) for outcome in [*outcomes, *left])
    print(
        f"\n{summary}\n== {'failed' if failed else 'passed'} in {time.monotonic() - begun:.0f} s", flush=True
    )
    return int(failed)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
