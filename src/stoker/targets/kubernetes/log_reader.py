"""The log of one life of a container, read once from beginning to end, however often the way to it breaks."""

import queue
import re
import threading
from typing import NamedTuple

from stoker.errors import EnvironmentFailed, UsageError
from stoker.fleet.target import LogLine
from stoker.targets.kubernetes.client import Api

_STAMPED = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d) ?(.*)", re.S)


class Life(NamedTuple):
    """A container between two of its restarts."""

    pod: str
    container: str
    restarts: int


class Reader:
    """Reads in a thread of its own, and puts what it reads into `said`.

    The API tells where a log is to go on in whole seconds, so that the lines of the last one come again: as
    many of them as were told are left out. A server that sends no times is asked for all of it again.
    """

    def __init__(
        self, api: Api, namespace: str, life: Life, said: "queue.Queue[LogLine | UsageError]"
    ) -> None:
        self._api, self._namespace, self._life, self._said = api, namespace, life, said
        self._second, self._told = (
            "",
            0,
        )  # the last line's second as the API has it, and how many lines of it were told
        self._thread: threading.Thread | None = None
        self._ended = False

    @property
    def busy(self) -> bool:
        """Whether it is reading."""
        return self._thread is not None and self._thread.is_alive()

    def go_on(self, running: bool) -> None:
        """Begins, or takes up what has broken off; running: whether the container still may say more."""
        if self.busy or (self._ended and not running):
            return
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        self._ended, again = False, self._told
        try:
            for line in self._api.follow(self._namespace, self._life.pod, self._life.container, self._second):
                again = self._tell(line, again)
            self._ended = True
        except EnvironmentFailed:
            return
        except UsageError as refused:
            self._ended = True
            self._said.put(refused)

    def _tell(self, line: str, again: int) -> int:
        """One line, where it is new. Returns how many of the next ones have been told before."""
        second, text = _parted(line)
        if second != self._second:
            self._second, self._told, again = second, 0, 0
        if again:
            return again - 1
        self._told += 1
        self._said.put(LogLine(self._life.pod, text))
        return 0


def _parted(line: str) -> tuple[str, str]:
    """The second of a line, as the API takes it, and its text; no second, where none stands before it."""
    found = _STAMPED.fullmatch(line)
    return (f"{found[1]}{found[3]}", found[4]) if found else ("", line)
