"""The agents of a group: who may join, who is refused, and what ends it. Their engines are shell scripts
here."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Stoker, free_port

from stoker.planner.group import Group, differences, silent
from stoker.targets.local.group import TRY_AGAIN, reason
from stoker.targets.local.group.channel import Refused, accept, connect

FACTS = {"vLLM": "0.32.0", "engine.max-model-len": "4096"}


def test_what_two_nodes_do_not_have_in_common() -> None:
    theirs = {"vLLM": "0.31.0", "engine.dtype": "half"}
    assert differences(FACTS, FACTS) == []
    assert differences(FACTS, theirs) == [
        "vLLM: 0.32.0 on node 0, 0.31.0 there",
        "engine.max-model-len: 4096 on node 0, nothing there",
        "engine.dtype: nothing on node 0, half there",
    ]


def test_who_is_silent() -> None:
    assert silent({1: 10.0, 2: 20.0, 3: 2.0}, now=26.0, heartbeat_timeout=15.0) == [1, 3]
    assert silent({}, now=26.0, heartbeat_timeout=15.0) == []


def test_why_a_group_ended() -> None:
    lines = [
        "12:00:00 stoker group: node 1 is here",
        "12:00:01 stoker group: rank 1 is gone; the group ends",
        "ERROR x",
    ]
    assert reason(lines) == "rank 1 is gone"
    assert reason(["INFO nothing"]) is None


async def handshake(server_secret: str, client_secret: str) -> list[Any]:
    out: list[Any] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            channel = await accept(reader, writer, server_secret)
            out.append(await channel.receive())
            await channel.send({"answer": 1})
        except Refused as error:
            out.append(str(error))
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        channel = await connect("127.0.0.1", port, client_secret)
        await channel.send({"hello": 1})
        out.append(await channel.receive())
        channel.close()
    finally:
        server.close()
    return out


def test_both_sides_prove_that_they_know_the_secret() -> None:
    assert asyncio.run(handshake("one", "one")) == [{"hello": 1}, {"answer": 1}]
    with pytest.raises(Refused, match="does not know the group's key"):
        asyncio.run(handshake("one", "another"))


@pytest.mark.parametrize(
    "said",
    [b"GET / HTTP/1.1\r\n\r\n", b"{}\n", b"[]\n", b"\n", b'{"nonce": "x", "mac": "y"}\n', b"x" * 70000],
)
def test_strangers_are_refused(said: bytes) -> None:
    async def run() -> str:
        refused: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await accept(reader, writer, "secret")
            except Refused as error:
                refused.set_result(str(error))
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=65536)
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        writer.write(said)
        writer.write_eof()
        async with asyncio.timeout(5):
            found = await refused
        writer.close()
        server.close()
        return found

    assert asyncio.run(run())


class Node:
    """One agent with a script for an engine, in a process group of its own."""

    def __init__(self, folder: Path, rank: int, port: int, script: str, **more: Any) -> None:
        facts = more.pop("facts", FACTS)
        key = folder / "key"
        if not key.exists():
            key.write_text(more.pop("secret", "s3cret"))
        group = Group(2, rank, "127.0.0.1", port, str(key), **{"heartbeat_timeout": 5.0, "join": 30.0} | more)
        self.port = free_port()
        settings = {
            "group": asdict(group),
            "tensor": 1,
            "port": self.port,
            "facts": facts,
            "ranks_file": str(folder / "ranks.json"),
        }
        self.log = folder / f"node{rank}.log"
        argv = [
            sys.executable,
            "-m",
            "stoker.targets.local.group",
            json.dumps(settings),
            "--",
            "sh",
            "-c",
            script,
        ]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log, process_group=0)

    def said(self) -> str:
        return self.log.read_text()

    def until(self, text: str, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.said():
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.05)

    def code(self, seconds: float = 60) -> int:
        return self.process.wait(seconds)

    def gone(self) -> bool:
        """Whether nothing of its process group is left."""
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return True
        return False

    def end(self) -> None:
        for number in (signal.SIGCONT, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
        self.process.wait(30)


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[Node]]:
    made: list[Node] = []
    yield made
    for node in made:
        node.end()


def pair(nodes: list[Node], folder: Path, first: str, second: str, **more: Any) -> tuple[Node, Node]:
    port = free_port()
    nodes += [Node(folder, 1, port, second, **more), Node(folder, 0, port, first)]
    return nodes[-1], nodes[-2]


RUNS = "echo engine runs {master_port}; exec sleep 600"


def test_nodes_start_together_and_leave_together(nodes: list[Node], tmp_path: Path) -> None:
    leader, follower = pair(nodes, tmp_path, RUNS, RUNS)
    for node in (leader, follower):
        node.until("engine runs")
    assert (
        leader.said().split("engine runs ")[1].split()[0]
        == follower.said().split("engine runs ")[1].split()[0]
    )
    os.killpg(leader.process.pid, signal.SIGTERM)
    assert leader.code() == 0
    assert follower.code() == TRY_AGAIN
    assert leader.gone()
    assert follower.gone()


def test_an_engine_that_dies_on_one_node_ends_all(nodes: list[Node], tmp_path: Path) -> None:
    leader, follower = pair(nodes, tmp_path, RUNS, "echo engine runs; sleep 1; exit 3")
    leader.until("engine runs")
    begun = time.monotonic()
    assert follower.code() == 3
    assert leader.code() == TRY_AGAIN
    assert time.monotonic() - begun < 30
    assert "node 1: the engine of node 1 ended with code 3; the group ends" in leader.said()
    assert leader.gone()


def test_a_silent_node_counts_as_dead(nodes: list[Node], tmp_path: Path) -> None:
    leader, follower = pair(nodes, tmp_path, RUNS, RUNS)
    follower.until("engine runs")
    os.killpg(follower.process.pid, signal.SIGSTOP)
    assert leader.code() == TRY_AGAIN
    assert "node 1 has been silent for 5 s; the group ends" in leader.said()


def test_a_silent_master_counts_as_dead(nodes: list[Node], tmp_path: Path) -> None:
    leader, follower = pair(nodes, tmp_path, RUNS, RUNS)
    follower.until("engine runs")
    os.killpg(leader.process.pid, signal.SIGSTOP)
    assert follower.code() == TRY_AGAIN
    assert "the master has been silent for 5 s; the group ends" in follower.said()
    assert follower.gone()


def test_another_plan_is_refused_and_the_difference_named(nodes: list[Node], tmp_path: Path) -> None:
    leader, follower = pair(nodes, tmp_path, RUNS, RUNS, facts=FACTS | {"vLLM": "0.31.0"})
    assert follower.code() == 2
    assert "refused by node 0: vLLM: 0.32.0 on node 0, 0.31.0 there" in follower.said()
    leader.until("refused node 1")
    assert "engine runs" not in leader.said()


def test_a_master_that_does_not_answer_is_waited_for(nodes: list[Node], tmp_path: Path) -> None:
    nodes.append(Node(tmp_path, 1, free_port(), RUNS, join=1.0))
    assert nodes[0].code() == 1
    assert "waiting for the master 127.0.0.1:" in nodes[0].said()
    assert "no answer after 1 s" in nodes[0].said()


def test_a_master_waits_for_its_nodes(nodes: list[Node], tmp_path: Path) -> None:
    nodes.append(Node(tmp_path, 0, free_port(), RUNS, join=1.0))
    assert nodes[0].code() == 1
    assert "waiting for node 1: not there after 1 s" in nodes[0].said()


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("--nnodes", "2"), "--node-rank is missing"),
        (("--nnodes", "2", "--node-rank", "0"), "--master-addr is missing"),
        (("--nnodes", "2", "--node-rank", "2", "--master-addr", "10.0.0.1"), "node 2 of 2 makes no sense"),
        (("--nnodes", "1", "--node-rank", "0", "--master-addr", "10.0.0.1"), "node 0 of 1 makes no sense"),
        (("--nnodes", "2", "--node-rank", "0", "--master-addr", "10.0.0.1"), "--group-key is missing"),
        (
            ("--nnodes", "2", "--node-rank", "0", "--master-addr", "10.0.0.1", "--group-key", "env:X"),
            "read it from a file",
        ),
        (
            ("--nnodes", "2", "--node-rank", "0", "--master-addr", "10.0.0.1", "--group-key", "s3cret"),
            "is no reference",
        ),
        (
            ("--nnodes", "2", "--node-rank", "0", "--master-addr", "10.0.0.1", "--group-key", "file:./none"),
            "cannot be read",
        ),
        (
            ("--nnodes", "2", "--node-rank", "0", "--master-addr", "10.0.0.1", "--group-key", "file:./open"),
            "can be read by others",
        ),
    ],
)
def test_options_that_are_missing_or_make_no_sense(stoker: Stoker, argv: tuple[str, ...], said: str) -> None:
    (stoker.home / "open").write_text("s3cret")
    (stoker.home / "open").chmod(0o644)
    ran = stoker("up", *argv)
    assert ran.code == 2, ran.err
    assert said in ran.err
    assert "s3cret is" not in ran.err or said == "is no reference"
