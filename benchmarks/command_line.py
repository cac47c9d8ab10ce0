"""CPU time of commands that only look: `python -m benchmarks.command_line [TRIES]`.

User and system, the best of five. Targets: 0.1 s for `--help`, 0.3 s for a `plan` of an example (its model's
config.json in a folder: no network is asked). Beside them the interpreter alone and the import of pydantic,
which reads every spec: what no change of ours can take away.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

from tests import models

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "h100-qwen3-32b" / "stoker.yaml"
TARGETS = {"--help": 0.1, "plan, an example": 0.3, "plan, simulated": 0.3}


def commands(folder: Path) -> dict[str, list[str]]:
    """What is timed, by what it is called."""
    (folder / "config.json").write_text(json.dumps(models.LLAMA_8B))
    (folder / "sim.yaml").write_text("name: sim\nmodel: ./m\nengine: {kind: simulated}\n")
    stoker = [sys.executable, "-m", "stoker"]
    return {
        "python": [sys.executable, "-c", "pass"],
        "import pydantic": [sys.executable, "-c", "from pydantic import BaseModel"],
        "--help": [*stoker, "--help"],
        "plan, an example": [*stoker, "plan", "-f", str(EXAMPLE), "--set", f"model={folder}"],
        "plan, simulated": [*stoker, "plan", "-f", str(folder / "sim.yaml")],
    }


def cpu(argv: list[str], home: Path) -> float:
    """Seconds of CPU that a command took, its children included. Raises: RuntimeError, where it fails."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    pid = os.posix_spawn(argv[0], argv, {**env, "STOKER_HOME": str(home)}, file_actions=silent)
    _, status, used = os.wait4(pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise RuntimeError(f"{' '.join(argv)} failed")
    return used.ru_utime + used.ru_stime


def main(tries: int) -> int:
    """Prints the best of each; 1 where a target is missed."""
    missed = 0
    with tempfile.TemporaryDirectory(prefix="stoker-bench-") as made:
        folder = Path(made)
        for name, argv in commands(folder).items():
            cpu(argv, folder)  # bytecode
            best = min(cpu(argv, folder) for _ in range(tries))
            target = TARGETS.get(name)
            missed += target is not None and best > target
            print(f"{name:18} {best:.3f} s" + (f"   target {target}" if target else ""), flush=True)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
