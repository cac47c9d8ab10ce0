"""The simulated engine as a process: started, asked, broken, stopped."""

import base64
import contextlib
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.engine import CHAT, KEY, LIMIT, Engine, Start, starter, wait

from stoker.engine.openai import SseReader, delta_text, finish_reason, usage


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with starter(tmp_path) as begin:
        yield begin


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with starter(tmp_path_factory.mktemp("engine")) as begin:
        yield begin("--served-model-name", "demo", "alias", "--lora-modules", "tuned=/x", *LIMIT)


# answers


def test_a_plain_chat(engine: Engine) -> None:
    body = engine.post(
        "/v1/chat/completions", {**CHAT, "model": "alias", "max_tokens": 4.0, "top_k": 1.0, "n": 2}
    )
    assert body["object"] == "chat.completion"
    assert body["model"] == "alias"
    assert [choice["message"]["content"] for choice in body["choices"]] == ["one two three one"] * 2
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["total_tokens"] == 3 + 2 * 4


def test_a_streamed_chat(engine: Engine) -> None:
    body = {**CHAT, "max_tokens": 4, "stream_options": {"include_usage": True}}
    events = engine.stream("/v1/chat/completions", body)
    chunks = [event.json() for event in events[:-1]]
    assert events[-1].done
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [delta_text(chunk) for chunk in chunks[1:5]] == ["one", " two", " three", " one"]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks[:-1]] == [None] * 4 + ["length"]
    assert chunks[-1]["choices"] == []
    found = usage(chunks[-1])
    assert found is not None
    assert (found.prompt, found.completion) == (3, 4)


def test_a_streamed_chat_that_ends_by_itself_ends_a_token_later(engine: Engine) -> None:
    events = engine.stream("/v1/chat/completions", {**CHAT, "stream_options": {"include_usage": True}})
    *_, word, end, used, done = events
    assert (delta_text(word.json()), finish_reason(word.json())) == (" one", None)
    assert (delta_text(end.json()), finish_reason(end.json())) == ("", "stop")
    found = usage(used.json())
    assert found is not None
    assert (found.completion, done.done) == (16 + 1, True)


def test_the_second_choice_starts_and_ends_a_step_later(engine: Engine) -> None:
    events = engine.stream("/v1/completions", {"prompt": "a", "max_tokens": 2, "n": 2, "temperature": 1})
    order = [event.json()["choices"][0] for event in events[:-1]]
    assert [(one["index"], one["finish_reason"]) for one in order] == [
        (0, None),
        (0, "length"),
        (1, None),
        (1, "length"),
    ]


def test_streams_of_several_choices_keep_them_apart(engine: Engine) -> None:
    events = engine.stream("/v1/completions", {"prompt": ["a", "b c"], "max_tokens": 2, "stop": "c"})
    texts = ["", ""]
    for chunk in (event.json() for event in events[:-1]):
        texts[chunk["choices"][0]["index"]] += delta_text(chunk)
    assert texts == ["a a", "b "]


def test_plain_and_streamed_completions_agree(engine: Engine) -> None:
    body = {"prompt": "a b", "max_tokens": 3, "echo": True}
    plain = engine.post("/v1/completions", body)["choices"][0]["text"]
    streamed = [delta_text(event.json()) for event in engine.stream("/v1/completions", body)]
    assert plain == "".join(streamed) == "a b a b a"


@pytest.mark.parametrize(
    ("path", "body", "first", "last", "delta"),
    [
        ("/v1/responses", {"input": "one two"}, "response.created", "response.completed", "delta"),
        ("/v1/messages", {**CHAT, "max_tokens": 2}, "message_start", "message_stop", "delta"),
    ],
)
def test_typed_streams(
    engine: Engine, path: str, body: dict[str, Any], first: str, last: str, delta: str
) -> None:
    events = engine.stream(path, body)
    assert [events[0].event, events[-1].event] == [first, last]
    assert all(event.json()["type"] == event.event for event in events)
    deltas = [event.json()[delta] for event in events if event.event.endswith(("text.delta", "block_delta"))]
    assert "".join(text if isinstance(text, str) else text["text"] for text in deltas).startswith("one two")


def test_typed_bodies(engine: Engine) -> None:
    response = engine.post("/v1/responses", {"input": "hi", "max_output_tokens": 1})
    assert response["output"][0]["content"][0]["text"] == "hi"
    assert response["status"] == "incomplete"
    message = engine.post("/v1/messages", {**CHAT, "max_tokens": 99, "stop_sequences": ["three"]})
    assert (message["content"][0]["text"], message["stop_reason"]) == ("one two ", "stop_sequence")


def test_tokens_there_and_back(engine: Engine) -> None:
    found = engine.post("/tokenize", {"prompt": "one two one", "return_token_strs": True})
    assert (found["count"], found["max_model_len"], found["token_strs"]) == (3, 100, ["one", "two", "one"])
    assert engine.post("/detokenize", {"tokens": found["tokens"]}) == {"prompt": "one two one"}
    assert engine.post("/tokenize", CHAT)["count"] == 3
    assert engine.post("/v1/messages/count_tokens", {**CHAT, "system": "be brief"})["input_tokens"] == 5


def test_embeddings_of_a_pooling_model(start: Start) -> None:
    engine = start("--runner", "pooling")
    assert engine.send("POST", "/v1/chat/completions", CHAT)[0] == 404
    numbers = engine.post("/v1/embeddings", {"input": ["a", "b"]})["data"]
    packed = engine.post("/v1/embeddings", {"input": "a", "encoding_format": "base64"})["data"]
    assert len(base64.b64decode(packed[0]["embedding"])) == 4 * len(numbers[0]["embedding"])


