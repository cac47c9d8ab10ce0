"""`python -m stoker.targets.simulated MODEL [vLLM's options] [--simulate JSON] [--simulate-file PATH]`."""

import asyncio
import sys

from stoker.system import loop
from stoker.targets.simulated.options import read
from stoker.targets.simulated.process import claim_port, raise_open_files, serve


def main() -> int:
    """Serves until it is told to stop; returns the exit code."""
    options = read(sys.argv[1:])
    raise_open_files()
    try:
        claim_port(options)
        with asyncio.Runner(loop_factory=loop.factory()) as runner:
            return runner.run(serve(options))
    except OSError as error:
        sys.stderr.write(f"Traceback (most recent call last):\nOSError: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
