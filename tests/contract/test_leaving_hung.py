"""`down` with an engine that hangs and nothing in flight: it does not wait for `drain_timeout`."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from tests.conftest import Stoker

DRAIN = 120  # seconds
WELL_UNDER = 60.0  # of which nothing may be the wait for requests that are not there
BODY = {"model": "model", "messages": [{"role": "user", "content": "a"}], "max_tokens": 1}


def stop(stoker: Stoker, pid: int) -> None:
    """The whole process hangs, and answers nobody."""
    os.kill(pid, signal.SIGSTOP)


def stall(stoker: Stoker, pid: int) -> None:
    """The engine's core makes no step: /health is 200, and its gauges stand still."""
    (stoker.home / f"{pid}.sim").write_text(json.dumps({"faults": {"stall": True}}))
    for _ in range(50):  # until a request gets nothing, and is taken back
        try:
            httpx2.post(f"{stoker.url}/v1/chat/completions", json=BODY, timeout=2)
        except httpx2.ReadTimeout:
            return
    pytest.fail("it answers on")


@pytest.mark.parametrize("hang", [stop, stall])
def test_down_waits_for_no_drain_of_a_hung_engine(
    stoker: Stoker, hang: Callable[[Stoker, int], None], tmp_path: Path
) -> None:
    spec = stoker.spec(
        drain_timeout=f"{DRAIN}s", engine={"env": {"STOKER_SIMULATE_FILE": f"{tmp_path}/{{pid}}.sim"}}
    )
    up = stoker("up", "-d", "-f", spec)
    assert up.code == 0, up.err
    hang(stoker, stoker.state()["replicas"][0]["ranks"][0]["pid"])
    begun = time.monotonic()
    down = stoker("down")
    assert down.code == 0, down.err
    assert time.monotonic() - begun < WELL_UNDER
    assert stoker.processes() == []
