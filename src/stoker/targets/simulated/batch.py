"""Who runs and who waits: at most so many sequences and KV blocks at once, the others in order of arrival."""

from dataclasses import dataclass
from typing import Any, Protocol


class Sequence(Protocol):
    """What takes seats (sequences) and KV blocks in the batch."""

    seats: int
    blocks: int

    def admitted(self) -> None:
        """It runs from now on."""

    def held(self) -> int:
        """KV blocks that it fills at this moment."""

    def failed(self, error: dict[str, Any]) -> None:
        """The engine's core has died."""


@dataclass(slots=True)
class Seen:
    """What the engine's last step has told: sequences running and waiting."""

    running: int = 0
    waiting: int = 0


class Batch:
    """The running batch and its queue. A guest's blocks are reserved whole, so nothing is ever preempted.

    `seen` moves when a step returns, not when a guest comes: an engine that reads a long prompt looks idle.
    """

    def __init__(self, seats: int, blocks: int) -> None:
        self._free_seats = seats
        self._free_blocks = blocks
        self.running: dict[Sequence, None] = {}
        self.waiting: dict[Sequence, None] = {}
        self.seats_running = 0
        self.seats_waiting = 0
        self.seen = Seen()

    def enter(self, guest: Sequence) -> None:
        """Puts a guest at the end of the queue; it may run at once."""
        self.waiting[guest] = None
        self.seats_waiting += guest.seats
        self._admit()

    def leave(self, guest: Sequence) -> None:
        """Takes a guest out, finished or not, and lets the next ones in."""
        if guest in self.running:
            del self.running[guest]
            self.seats_running -= guest.seats
            self._free_seats += guest.seats
            self._free_blocks += guest.blocks
        elif guest in self.waiting:
            del self.waiting[guest]
            self.seats_waiting -= guest.seats
        self._admit()

    def stepped(self) -> None:
        """A step returns: what it leaves behind can be seen from outside."""
        self.seen.running = self.seats_running
        self.seen.waiting = self.seats_waiting

    @property
    def blocks_held(self) -> int:
        """KV blocks that are filled at this moment."""
        return sum(guest.held() for guest in self.running)

    def _admit(self) -> None:
        """The queue's head runs if it fits, or if nothing runs: one that never fits would wait for ever."""
        while self.waiting:
            guest = next(iter(self.waiting))
            fits = guest.seats <= self._free_seats and guest.blocks <= self._free_blocks
            if self.running and not fits:
                return
            del self.waiting[guest]
            self.running[guest] = None
            self.seats_waiting -= guest.seats
            self.seats_running += guest.seats
            self._free_seats -= guest.seats
            self._free_blocks -= guest.blocks
            guest.admitted()