def test_what_it_says_of_itself(engine: Engine) -> None:
    cards = json.loads(engine.send("GET", "/v1/models")[2])["data"]
    assert [(card["id"], card["parent"]) for card in cards] == [
        ("demo", None),
        ("alias", None),
        ("tuned", "demo"),
    ]
    assert engine.post("/v1/completions", {"prompt": "a", "model": "tuned"})["model"] == "tuned"
    assert json.loads(engine.send("GET", "/version")[2]) == {"version": "0.32.0"}
    for method, path in (("GET", "/health"), ("GET", "/ping"), ("POST", "/ping")):
        assert engine.send(method, path)[::2] == (200, b"")
    assert engine.send("POST", "/scale_elastic_ep", {})[0] == 400
    assert engine.send("GET", "/lo%61d")[::2] == (200, b'{"server_load":0}')


def test_administration_is_there_for_developers_alone(start: Start, engine: Engine) -> None:
    paths = ("/reset_prefix_cache", "/v1/load_lora_adapter", "/sleep")
    assert [engine.send("POST", path, {})[0] for path in paths] == [404] * 3
    developer = start(env={"VLLM_SERVER_DEV_MODE": "1"})
    assert [developer.post(path, {}) for path in paths] == [{"admin": True}] * 3


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "part"),
    [
        (
            "POST",
            "/v1/chat/completions",
            {**CHAT, "model": "other"},
            404,
            "The model `other` does not exist.",
        ),
        ("POST", "/v1/chat/completions", b"{", 400, "JSON decode error"),
        ("POST", "/v1/chat/completions", b"[]", 400, "valid dictionary"),
        ("POST", "/v1/chat/completions", {}, 400, "Field required"),
        ("POST", "/v1/completions", {"prompt": "x " * 101}, 400, "maximum context length is 100 tokens"),
    ],
)
def test_errors_are_openais(
    engine: Engine, method: str, path: str, body: Any, status: int, part: str
) -> None:
    found, _, data = engine.send(method, path, body)
    error = json.loads(data)["error"]
    assert (found, error["code"]) == (status, status)
    assert part in error["message"]


@pytest.mark.parametrize("body", [b"1" * 9999, b"[" * 99999, b'"\xff"'])
def test_a_body_that_python_cannot_read(engine: Engine, body: bytes) -> None:
    found = engine.send("POST", "/v1/chat/completions", body)
    assert found[::2] == (400, b'{"detail":"There was an error parsing the body"}')


def test_a_body_of_another_type_is_refused(engine: Engine) -> None:
    status, _, data = engine.send("POST", "/v1/completions", {"prompt": "a"}, content_type="text/plain")
    assert status == 400
    assert "Unsupported Media Type" in json.loads(data)["error"]["message"]
    assert "Anthropic" not in data.decode()
    refused = json.loads(engine.send("POST", "/v1/messages", {**CHAT, "max_tokens": 1, "model": "x"})[2])
    assert (refused["type"], refused["error"]["type"]) == ("error", "NotFoundError")


def test_what_is_counted(start: Start) -> None:
    engine = start("--block-size", "2")
    for _ in range(2):
        engine.post("/v1/chat/completions", {**CHAT, "max_tokens": 5, "n": 2})
    assert engine.metric("prompt_tokens_total") == 2 * 2 * 3, "each answer reads the prompt"
    assert engine.metric("generation_tokens_total") == 20
    assert engine.metric("request_success_total", finished_reason="length") == 4
    assert engine.metric("time_to_first_token_seconds_count") == 4
    assert engine.metric("inter_token_latency_seconds_count") == 16
    assert engine.metric("prefix_cache_hits_total") == 2 + 4
    assert engine.metric("cache_config_info", block_size="2", num_gpu_blocks="4096") == 1


def test_the_key_guards_v1_only(start: Start) -> None:
    engine = start(key=KEY)
    assert engine.send("GET", "/v1/models")[::2] == (401, b'{"error":"Unauthorized"}')
    assert engine.send("GET", "/v1/models", authorization="Bearer wrong")[0] == 401
    assert engine.send("GET", "/v1/models", authorization=f"bearer {KEY}")[0] == 200
    assert engine.send("GET", "/health")[0] == engine.send("GET", "/metrics")[0] == 200
    assert KEY not in engine.log.read_text()


def test_request_ids(start: Start, engine: Engine) -> None:
    assert engine.post("/v1/completions", {"prompt": "a"}, x_request_id="r1")["id"] == "cmpl-r1"
    assert "x-request-id" not in engine.send("POST", "/v1/completions", {"prompt": "a"}, x_request_id="r1")[1]
    told = start("--enable-request-id-headers")
    assert told.send("POST", "/v1/completions", {"prompt": "a"}, x_request_id="r1")[1]["x-request-id"] == "r1"


# order, time


def test_headers_come_before_the_first_token_and_others_wait(start: Start) -> None:
    engine = start("--max-num-seqs", "1", ttft=1.5)
    begun = time.monotonic()
    first, second = engine.open_stream(), engine.open_stream()
    assert time.monotonic() - begun < 1.5
    assert b"[DONE]" in first.read()
    assert time.monotonic() - begun > 1.5
    assert b"[DONE]" in second.read()
    assert time.monotonic() - begun > 3.0


def gauges(engine: Engine) -> tuple[float, float]:
    return engine.metric("num_requests_running"), engine.metric("num_requests_waiting")


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
    before = stream.read1()
    assert b"[DONE]" not in before
    stream.fp.raw._sock.settimeout(0.5)  # type: ignore[union-attr]
    with pytest.raises(TimeoutError):
        stream.read1()
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


# faults


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
