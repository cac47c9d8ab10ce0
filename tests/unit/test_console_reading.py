"""An answer being read: drawn at a bounded rate, stopped at any moment, and always closed."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from stoker.ui.console.conversation import STOPPED, Turn
from stoker.ui.console.reading import FRAME_SECONDS, Reading, Readings

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("virtual_time")]
ASKED = Turn("hi")


class Source:
    """Turns that grow by one letter, `pause` apart, and then a silence if `silent`."""

    def __init__(self, count: int, pause: float = 0.0, silent: bool = False) -> None:
        self.count, self.pause, self.silent, self.closed = count, pause, silent, False

    async def turns(self) -> AsyncGenerator[Turn, None]:
        try:
            for number in range(1, self.count + 1):
                yield Turn("hi", said="x" * number)
                await asyncio.sleep(self.pause)
            if self.silent:
                await asyncio.sleep(60)
        finally:
            self.closed = True


async def drawn(reading: Reading) -> list[str]:
    return [turn.said async for turn in reading.frames()]


async def test_the_end_is_whole_and_few_frames_are_drawn() -> None:
    reading = Reading(Source(500, 0.0002).turns(), ASKED)
    frames = await drawn(reading)
    assert reading.turn == Turn("hi", said="x" * 500)
    assert len(frames) < 500 / 10


async def test_what_came_before_a_silence_is_drawn() -> None:
    reading = Reading(Source(3, FRAME_SECONDS / 10, silent=True).turns(), ASKED)
    async with aclosing(reading.frames()) as frames:
        async with asyncio.timeout(5):
            async for turn in frames:
                if turn.said == "xxx":
                    break


async def test_stop_ends_a_silent_answer_and_says_so_once() -> None:
    source, readings = Source(1, silent=True), Readings()
    reading = Reading(source.turns(), ASKED)
    readings.begin("a", reading)
    said = []
    async with asyncio.timeout(5):
        async for turn in reading.frames():
            said.append(turn.said)
            for _ in range(2):
                readings.stop("a")
    assert said == ["x"]
    assert (reading.turn.said, reading.turn.note, reading.dropped) == ("x", STOPPED, False)
    assert source.closed


async def test_stop_before_the_first_word() -> None:
    source = Source(0, silent=True)
    reading = Reading(source.turns(), ASKED)
    asyncio.get_running_loop().call_later(0.02, reading.stop)
    assert await drawn(reading) == []
    assert reading.turn.note == STOPPED
    assert source.closed


async def test_a_finished_answer_is_not_stopped() -> None:
    reading = Reading(Source(1).turns(), ASKED)
    await drawn(reading)
    reading.stop()
    assert reading.turn.note == ""


async def test_a_reader_that_leaves_closes_the_stream() -> None:
    source = Source(1, silent=True)
    async with aclosing(Reading(source.turns(), ASKED).frames()) as frames:
        await anext(frames)
    assert source.closed


async def test_another_visitor_is_left_alone() -> None:
    readings, mine, theirs = Readings(), Source(1, silent=True), Source(1, silent=True)
    first, second = Reading(mine.turns(), ASKED), Reading(theirs.turns(), ASKED)
    readings.begin("me", first)
    readings.begin("they", second)
    await asyncio.sleep(0)
    readings.stop("me", drop=True)
    await drawn(first)
    assert (first.dropped, mine.closed, theirs.closed) == (True, True, False)
    readings.end("me", second)
    readings.end("they", second)
    second.stop()
    await drawn(second)


async def test_a_second_question_drops_the_first() -> None:
    readings, source = Readings(), Source(1, silent=True)
    first = Reading(source.turns(), ASKED)
    readings.begin("me", first)
    second = Reading(Source(1).turns(), ASKED)
    readings.begin("me", second)
    await drawn(first)
    await drawn(second)
    readings.end("me", first)
    assert first.dropped
    assert not second.dropped
