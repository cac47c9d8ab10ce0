"""A load test in a pod: `python -m stoker.bench.in_pod FOLDER WORDS…` runs `stoker bench WORDS… --results
FOLDER`, and writes the folder to standard output, as a log brings it out. Started by a Job alone."""

import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

from stoker.bench.parcel import packed


def main(argv: list[str]) -> int:
    """Runs the test to its end, or to the pod's. Returns its exit code."""
    folder, words = Path(argv[0]), argv[1:]
    # as JSON its result is in the folder: a log is for people
    out = subprocess.DEVNULL if "json" in words else None
    process = subprocess.Popen(
        [sys.executable, "-m", "stoker", "bench", *words, "--results", str(folder)], stdout=out
    )

    def leave(_number: int, _frame: FrameType | None) -> None:
        process.terminate()  # it ends with what it has measured

    signal.signal(signal.SIGTERM, leave)
    code = process.wait()
    for line in packed(folder, max(0, code)):
        print(line, flush=True)  # noqa: T201  the pod's log
    return max(0, code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
