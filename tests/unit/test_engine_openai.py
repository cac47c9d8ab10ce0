"""OpenAI's bodies and stream events: made, cut up anywhere, read back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.engine import openai
from stoker.engine.openai import SseEvent, SseReader, Usage, delta_text, sse


def test_an_event_is_read_back() -> None:
    [event] = SseReader().feed(sse({"a": "ä\n"}))
    assert event == SseEvent("message", '{"a":"ä\\n"}')
    assert event.json() == {"a": "ä\n"}


def test_a_typed_event_keeps_its_name_for_itself() -> None:
    events = SseReader().feed(sse({"x": 1}, "ping") + sse({"x": 2}))
    assert [event.event for event in events] == ["ping", "message"]


@pytest.mark.parametrize(
    ("text", "data"),
    [
        (b"data: a\n\n", ["a"]),
        (b"data:a\n\n", ["a"]),
        (b"data: a\r\n\r\n", ["a"]),
        (b"data: a\ndata: b\n\n", ["a\nb"]),
        (b": keep-alive\n\ndata: a\n\n", ["a"]),
        (b"id: 7\nretry: 10\ndata: a\n\n", ["a"]),
        (b"data\n\n", [""]),
        (b"event: named\n\n", []),
        (b"data: unfinished\n", []),
    ],
)
def test_the_format_of_the_standard(text: bytes, data: list[str]) -> None:
    assert [event.data for event in SseReader().feed(text)] == data


@given(
    st.lists(st.tuples(st.text(), st.sampled_from(["", "delta"])), max_size=5),
    st.lists(st.integers(1, 9), min_size=1, max_size=200),
)
def test_portions_do_not_matter(events: list[tuple[str, str]], sizes: list[int]) -> None:
    stream = b"".join(sse({"text": text}, name) for text, name in events)
    reader, found = SseReader(), []
    while stream:
        size = sizes.pop() if sizes else len(stream)
        found += reader.feed(stream[:size])
        stream = stream[size:]
    surrogates_lost = [text.encode("utf-8", "replace").decode() for text, _ in events]
    assert [event.json()["text"] for event in found] == surrogates_lost


def test_done_is_no_json() -> None:
    [event] = SseReader().feed(openai.DONE_EVENT)
    assert event.done
    assert event.json() == {}
    with pytest.raises(ValueError, match="JSON object"):
        SseEvent("message", "[1]").json()


@pytest.mark.parametrize(
    ("chunk", "text"),
    [
        ({"choices": [{"delta": {"content": "hi"}}]}, "hi"),
        ({"choices": [{"delta": {"role": "assistant", "content": None}}]}, ""),
        ({"choices": [{"delta": {"role": "assistant"}}]}, ""),
        ({"choices": [{"text": " there"}]}, " there"),
        ({"choices": [], "usage": {}}, ""),
        ({"error": {"message": "no"}}, ""),
    ],
)
def test_text_of_a_chunk(chunk: dict[str, object], text: str) -> None:
    assert delta_text(chunk) == text


def test_usage_and_errors_read_what_was_written() -> None:
    assert openai.usage({"usage": openai.usage_body(Usage(3, 4))}) == Usage(3, 4)
    assert openai.usage({"usage": None}) is None
    assert openai.finish_reason({"choices": [{"finish_reason": "stop"}]}) == "stop"
    body = openai.error_body("no such model", "NotFoundError", 404, "model")
    assert json.loads(openai.dump(body))["error"]["param"] == "model"
    assert openai.error_message(body) == "no such model"
    assert openai.error_message({"error": "Unauthorized"}) == "Unauthorized"
    assert openai.error_message({"choices": []}) is None
