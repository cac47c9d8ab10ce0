"""Unit tests compute: one that starts a process or sleeps fails, and belongs into tests/process or needs a
double."""

import asyncio
import os
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, NoReturn

import pytest
import pytest_asyncio

STARTS = ("fork", "forkpty", "posix_spawn", "posix_spawnp", "system")


@pytest.fixture(scope="module", autouse=True)
def nothing_starts_and_nothing_sleeps() -> Iterator[None]:
    """Of module scope, so that a module's own fixtures are held to it too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess.Popen, "__init__", _refuses("starts a process"))
        for name in STARTS:
            patch.setattr(os, name, _refuses("starts a process"))
        patch.setattr(time, "sleep", _refuses("sleeps"))
        patch.setattr(asyncio, "sleep", _by_virtual_time_alone(asyncio.sleep))
        yield


def _refuses(what: str) -> Any:
    def refuse(*_args: object, **_named: object) -> NoReturn:
        raise AssertionError(f"a unit test {what}: give it a double or a clock, or move it to tests/process")

    return refuse


def _by_virtual_time_alone(real: Any) -> Any:
    async def sleep(delay: float, result: object = None) -> object:
        if delay > 0 and not isinstance(asyncio.get_running_loop().time, VirtualTime):
            _refuses("sleeps")()
        return await real(delay, result)

    return sleep


class VirtualTime:
    """A loop's clock that jumps to the next timer as soon as nothing else is to be done: no second of it is
    waited for."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._now, self._select = loop.time(), loop._selector.select  # type: ignore[attr-defined]

    def __call__(self) -> float:
        return self._now

    def select(self, timeout: float | None = None) -> Any:
        """In the place of the selector's: what would have been waited is added to the clock."""
        self._now += timeout or 0.0
        return self._select(timeout and 0.0)


@pytest_asyncio.fixture
async def virtual_time(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """The test's loop runs by virtual time: for tests without sockets."""
    loop = asyncio.get_running_loop()
    virtual = VirtualTime(loop)
    monkeypatch.setattr(loop, "time", virtual)
    monkeypatch.setattr(loop._selector, "select", virtual.select)  # type: ignore[attr-defined]
    yield
    monkeypatch.undo()
