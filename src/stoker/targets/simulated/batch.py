"""Who runs and who waits: at most so many sequences and KV blocks at once, the others in order of arrival."""

from typing import Protocol


class Guest(Protocol):
    """What takes seats (sequences) and KV blocks in the batch."""

    seats: int
    blocks: int

    def admitted(self) -> None:
        """It runs from now on."""


class Batch[G: Guest]:
    """The running batch and its queue. A guest's blocks are reserved whole, so nothing is ever preempted."""

    def __init__(self, seats: int, blocks: int) -> None:
        self._free_seats = seats
        self._free_blocks = blocks
        self.running: dict[G, None] = {}
        self.waiting: dict[G, None] = {}

    def enter(self, guest: G) -> None:
        """Puts a guest at the end of the queue; it may run at once."""
        self.waiting[guest] = None
        self._admit()

    def leave(self, guest: G) -> None:
        """Takes a guest out, finished or not, and lets the next ones in."""
        if guest in self.running:
            del self.running[guest]
            self._free_seats += guest.seats
            self._free_blocks += guest.blocks
        else:
            self.waiting.pop(guest, None)
        self._admit()

    def _admit(self) -> None:
        """The queue's head runs if it fits, or if nothing runs: one that never fits would wait for ever."""
        while self.waiting:
            guest = next(iter(self.waiting))
            fits = guest.seats <= self._free_seats and guest.blocks <= self._free_blocks
            if self.running and not fits:
                return
            del self.waiting[guest]
            self.running[guest] = None
            self._free_seats -= guest.seats
            self._free_blocks -= guest.blocks
            guest.admitted()
