"""A client that has closed its own side may still read, or be gone: nothing on the connection tells which."""

import asyncio

from stoker.system.exchange import CONTINUE, Exchange

SECONDS = (1.0, 0.2, 5.0)  # before the first word, from it to the second, and from then on


class Probe:
    """Says now and then what every client of HTTP/1.1 must ignore: to one who is gone, that ends the
    connection.

    A client that closed its side alone is answered first, if that takes less than a second.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(SECONDS[0], self._say, SECONDS[1])

    def _say(self, then: float) -> None:
        if not self._exchange.started and not self._exchange.request.old:
            self._exchange.interim(CONTINUE)
            self._timer = self._loop.call_later(then, self._say, SECONDS[2])

    def cancel(self) -> None:
        """No more of it."""
        self._timer.cancel()
