"""The set-up's log of a program that fails."""

from pathlib import Path

import pytest
import stages


def test_a_program_that_fails_shows_its_last_lines(tmp_path: Path) -> None:
    log = stages.Log(tmp_path / "log")
    with pytest.raises(stages.Failed) as caught:
        log.run("counting", ["sh", "-c", "seq 100; exit 3"], fix="count slower")
    assert caught.value.why.splitlines() == [str(number) for number in range(89, 101)]
    assert caught.value.fix == f"count slower: {tmp_path / 'log'}"
