"""A stream's bytes with their times become tokens with theirs; what is broken is a failure whatever its
status."""

import json
from typing import Any

import pytest

from stoker.traffic.answers import Answered, read_stream, refused

DONE = b"data: [DONE]\n\n"


def event(
    text: str | None = None, *, finish: str | None = None, count: int | None = None, **more: Any
) -> bytes:
    delta = {"role": "assistant", "content": ""} if text is None else {"content": text}
    body: dict[str, Any] = {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}
    if count is not None:
        body["usage"] = {"prompt_tokens": 9, "total_tokens": 9 + count, "completion_tokens": count}
    return b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n"


def usage(count: int, cached: int | None = None) -> bytes:
    details = {"prompt_tokens_details": {"cached_tokens": cached}} if cached is not None else {}
    told = {"prompt_tokens": 9, "completion_tokens": count, **details}
    return b"data: " + json.dumps({"choices": [], "usage": told}).encode() + b"\n\n"


def read(*pieces: tuple[float, bytes], whole: bool = True, **more: Any) -> Answered:
    return read_stream(pieces, whole, **more)


def test_a_role_alone_is_an_event_and_no_token() -> None:
    found = read(
        (1.0, event()), (2.0, event("a")), (3.0, event("b", finish="length")), (3.1, usage(2) + DONE)
    )
    assert (found.first_event, list(found.times), found.counts) == (1.0, [2.0, 3.0], None)
    assert (found.input, found.output, found.failure) == (9, 2, None)


def test_the_servers_count_of_each_event_is_believed() -> None:
    found = read(
        (1.0, event(count=0)),
        (2.0, event("a", count=1)),
        (3.0, event("bcd", count=4)),
        (4.0, event("e", finish="length", count=5)),
        (4.0, usage(5, cached=4) + DONE),
    )
    assert (list(found.times), list(found.counts or ())) == ([2.0, 3.0, 4.0], [1, 3, 1])
    assert (found.output, found.cached) == (5, 4)


def test_an_end_token_without_text_counts_where_the_server_counts_it() -> None:
    ends = (3.0, event("", finish="stop", count=2))
    found = read((1.0, event(count=0)), (2.0, event("a", count=1)), ends, (3.0, usage(2) + DONE))
    assert list(found.times) == [2.0, 3.0]


def test_a_usage_at_the_end_alone_adds_no_tokens() -> None:
    found = read((2.0, event("a")), (3.0, event("b", finish="stop")), (9.0, usage(3) + DONE))
    assert (list(found.times), found.output) == ([2.0, 3.0], 3)


def test_events_cut_anywhere_have_the_time_of_their_last_byte() -> None:
    whole = event() + event("a") + event("b", finish="length") + usage(2) + DONE
    for cut in range(1, len(whole)):
        found = read((1.0, whole[:cut]), (2.0, whole[cut:]))
        assert found.failure is None
        assert len(found.times) == 2
        first_ends = len(event() + event("a"))
        assert found.times[0] == (1.0 if cut >= first_ends else 2.0)


def test_lines_may_end_in_cr_and_lf() -> None:
    whole = (event("a", finish="stop") + usage(1) + DONE).replace(b"\n", b"\r\n")
    assert read((1.0, whole)).failure is None


def test_words_of_an_answer_are_no_fields() -> None:
    trap = '"error": "completion_tokens": 999, "finish_reason":"abort" [DONE]'
    found = read(
        (1.0, event(trap, count=1)), (2.0, event("x", finish="stop", count=2)), (2.0, usage(2) + DONE)
    )
    assert (found.failure, found.output, list(found.times)) == (None, 2, [1.0, 2.0])


def test_the_text_is_kept_where_it_is_asked_for() -> None:
    pieces = (1.0, event() + event("Hel") + event("lo", finish="stop") + usage(2) + DONE)
    assert read(pieces, keep_text=True).text == "Hello"
    assert read(pieces).text == ""


def test_completions_are_read_as_chats_are() -> None:
    body = {"choices": [{"index": 0, "text": " a", "finish_reason": "length"}]}
    found = read((1.0, b"data: " + json.dumps(body).encode() + b"\n\n"), (1.0, usage(1) + DONE))
    assert (list(found.times), found.failure) == ([1.0], None)


ERROR = b'data: {"error": {"message": "EngineCore died", "type": "InternalServerError", "code": 500}}\n\n'


@pytest.mark.parametrize(
    ("stream", "whole", "kind", "words"),
    [
        (event("a") + ERROR + DONE, True, "stream-error", "EngineCore died"),
        (event("a"), True, "cut", "[DONE]"),
        (event("a", finish="length") + usage(1), True, "cut", "[DONE]"),
        (event("a", finish="length") + usage(1) + DONE, False, "cut", "[DONE]"),
        (event("a") + DONE, True, "cut", "finish reason"),
        (event("a", finish="abort") + DONE, True, "stream-error", "abort"),
        (b"", True, "cut", "first event"),
        (b"data: {not json\n\n" + DONE, True, "cut", "finish reason"),
    ],
)
def test_what_is_broken_is_a_failure(stream: bytes, whole: bool, kind: str, words: str) -> None:
    failure = read((1.0, stream), whole=whole).failure
    assert failure is not None
    assert (failure.kind, words in failure.text) == (kind, True)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (429, b'{"error": {"message": "slow down"}}', "slow down"),
        (404, b'{"detail": "Not Found"}', "Not Found"),
        (503, b"<html>busy</html>", "<html>busy</html>"),
        (500, b"", ""),
    ],
)
def test_a_refusal_has_the_servers_words(status: int, body: bytes, words: str) -> None:
    found = refused(status, body)
    assert (found.kind, found.status, found.text) == ("status", status, words)
