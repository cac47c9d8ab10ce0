"""What a stream's events show a client: the table that decides whether a request may still go to another
replica."""

import json
from typing import Any

import pytest

from stoker.engine.showing import OPENINGS, Shows, shows

NOTHING, CONTENT, FAILURE = Shows.NOTHING, Shows.CONTENT, Shows.FAILURE


def choice(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "finish_reason": None, **fields}]}


TABLE: list[tuple[Any, Shows]] = [
    (choice(delta={"role": "assistant", "content": ""}), NOTHING),
    (choice(delta={"content": ""}), NOTHING),
    (choice(delta={"content": None, "tool_calls": []}), NOTHING),
    (choice(delta={"content": "a"}), CONTENT),
    (choice(delta={"reasoning": "a"}), CONTENT),
    (choice(delta={"tool_calls": [{"index": 0}]}), CONTENT),
    (choice(delta={}, finish_reason="stop"), CONTENT),
    (choice(delta={"content": ""}, token_ids=[1]), CONTENT),
    (choice(text=""), NOTHING),
    (choice(text=" "), CONTENT),
    ({"choices": []}, NOTHING),
    ({"choices": [], "usage": {"total_tokens": 3}}, NOTHING),
    ({"choices": [{"index": 0, "delta": {"content": ""}}, {"index": 1, "delta": {"content": "a"}}]}, CONTENT),
    *[({"type": kind}, NOTHING) for kind in sorted(OPENINGS)],
    ({"type": "response.output_text.delta", "delta": "a"}, CONTENT),
    ({"type": "response.web_search_call.in_progress"}, CONTENT),
    ({"type": "response.completed", "response": {}}, CONTENT),
    ({"type": "content_block_delta"}, CONTENT),
    ({"type": "content_block_stop"}, CONTENT),
    ({"type": "something new"}, CONTENT),
    ({"error": {"message": "boom", "code": 500}}, FAILURE),
    ({"error": {"message": "no", "code": 400}}, CONTENT),
    ({"error": {"message": "boom", "type": "InternalServerError"}}, FAILURE),
    ({"type": "error", "error": {"type": "internal_error"}}, FAILURE),
    ({"type": "error", "error": {"type": "invalid_request_error"}}, CONTENT),
    ({"type": "error", "code": "server_error", "message": "boom"}, FAILURE),
    ({"type": "response.failed", "response": {"error": {"code": "server_error"}}}, FAILURE),
    ({"type": "response.failed", "response": {"error": {"code": "invalid_prompt"}}}, CONTENT),
    ("a string", CONTENT),
    ([1], CONTENT),
]


@pytest.mark.parametrize(("body", "verdict"), TABLE)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_one_event(body: Any, verdict: Shows, ending: str) -> None:
    assert shows(f"event: x{ending}data: {json.dumps(body)}{ending}{ending}".encode()) is verdict


@pytest.mark.parametrize(
    ("events", "verdict"),
    [
        (b"", NOTHING),
        (b": keep-alive\n\n", NOTHING),
        (b"event: ping\n\n", NOTHING),
        (b"data: [DONE]\n\n", CONTENT),
        (b"data: {half\n\n", CONTENT),
        (b"data: \xff\n\n", CONTENT),
        (b"data: " + b"[" * 100_000 + b"\n\n", CONTENT),
        (b'data: {"type":\ndata: "ping"}\n\n', NOTHING),
        (b'data: {"type": "ping"}\n\ndata: {"error": {"code": 503}}\n\ndata: [DONE]\n\n', FAILURE),
        (b'data: {"type": "ping"}\n\ndata: {"type": "x"}\n\ndata: {"error": {"code": 503}}\n\n', CONTENT),
    ],
)
def test_several_events(events: bytes, verdict: Shows) -> None:
    assert shows(events) is verdict
