"""What Ctrl-C does before a verb has begun, and after it is done: the process ends at once, there is nothing
to clean up."""

import _signal  # type: ignore[import-not-found]  # what `signal` is made of, without what that imports first
import os

INTERRUPTED = 130


def _end(_number: int, _frame: object) -> None:
    os.write(2, b"interrupted\n")
    os._exit(INTERRUPTED)


def end_at_once() -> bool:
    """From here on Ctrl-C ends the process. False where a shell has told it to ignore that."""
    if _signal.getsignal(_signal.SIGINT) is _signal.SIG_IGN:
        return False
    _signal.signal(_signal.SIGINT, _end)
    return True


def interrupt() -> None:
    """From here on Ctrl-C is KeyboardInterrupt, where it would have ended the process."""
    if _signal.getsignal(_signal.SIGINT) is _end:
        _signal.signal(_signal.SIGINT, _signal.default_int_handler)
