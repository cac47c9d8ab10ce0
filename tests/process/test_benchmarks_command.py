"""What the benchmarks say of a program that failed, in its own words."""

import sys
from pathlib import Path

import pytest
from benchmarks.command import Ended, Failed, engine, fleets, free_ports, stoker


def test_a_failed_command_is_shown_with_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(Failed) as failed:
        stoker("up", "--set", "replicas=-1", home=str(tmp_path))
    assert "ended with exit code 2" in str(failed.value)
    assert "replicas" in str(failed.value)
    assert not failed.value.port_lost
    assert fleets(str(tmp_path)) == []


def test_an_engine_that_ends_is_shown_with_its_last_error() -> None:
    argv = [sys.executable, "-c", "import sys; sys.exit('no such model')"]
    with pytest.raises(Ended, match="exit code 1:\nno such model"), engine(argv, free_ports(1), 60):
        raise AssertionError("it never answers")
