"""Running other programs: an argv list, a deadline, never a shell."""

import subprocess
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program ended."""

    code: int
    out: str
    err: str


def run(argv: tuple[str, ...], seconds: float) -> Ran | None:
    """Runs a program to its end; None where it is not installed or outlives the deadline."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds, check=False)
    except (FileNotFoundError, PermissionError, subprocess.TimeoutExpired):
        return None
    return Ran(done.returncode, done.stdout, done.stderr)
