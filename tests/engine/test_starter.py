"""Real vLLM by a starter: the same answers, cores and names of processes as by the plain command."""

import collections
import contextlib
import importlib.util
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from benchmarks.command import free_ports
from benchmarks.serve import folder, stokers_command

from stoker.fleet.process import Process
from stoker.targets.local.starters import Starters, Template, started_by

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed here"),
]
ASKED = {
    "model": "m",
    "prompt": "The capital of France is",
    "max_tokens": 32,
    "temperature": 0,
    "logprobs": 1,
}


@contextlib.contextmanager
def running(how: str, log: Path) -> Iterator[tuple[int, int]]:
    """An engine bound to core 0, started plainly, by a `starter` or one that `waits`: its group and port."""
    port = free_ports(1)
    argv, own = stokers_command(folder(), port)
    env = {**os.environ, **own, "VLLM_CPU_OMP_THREADS_BIND": "0"}
    words = argv if how == "plain" else started_by(argv, env)
    assert (how == "plain") == (words == argv), "libiomp5 is of the CPU engine's environment"
    with log.open("w") as file:
        if how == "waits":
            process = handed_over(argv, env, log.parent, file.fileno())
        else:
            process = subprocess.Popen(
                words, env=env, stdout=file, stderr=file, process_group=0, cwd=log.parent
            )
    try:
        while not _well(port):
            assert process.poll() is None, log.read_text()[-3000:]
            time.sleep(0.1)
        yield process.pid, port
    finally:
        process.terminate()
        process.wait(30)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def handed_over(argv: list[str], env: dict[str, str], place: Path, log: int) -> "subprocess.Popen[bytes]":
    """A starter that waits, once it is warm and has its command. It was made for an engine on core 1."""
    made, process = Starters(place), Process("engine", "1", tuple(argv), routed=True)
    made.keep(Template.of(process, {**env, "VLLM_CPU_OMP_THREADS_BIND": "1"}), begin=True)
    while (popen := made.start(argv, process, env, log)) is None:
        time.sleep(0.1)
    return popen


def _well(port: int) -> bool:
    with contextlib.suppress(httpx2.TransportError):
        return httpx2.get(f"http://127.0.0.1:{port}/health", timeout=5).status_code == 200
    return False


def told(group: int, port: int) -> dict[str, Any]:
    """What it answers, the names of its processes, and the cores that the worker's threads may use."""
    answer = httpx2.post(f"http://127.0.0.1:{port}/v1/completions", json=ASKED, timeout=120).json()
    names, cores = [], collections.Counter[tuple[int, ...]]()
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, psutil.Error):
            if os.getpgid(pid) == group and "VLLM" in (name := psutil.Process(pid).name()):
                names.append(name)
                if "Worker" in name:
                    threads = psutil.Process(pid).threads()
                    cores.update(tuple(sorted(os.sched_getaffinity(thread.id))) for thread in threads)
    return {"choice": answer["choices"][0], "names": sorted(names), "cores": dict(cores)}


@pytest.mark.timeout(900)
def test_it_answers_and_is_bound_as_the_plain_command(tmp_path: Path) -> None:
    with running("plain", tmp_path / "plain.log") as (group, port):
        plain = told(group, port)
    assert any("Worker" in name for name in plain["names"])
    for how in ("starter", "waits"):
        with running(how, tmp_path / f"{how}.log") as (group, port):
            assert told(group, port) == plain, how
        assert "stoker starter:" not in (tmp_path / f"{how}.log").read_text()
