"""The tier holds what it promises: nothing here starts a process or sleeps."""

import asyncio
import os
import subprocess
import time
from collections.abc import Callable

import pytest


@pytest.mark.parametrize(
    "forbidden",
    [
        lambda: subprocess.Popen(["true"]),
        lambda: subprocess.run(["true"], check=False),
        lambda: os.system("true"),
        lambda: time.sleep(0.001),
        lambda: asyncio.run(asyncio.sleep(0.001)),
    ],
)
def test_what_has_no_place_here_fails(forbidden: Callable[[], object]) -> None:
    with pytest.raises(AssertionError, match="a unit test"):
        forbidden()


@pytest.mark.asyncio
async def test_an_hour_of_virtual_time_is_not_waited_for(virtual_time: None) -> None:
    begun, loop = time.monotonic(), asyncio.get_running_loop()
    at = loop.time()
    await asyncio.sleep(3600)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.Event().wait(), 3600)
    assert 7199.999 < loop.time() - at < 7201  # a clock of floats rounds
    assert time.monotonic() - begun < 60
