"""The simulated engine as a process: order, time, and how it ends."""

import contextlib
import re
import signal
import socket
import subprocess
import sys
import time
from typing import Any

import pytest
from tests.support.engine import CHAT, Engine, Start, gauges, wait


def test_headers_come_before_the_first_token_and_others_wait(start: Start) -> None:
    engine = start("--max-num-seqs", "1", ttft=1.5)
    begun = time.monotonic()
    first, second = engine.open_stream(), engine.open_stream()
    assert time.monotonic() - begun < 1.5
    assert b"[DONE]" in first.read()
    assert time.monotonic() - begun > 1.5
    assert b"[DONE]" in second.read()
    assert time.monotonic() - begun > 3.0


def test_gauges_move_only_when_a_step_returns(start: Start) -> None:
    engine = start("--max-num-seqs", "1", ttft=1.0, itl=0.02, tokens=50)
    first, second = engine.open_stream(), engine.open_stream(max_tokens=1)
    assert gauges(engine) == (0, 0), "a prompt is being read"
    assert engine.metric("kv_cache_usage_perc") == 0
    assert first.readline()
    wait(lambda: gauges(engine) == (1, 1))
    assert engine.metric("kv_cache_usage_perc") > 0
    assert b"[DONE]" in second.read()
    assert gauges(engine) == (0, 0)


def test_a_client_that_leaves_frees_its_seat_and_is_counted_nowhere(start: Start) -> None:
    engine = start("--max-num-seqs", "1", tokens=1000, itl=0.05)
    leaving, waiting = engine.open_stream(), engine.open_stream(max_tokens=1)
    assert leaving.readline()
    leaving.close()
    engine.connections[0].close()
    assert b"[DONE]" in waiting.read()
    wait(lambda: engine.metric("num_requests_running") == 0, 10)
    assert engine.metric("request_success_total", finished_reason="abort") == 0
    assert engine.metric("request_success_total") == engine.metric("e2e_request_latency_seconds_count") == 1
    assert engine.metric("time_to_first_token_seconds_count") == 2


def test_start_up_says_what_vllm_says_and_is_quick(start: Start) -> None:
    begun = time.monotonic()
    engine = start("--max-model-len", "2K", "--dtype", "float32", start_seconds=0.2)
    assert 0.2 < time.monotonic() - begun < 10
    text = engine.log.read_text()
    for part in (
        "vLLM server version 0.32.0, serving model demo",
        "non-default args: {",
        "Initializing a V1 LLM engine (v0.32.0) with config",
        "Loading weights took 0.06 seconds",
        "Model loading took 0.5 GiB memory and 0.06",
        "CPU KV cache size: 65,536 tokens, Maximum concurrency for 2,048 tokens per request: 32.00x",
        "init engine (profile, create kv cache, warmup model) took 0.04 s",
        "INFO:     Application startup complete.",
    ):
        assert part in text
    assert re.search(r"^\(EngineCore pid=\d+\) INFO \d\d-\d\d \d\d:\d\d:\d\d \[core\.py:\d+\] ", text, re.M)


def test_nothing_heavy_is_imported() -> None:
    code = "import stoker.targets.simulated.__main__, sys; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"pydantic", "click", "rich", "yaml", "numpy", "httpx2", "http.client"} & set(found)


# the end


def refuses(engine: Engine) -> bool:
    with contextlib.suppress(ConnectionError):
        engine.send("GET", "/health")
        return False
    return True


def test_sigterm_closes_the_port_and_leaves_open_streams_silent(start: Start) -> None:
    engine = start(tokens=1000, itl=0.05)
    stream = engine.open_stream()
    assert stream.readline()
    engine.process.send_signal(signal.SIGTERM)
    wait(lambda: refuses(engine))
    raw: Any = stream.fp
    raw.raw._sock.settimeout(0.5)
    with pytest.raises(TimeoutError):  # noqa: PT012 - events of before are read one at a time
        while piece := stream.read1():
            assert b"[DONE]" not in piece
    assert engine.process.poll() is None, "it waits for its client"
    stream.close()
    engine.connections[0].close()
    assert engine.ended() == 0


def test_sigterm_without_clients_ends_it(start: Start) -> None:
    for options in ((), ("--shutdown-timeout", "60")):
        engine = start(*options)
        engine.process.send_signal(signal.SIGTERM)
        assert engine.ended() == 0


def test_sigterm_with_time_to_drain_finishes_what_runs_and_takes_nothing_new(start: Start) -> None:
    engine = start("--shutdown-timeout", "60", tokens=100, itl=0.02)
    running = engine.open_stream()
    engine.process.send_signal(signal.SIGTERM)
    wait(lambda: engine.send("POST", "/tokenize", {"prompt": "a"})[0] == 500)
    status, _, body = engine.send("POST", "/v1/chat/completions", CHAT)
    assert status == 500
    assert b"cannot schedule new futures after shutdown" in body
    assert engine.send("GET", "/health")[0] == engine.send("GET", "/metrics")[0] == 200
    assert b"[DONE]" in running.read()
    assert engine.ended() == 0


def test_sigterm_in_start_up(start: Start) -> None:
    engine = start(serves=False, start_seconds=60)
    wait(lambda: "Using max model len" in engine.log.read_text())
    time.sleep(0.1)
    engine.process.send_signal(signal.SIGTERM)
    assert engine.ended() == 0


def test_a_taken_port_ends_the_start(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as owner:
        engine = start("--port", str(owner.getsockname()[1]), serves=False)
        assert engine.ended() == 1
    assert "Address already in use" in engine.log.read_text()
