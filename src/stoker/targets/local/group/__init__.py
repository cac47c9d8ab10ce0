"""One replica over several processes or hosts: an agent beside each node's engine, which fall and rise
together."""

import re
from collections.abc import Sequence

TRY_AGAIN = 75  # EX_TEMPFAIL, an agent's exit code: something else failed, and this process with it
_REASON = re.compile(r"stoker group: (.*); the group ends$")


def reason(lines: Sequence[str]) -> str | None:
    """Why an agent says that its group ended, out of its log; None where it says nothing."""
    return next((found[1] for line in reversed(lines) if (found := _REASON.search(line))), None)
