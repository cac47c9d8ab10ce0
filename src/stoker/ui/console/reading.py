"""One answer being read, in a task of its own: it can be stopped at any moment, also while the endpoint is
silent."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from stoker.ui.console.conversation import STOPPED, Turn

FRAME_SECONDS = 0.05  # a window redrawn for every token of a fast model lags behind it


class Reading:
    """The last turn of a conversation as it grows. `dropped` says that nobody wants it any more."""

    def __init__(self, turns: AsyncGenerator[Turn, None], turn: Turn) -> None:
        self.turn = turn
        self.dropped = False
        self._stopped = False
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._read(turns))
        self._task.add_done_callback(lambda _: self._news.set())

    async def frames(self) -> AsyncGenerator[Turn, None]:
        """The turn whenever it has grown, at most once in FRAME_SECONDS. `turn` is whole when this ends."""
        try:
            while not self._task.done():
                await self._news.wait()
                self._news.clear()
                if not self._stopped:
                    yield self.turn
                    await asyncio.wait([self._task], timeout=FRAME_SECONDS)
        finally:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._stopped:
            self.turn = self.turn.noted(STOPPED)

    def stop(self, drop: bool = False) -> None:
        """Closes the endpoint's stream, so that it stops writing. A finished answer stays as it is."""
        self.dropped = self.dropped or drop
        if not self._task.done():
            self._stopped = True
            self._task.cancel()

    async def _read(self, turns: AsyncGenerator[Turn, None]) -> None:
        async with aclosing(turns):
            async for turn in turns:
                self.turn = turn
                self._news.set()


class Readings:
    """The answers being read now, one for each visitor."""

    def __init__(self) -> None:
        self._now: dict[str, Reading] = {}

    def begin(self, visitor: str, reading: Reading) -> None:
        """Remembers it; what the visitor had before is dropped."""
        self.stop(visitor, drop=True)
        self._now[visitor] = reading

    def end(self, visitor: str, reading: Reading) -> None:
        """Forgets it."""
        if self._now.get(visitor) is reading:
            del self._now[visitor]

    def stop(self, visitor: str, drop: bool = False) -> None:
        """Stops what the visitor's page is being answered, if anything."""
        if reading := self._now.get(visitor):
            reading.stop(drop)
