"""A simulated engine as a process, however a test wants it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.engine import Start, starter


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with starter(tmp_path) as begin:
        yield begin
