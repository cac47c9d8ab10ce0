"""Who asks over loopback: told by the kernel's own table, and no by default."""

import contextlib
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stoker.system import peers
from stoker.system.peers import is_own, uid_of

LINES = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F41 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1 1 0 100 0 0 10 0
   1: 0100007F:1F41 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1000        0 2 1 0 20 4 30 10 -1
   2: 0100007F:D431 0100007F:1F41 01 00000000:00000000 00:00000000 00000000  1001        0 3 1 0 20 4 30 10 -1
   3: 0100007F:D432 0100007F:1F41 06 00000000:00000000 03:00000D1C 00000000     0        0 0 3 0
"""
SERVER = ("127.0.0.1", 8001)


@contextlib.contextmanager
def connected(host: str) -> Iterator[tuple[socket.socket, socket.socket]]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as server, socket.socket(family) as client:
        client.connect(server.getsockname())
        accepted, _ = server.accept()
        with accepted:
            yield client, accepted


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_connection_of_our_own_is_known(host: str) -> None:
    try:
        with connected(host) as (client, accepted):
            ends = client.getsockname()[:2], accepted.getsockname()[:2]
            assert is_own(*ends)
            client.shutdown(socket.SHUT_WR)
            assert is_own(*ends), "who has asked may be done with sending"
    except OSError:
        pytest.skip(f"this machine has no {host}")


@pytest.mark.skipif(sys.byteorder != "little", reason="the table below is of such a machine")
def test_the_table_is_read_by_both_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "tcp"
    table.write_text(LINES)
    monkeypatch.setitem(peers.TABLES, socket.AF_INET, table)
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    assert uid_of(("127.0.0.1", 0xD431), SERVER) == 1001
    assert not is_own(("127.0.0.1", 0xD431), SERVER), "another user's"
    assert not is_own(("127.0.0.1", 0xD432), SERVER), "closed: the kernel shows root for whoever it was"
    assert not is_own(("127.0.0.1", 0), SERVER)
    assert not is_own(("no-address", 1), SERVER)
    monkeypatch.setattr(os, "getuid", lambda: 1001)
    assert is_own(("127.0.0.1", 0xD431), SERVER)


def test_without_the_table_our_own_processes_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(peers.TABLES, socket.AF_INET, Path("/no/such/table"))
    with connected("127.0.0.1") as (client, accepted):
        assert is_own(client.getsockname(), accepted.getsockname())
        assert not is_own(("127.0.0.1", 1), accepted.getsockname())
