"""What the benchmarks say of a command that failed, and the ports that they give it."""

import socket

import pytest
from benchmarks.command import OUTGOING, Failed, free_ports, with_ports


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
