"""The simulated engine as a process: broken on demand."""

import contextlib
import http.client
import json
import signal
import time
from pathlib import Path

import pytest
from tests.support.engine import CHAT, Start, gauges, wait

from stoker.engine.openai import SseReader


def test_fail_start(start: Start) -> None:
    engine = start(serves=False, faults={"fail_start": "ValueError: no room"})
    assert engine.ended() == 1
    text = engine.log.read_text()
    assert "EngineCore failed to start." in text
    assert "ValueError: no room" in text
    assert "Engine core initialization failed. See root cause above." in text


def test_die_after_seconds(start: Start) -> None:
    assert start(faults={"die_after_seconds": 0.1}).ended() == 1


def test_die_after_requests(start: Start) -> None:
    engine = start(faults={"die_after_requests": 1})
    engine.post("/v1/completions", {"prompt": "a"})
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        engine.post("/v1/completions", {"prompt": "a"})
    assert engine.ended() == 1


@pytest.mark.parametrize("tokens", [0, 3])
def test_die_mid_stream(start: Start, tokens: int) -> None:
    stream = (engine := start(itl=0.02, faults={"die_mid_stream_after_tokens": tokens})).open_stream()
    got = b""
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):  # noqa: PT012
        while piece := stream.read1():
            got += piece
        raise ConnectionError
    assert engine.ended() == 1
    assert len(SseReader().feed(got)) == (tokens + 1 if tokens else 0)


DEAD = "EngineCore encountered an issue. See stack trace (above) for the root cause."


def test_a_dead_core_ends_streams_with_an_error_and_done_and_leaves_at_the_next_request(
    start: Start, tmp_path: Path
) -> None:
    control = tmp_path / "control.json"
    engine = start("--simulate-file", str(control), tokens=1000, itl=0.05)
    stream = engine.open_stream()
    assert stream.readline()
    control.write_text('{"faults": {"core_dies": true}}')
    *_, error, done = SseReader().feed(stream.read())
    assert (stream.status, done.done) == (200, True)
    assert error.json()["error"] == {
        "message": DEAD,
        "type": "InternalServerError",
        "param": None,
        "code": 500,
    }
    assert engine.send("GET", "/health")[0] == engine.send("GET", "/ping")[0] == 503
    assert engine.send("GET", "/metrics")[0] == engine.send("GET", "/v1/models")[0] == 200
    status, _, body = engine.send("POST", "/v1/chat/completions", CHAT)
    assert (status, json.loads(body)["error"]["message"]) == (500, DEAD)
    assert engine.ended() == 0


def test_a_dead_core_ends_the_process_by_itself(start: Start) -> None:
    engine = start(faults={"core_dies_mid_stream_after_tokens": 3}, itl=0.01)
    assert DEAD.encode() in engine.open_stream().read()
    assert engine.ended(30) == 0


def test_a_dead_core_as_the_other_routes_tell_it(start: Start) -> None:
    fault = {"faults": {"core_dies_mid_stream_after_tokens": 1}}
    engine = start(**fault)
    events = engine.stream("/v1/messages", {**CHAT, "max_tokens": 9})
    assert events[-1].event == "error"
    engine = start(**fault)
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        engine.stream("/v1/responses", {"input": "a"})
    engine = start(**fault)
    status, _, body = engine.send("POST", "/v1/messages", {**CHAT, "max_tokens": 9})
    assert (status, json.loads(body)["error"]["message"]) == (500, DEAD)
    assert engine.ended() == 0


def test_hang_after_requests_takes_health_with_it(start: Start) -> None:
    engine = start(faults={"hang_after_requests": 1})
    engine.post("/v1/completions", {"prompt": "a"})
    for path, body in (("/v1/completions", {"prompt": "a"}), ("/health", None)):
        with pytest.raises(TimeoutError):
            engine.send("POST" if body else "GET", path, body, timeout=0.1)
    engine.process.send_signal(signal.SIGTERM)
    assert engine.ended() == 0


