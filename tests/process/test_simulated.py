"""The simulated engine as a process: what it answers, counts and refuses."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.engine import CHAT, KEY, LIMIT, Engine, Start, starter

from stoker.engine.openai import delta_text, finish_reason, usage


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with starter(tmp_path_factory.mktemp("engine")) as begin:
        yield begin("--served-model-name", "demo", "alias", "--lora-modules", "tuned=/x", *LIMIT)


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
