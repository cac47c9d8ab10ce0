"""The program `stoker`: from its first line on, Ctrl-C ends it without a traceback.

Until a verb has begun the process ends at once; then Ctrl-C is KeyboardInterrupt; and once the verb is done,
no more.
"""

from stoker.cli.interrupts import INTERRUPTED, end_at_once

end_at_once()


def main() -> None:
    """Runs the command line and exits: 0 done, 1 the world failed, 2 your mistake, 3 does not fit, 4
    deadline, 130 interrupted."""
    import sys

    code = INTERRUPTED
    try:
        from stoker.cli.main import run

        code = run()
    except KeyboardInterrupt:  # in the moment between two handlers
        pass
    end_at_once()
    sys.exit(code)