def test_a_stall_leaves_health_and_metrics_and_stops_every_stream(start: Start, tmp_path: Path) -> None:
    control = tmp_path / "control.json"
    engine = start("--simulate-file", str(control), tokens=30, itl=0.02)
    stream = engine.open_stream()
    assert stream.readline()
    control.write_text('{"faults": {"stall": true}}')
    counted = -1.0
    while counted != (counted := engine.metric("generation_tokens_total")):
        time.sleep(0.3)
    assert engine.send("GET", "/health")[0] == engine.send("GET", "/v1/models")[0] == 200
    late = engine.open_stream(max_tokens=1)
    assert late.status == 200, "headers come, events do not"
    assert engine.send("POST", "/v1/completions", {"prompt": "a", "model": "x"})[0] == 404
    assert engine.metric("generation_tokens_total") == counted
    control.write_text("{}")
    assert b"[DONE]" in stream.read()
    assert b"[DONE]" in late.read()


def test_a_stall_after_requests(start: Start) -> None:
    engine = start(faults={"stall_after_requests": 1})
    engine.post("/v1/completions", {"prompt": "a"})
    with pytest.raises(TimeoutError):
        engine.send("POST", "/v1/completions", {"prompt": "a"}, timeout=0.2)
    assert engine.send("GET", "/health")[0] == 200
    waiting = engine.open_stream()
    assert (waiting.status, gauges(engine)) == (200, (0, 0)), "it looks idle"


def test_the_first_request_is_slow_and_the_second_is_not(start: Start) -> None:
    engine = start(first_request=1.0)
    begun = time.monotonic()
    engine.post("/v1/completions", {"prompt": "a", "max_tokens": 1})
    first = time.monotonic() - begun
    engine.post("/v1/completions", {"prompt": "a", "max_tokens": 1})
    assert first >= 1.0
    assert engine.metric("time_to_first_token_seconds_bucket", le="0.5") == 1


def test_the_first_logprobs_freeze_every_stream(start: Start) -> None:
    engine = start(tokens=200, itl=0.005, first_logprobs=1.0)
    stream = engine.open_stream()
    assert stream.readline()
    engine.post("/v1/chat/completions", {**CHAT, "max_tokens": 1, "logprobs": True, "top_logprobs": 2})
    engine.post("/v1/completions", {"prompt": "a", "max_tokens": 1, "logprobs": 1})
    assert b"[DONE]" in stream.read()
    assert engine.metric("inter_token_latency_seconds_bucket", le="0.75") == 199
    assert engine.metric("inter_token_latency_seconds_count") == 200


def test_errors_are_spread_evenly(start: Start) -> None:
    engine = start(faults={"error_rate": 0.25, "error_status": 503})
    found = [engine.send("POST", "/v1/completions", {"prompt": "a"})[0] for _ in range(8)]
    assert found == [200, 200, 200, 503] * 2


def test_slow_and_unhealthy(start: Start) -> None:
    engine = start(ttft=0.01, itl=0.001, faults={"slow": 10, "unhealthy": True})
    begun = time.monotonic()
    engine.post("/v1/completions", {"prompt": "a", "max_tokens": 11})
    assert time.monotonic() - begun > 0.19
    assert engine.send("GET", "/health")[0] == 503


def test_sigterm_may_be_ignored(start: Start) -> None:
    engine = start(faults={"ignore_sigterm": True})
    engine.process.send_signal(signal.SIGTERM)
    time.sleep(0.1)
    assert engine.send("GET", "/health")[0] == 200


def test_faults_come_and_go_with_the_control_file(start: Start, tmp_path: Path) -> None:
    control = tmp_path / "control.json"
    engine = start("--simulate-file", str(control), tokens=30, itl=0.02)
    stream = engine.open_stream()
    assert stream.readline()

    def health() -> int | None:
        with contextlib.suppress(TimeoutError):
            return int(engine.send("GET", "/health", timeout=0.5)[0])
        return None

    control.write_text('{"faults": {"hang": true}}')
    wait(lambda: health() is None)
    control.write_text('{"faults": {"unhealthy": true}}')
    wait(lambda: health() == 503)
    assert b"[DONE]" in stream.read()
    control.write_text('{"fau')
    wait(lambda: "control file not read" in engine.log.read_text())
    control.unlink()
    wait(lambda: engine.send("GET", "/health")[0] == 200)
