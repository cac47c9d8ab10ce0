"""What a server takes, and what its connections need of it."""

from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from stoker.system.bodies import Store
from stoker.system.exchange import ErrorForm, Exchange, Refusal, error_form

MAX_BODY = 256 << 20


@dataclass(frozen=True, slots=True)
class Terms:
    """What a server takes. max_body, most_held: bytes, of one body and of all that are held at a time.

    half_closed: a client that has closed its own side only still gets its answer; without it, it counts as
    gone.
    files_each: open files that one client takes. form: how the server's own errors are written.
    """

    max_body: int = MAX_BODY
    most_held: int = 4 * MAX_BODY
    half_closed: bool = False
    files_each: int = 1
    form: ErrorForm = field(default=error_form)


C = TypeVar("C")


class Server(Protocol[C]):
    """The server, as its connections need it."""

    refusal: Refusal | None
    terms: Terms
    store: Store
    connections: set[C]

    async def run(self, exchange: Exchange) -> None: ...
    def crowded(self, over: int = 0) -> bool: ...
