"""Who runs and who waits: at most so many sequences and KV blocks at once, the others in order of arrival."""

from typing import Protocol


class Guest(Protocol):
    """What takes seats (sequences) and KV blocks in the batch."""

    seats: int
    blocks: int

    def admitted(self) -> None:
        """It runs from now on."""

    def held(self) -> int:
        """KV blocks that it fills at this moment."""


class Batch:
    """The running batch and its queue. A guest's blocks are reserved whole, so nothing is ever preempted."""

    def __init__(self, seats: int, blocks: int) -> None:
        self._free_seats = seats
        self._free_blocks = blocks
        self.running: dict[Guest, None] = {}
        self.waiting: dict[Guest, None] = {}

    def enter(self, guest: Guest) -> None:
        """Puts a guest at the end of the queue; it may run at once."""
        self.waiting[guest] = None
        self._admit()

    def leave(self, guest: Guest) -> None:
        """Takes a guest out, finished or not, and lets the next ones in."""
        if guest in self.running:
            del self.running[guest]
            self._free_seats += guest.seats
            self._free_blocks += guest.blocks
        else:
            self.waiting.pop(guest, None)
        self._admit()

    @property
    def seats_running(self) -> int:
        """Sequences that run."""
        return sum(guest.seats for guest in self.running)

    @property
    def seats_waiting(self) -> int:
        """Sequences that wait."""
        return sum(guest.seats for guest in self.waiting)

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
            self._free_seats -= guest.seats
            self._free_blocks -= guest.blocks
            guest.admitted()
