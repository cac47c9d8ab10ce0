"""Which replica: the least loaded one, unless another has seen this prompt's beginning and is hardly
busier."""

from collections import OrderedDict
from collections.abc import Sequence, Sized
from typing import Protocol, TypeVar

BLOCK = 512  # bytes of a body that are remembered together
MAX_BLOCKS = 64
REMEMBERED = 50_000
SLACK = 2  # requests by which a replica with the prefix may be busier


class Loaded(Protocol):
    """What balancing needs to know of a replica."""

    @property
    def id(self) -> str: ...
    @property
    def running(self) -> Sized: ...


R = TypeVar("R", bound=Loaded)


def prefix_keys(body: bytes) -> list[int]:
    """One key for each block of the prompt so far, so that equal beginnings share their first keys.

    The prompt starts at the first of `"messages"`, `"prompt"` or `"input"`; a body without one has no keys.
    """
    starts = [at for name in (b'"messages"', b'"prompt"', b'"input"') if (at := body.find(name)) >= 0]
    if not starts:
        return []
    start = min(starts)
    end = min(len(body) - BLOCK + 1, start + BLOCK * MAX_BLOCKS)
    keys: list[int] = []
    key = 0
    for at in range(start, end, BLOCK):
        key = hash((key, body[at : at + BLOCK]))
        keys.append(key)
    return keys


class Balancer:
    """Least requests in flight, with prefix affinity. Remembers a bounded number of prompt beginnings."""

    def __init__(self) -> None:
        self._home: OrderedDict[int, str] = OrderedDict()
        self._turn = 0

    def choose(self, ready: Sequence[R], keys: Sequence[int]) -> R:
        """One of `ready`, which is not empty."""
        least = min(len(replica.running) for replica in ready)
        chosen = self._at_home(ready, keys, least) or self._next_of(ready, least)
        for key in keys:
            self._home[key] = chosen.id
            self._home.move_to_end(key)
        while len(self._home) > REMEMBERED:
            self._home.popitem(last=False)
        return chosen

    def _at_home(self, ready: Sequence[R], keys: Sequence[int], least: int) -> R | None:
        home = next((self._home[key] for key in reversed(keys) if key in self._home), None)
        for replica in ready:
            if replica.id == home and len(replica.running) <= least + SLACK:
                return replica
        return None

    def _next_of(self, ready: Sequence[R], least: int) -> R:
        idlest = [replica for replica in ready if len(replica.running) == least]
        self._turn += 1
        return idlest[self._turn % len(idlest)]
