"""Runs the test tiers in order, fast ones first, and stops at the first that fails."""

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
NO_TESTS = 5  # pytest's exit code where nothing was collected


def commands(tier: str) -> list[list[str]]:
    """The commands of a tier."""
    if tier == "check":
        return [
            [str(BIN / "ruff"), "check", "--quiet"],
            [str(BIN / "ruff"), "format", "--check", "--quiet"],
            [str(BIN / "mypy"), "--no-error-summary"],
            [str(BIN / "lint-imports")],
        ]
    pytest = [str(BIN / "python"), "-m", "pytest", "-q"]
    if tier == "fast":
        folders = [f"tests/{name}" for name in ("unit", "property", "golden", "contract")]
        return [[*pytest, "-n", "2", *(folder for folder in folders if (ROOT / folder).is_dir())]]
    return [[*pytest, "--timeout", "600", f"tests/{tier}"]]


def run(tier: str) -> bool:
    """Runs one tier; whether it passed."""
    print(f"== {tier}", flush=True)
    begun = time.monotonic()
    for command in commands(tier):
        code = subprocess.call(command, cwd=ROOT)
        if code not in (0, NO_TESTS):
            print(f"== {tier} failed after {time.monotonic() - begun:.0f} s: {' '.join(command)}", flush=True)
            return False
    print(f"== {tier} passed in {time.monotonic() - begun:.0f} s", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(0 if all(run(tier) for tier in sys.argv[1:]) else 1)
