"""Until something of the answer is shown: what vLLM sends ahead of it is held, and a lost replica costs
nothing.

The events are those of vLLM 0.32 on each route, in its order.
"""

import json
from collections.abc import Callable, Iterable
from typing import Any

import httpx2
import pytest
from tests.support.bare import END, EVENTS, Bare, chunk
from tests.support.endpoint import Endpoint


def event(body: dict[str, Any], name: str = "") -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(body)}\n\n".encode()


def typed(kind: str, **more: Any) -> bytes:
    return event({"type": kind, **more}, kind)


def chat(one: str, delta: dict[str, Any], **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None, **more}
    return event({"id": one, "object": "chat.completion.chunk", "choices": [choice]})


def text(one: str, words: str, **more: Any) -> bytes:
    return event({"id": one, "object": "text_completion", "choices": [{"index": 0, "text": words, **more}]})


DONE = b"data: [DONE]\n\n"
ITEM = {"type": "message", "status": "in_progress", "content": []}


def response(one: str, status: str) -> dict[str, Any]:
    return {"id": one, "object": "response", "status": status, "output": []}


SHAPES: dict[str, tuple[str, Callable[[str], list[bytes]], Callable[[str], list[bytes]]]] = {
    "chat": (
        "/v1/chat/completions",
        lambda one: [chat(one, {"role": "assistant", "content": ""})],
        lambda one: [chat(one, {"content": "hi"}), chat(one, {}, finish_reason="stop"), DONE],
    ),
    "chat, reasoning first": (
        "/v1/chat/completions",
        lambda one: [chat(one, {"role": "assistant", "content": ""}), chat(one, {"content": ""})],
        lambda one: [chat(one, {"reasoning": "hm"}), chat(one, {"content": "hi"}), DONE],
    ),
    "chat, a tool": (
        "/v1/chat/completions",
        lambda one: [chat(one, {"role": "assistant", "content": ""})],
        lambda one: [chat(one, {"tool_calls": [{"index": 0, "function": {"name": "f"}}]}), DONE],
    ),
    "completions": (
        "/v1/completions",
        lambda one: [b": waiting\n\n", text(one, "")],
        lambda one: [text(one, "hi"), text(one, "", finish_reason="stop"), DONE],
    ),
    "responses": (
        "/v1/responses",
        lambda one: [
            typed("response.created", response=response(one, "in_progress")),
            typed("response.in_progress", response=response(one, "in_progress")),
        ],
        lambda one: [
            typed("response.output_item.added", item=ITEM),
            typed("response.content_part.added", part={"type": "output_text", "text": ""}),
            typed("response.output_text.delta", delta="hi"),
            typed("response.completed", response=response(one, "completed")),
        ],
    ),
    "responses, queued and opened": (
        "/v1/responses",
        lambda one: [
            typed("response.created", response=response(one, "queued")),
            typed("response.queued", response=response(one, "queued")),
            typed("response.in_progress", response=response(one, "in_progress")),
            typed("response.output_item.added", item=ITEM),
            typed("response.reasoning_part.added", part={"type": "reasoning_text", "text": ""}),
        ],
        lambda one: [
            typed("response.reasoning_text.delta", delta="hm"),
            typed("response.completed", response=response(one, "completed")),
        ],
    ),
    "messages": (
        "/v1/messages",
        lambda one: [
            typed(
                "message_start", message={"id": one, "type": "message", "role": "assistant", "content": []}
            ),
            typed("ping"),
            typed("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        ],
        lambda one: [
            typed("content_block_delta", index=0, delta={"type": "text_delta", "text": "hi"}),
            typed("content_block_stop", index=0),
            typed("message_stop"),
        ],
    ),
}
FAILED = {
    "chat": [
        event({"error": {"message": "boom", "type": "InternalServerError", "param": None, "code": 500}}),
        DONE,
    ],
    "responses": [typed("error", code="server_error", message="boom", param=None)],
    "messages": [typed("error", error={"type": "internal_error", "message": "boom"})],
}


def asked(endpoint: Endpoint, path: str) -> httpx2.Response:
    return httpx2.post(endpoint.url + path, json={"model": "m", "stream": True}, timeout=60)


def two(
    endpoint: Endpoint, first: Callable[[str], Iterable[bytes]], then: Callable[[str], Iterable[bytes]]
) -> None:
    """Two replicas: whichever is asked first says the one, whichever is asked next the other."""
    count = iter(range(1000))

    def says(_: bytes) -> Iterable[bytes]:
        number = next(count)
        return (first if number == 0 else then)(f"id-{number}")

    for name in ("a", "b"):
        Bare(says).join(endpoint, name)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("together", [True, False])
def test_a_replica_lost_after_what_shows_nothing_is_not_seen(
    endpoint: Endpoint, shape: str, together: bool
) -> None:
    path, opening, rest = SHAPES[shape]
    endpoint.start()

    def dies(one: str) -> list[bytes]:
        events = [chunk(each) for each in opening(one)]
        return [EVENTS, *([b"".join(events)] if together else events)]

    def whole(one: str) -> list[bytes]:
        return [EVENTS, *map(chunk, [*opening(one), *rest(one)]), END]

    two(endpoint, dies, whole)
    answer = asked(endpoint, path)
    assert answer.status_code == 200
    assert answer.content == b"".join([*SHAPES[shape][1]("id-1"), *rest("id-1")]), (
        "one whole answer, under one id"
    )


@pytest.mark.parametrize("shape", FAILED)
def test_an_engines_error_behind_what_shows_nothing_is_tried_elsewhere(
    endpoint: Endpoint, shape: str
) -> None:
    path, opening, rest = SHAPES[shape]
    endpoint.start()
    two(
        endpoint,
        lambda one: [EVENTS, *map(chunk, [*opening(one), *FAILED[shape]]), END],
        lambda one: [EVENTS, *map(chunk, [*opening(one), *rest(one)]), END],
    )
    assert asked(endpoint, path).content == b"".join([*opening("id-1"), *rest("id-1")])


def test_what_every_replica_says_is_the_answer(endpoint: Endpoint) -> None:
    path, opening, _ = SHAPES["responses"]
    endpoint.start()

    def fails(one: str) -> list[bytes]:
        return [EVENTS, *map(chunk, [*opening(one), *FAILED["responses"]]), END]

    two(endpoint, fails, fails)
    answer = asked(endpoint, path)
    assert answer.content == b"".join([*opening("id-1"), *FAILED["responses"]])
    assert answer.headers["content-type"].startswith("text/event-stream")


@pytest.mark.parametrize("shape", SHAPES)
def test_after_the_first_that_shows_something_a_loss_is_told(endpoint: Endpoint, shape: str) -> None:
    path, opening, rest = SHAPES[shape]
    endpoint.start()
    two(
        endpoint,
        lambda one: [EVENTS, *map(chunk, [*opening(one), *rest(one)[:-1]])],
        lambda one: [EVENTS, END],
    )
    answer = asked(endpoint, path)
    assert answer.content.startswith(b"".join([*opening("id-0"), *rest("id-0")[:-1]]))
    assert b"was lost" in answer.content


def test_an_answer_that_shows_nothing_to_its_end_is_still_an_answer(endpoint: Endpoint) -> None:
    endpoint.start()
    only = [chat("x", {"role": "assistant", "content": ""})]
    Bare(lambda _: [EVENTS, *map(chunk, only), END]).join(endpoint, "a")
    assert asked(endpoint, "/v1/chat/completions").content == only[0]


def test_what_is_held_is_bounded(endpoint: Endpoint) -> None:
    """An engine that opens for ever is shown, not collected."""
    endpoint.start()
    long = typed("response.created", response={"instructions": "x" * (1 << 20)})
    Bare(lambda _: [EVENTS, *[chunk(long)] * 9]).join(endpoint, "a")
    answer = asked(endpoint, "/v1/responses")
    assert answer.content.startswith(long * 9)
    assert b"was lost" in answer.content


def test_a_stream_in_any_portions_is_the_same_stream(endpoint: Endpoint) -> None:
    """Chunks that end within events, events that share a chunk, chunks that share a packet."""
    endpoint.start()
    events = b"".join(chat("x", {"content": word}) for word in "abcdefghijklmnop") + DONE
    cuts = [events[at : at + size] for size in (1, 7, 100) for at in range(0, len(events), size)]
    pieces = [chunk(cut) for cut in cuts]
    Bare(lambda _: [EVENTS, *pieces[:50], b"".join(pieces[50:90]), *pieces[90:], END]).join(endpoint, "a")
    assert asked(endpoint, "/v1/chat/completions").content == events * 3


BAD = {
    "LF alone": b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok",
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
    "a length and chunks": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: "
    b"chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "another protocol": b"HTTP/1.1 101 Switching\r\nupgrade: x\r\n\r\n",
    "a chunk that is none": EVENTS + b"zz\r\n",
    "a header without end": b"HTTP/1.1 200 OK\r\nx: " + b"a" * 100000,
    "a body cut short": b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nok",
}


@pytest.mark.parametrize("name", BAD)
def test_an_answer_that_is_not_http_is_a_lost_replica(endpoint: Endpoint, name: str) -> None:
    endpoint.start()
    good = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood"
    two(endpoint, lambda _: [BAD[name]], lambda _: [good])
    assert asked(endpoint, "/v1/chat/completions").text == "good"


def test_an_answer_of_any_framing_is_read(endpoint: Endpoint) -> None:
    endpoint.start()
    said = iter(
        [
            b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1;x=y\r\nk\r\n0\r\nsum: "
            b"1\r\n\r\n",
            b"HTTP/1.0 200 OK\r\n\r\nok",
            b"HTTP/1.1 200 OK\r\nconnection: x-secret\r\nx-secret: 1\r\n\r\nok",
        ]
    )
    Bare(lambda _: [next(said)]).join(endpoint, "a")
    for _ in range(4):
        answer = asked(endpoint, "/v1/chat/completions")
        assert (answer.status_code, answer.text) == (200, "ok")
        assert "x-secret" not in answer.headers


def test_an_answer_too_large_to_be_held_is_shown_as_it_comes(endpoint: Endpoint) -> None:
    endpoint.start()
    body = b"x" * (20 << 20)
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body)
    Bare(lambda _: [head, body]).join(endpoint, "a")
    answer = asked(endpoint, "/v1/embeddings")
    assert answer.headers["content-length"] == str(len(body))
    assert answer.content == body
