"""What the benchmarks say of a command that failed, and the ports that they give it."""

import socket
import sys
from pathlib import Path

import pytest
from benchmarks.command import OUTGOING, Ended, Failed, engine, fleets, free_ports, stoker, with_ports


def test_a_failed_command_is_shown_with_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(Failed) as failed:
        stoker("up", "--set", "replicas=-1", home=str(tmp_path))
    assert "ended with exit code 2" in str(failed.value)
    assert "replicas" in str(failed.value)
    assert not failed.value.port_lost
    assert fleets(str(tmp_path)) == []


def test_the_ports_beside_the_first_are_free_and_nobodys_outgoing() -> None:
    first = free_ports(3)
    assert first + 3 <= OUTGOING[0]
    for port in range(first, first + 3):
        with socket.create_server(("127.0.0.1", port)):
            pass


def test_a_port_that_somebody_else_was_faster_to_take_is_tried_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tried: list[int] = []

    def work(port: int) -> int:
        tried.append(port)
        if len(tried) < 3:
            raise Failed(("up",), 2, f"error: port {port + 1} is taken")
        return port

    assert with_ports(work) == tried[-1]
    assert "is taken" in capsys.readouterr().err

    def never(_: int) -> int:
        raise Failed(("up",), 2, "error: the spec is wrong")

    with pytest.raises(Failed, match="the spec is wrong"):
        with_ports(never)


def test_an_engine_that_ends_is_shown_with_its_last_error() -> None:
    argv = [sys.executable, "-c", "import sys; sys.exit('no such model')"]
    with pytest.raises(Ended, match="exit code 1:\nno such model"), engine(argv, free_ports(1), 60):
        raise AssertionError("it never answers")
