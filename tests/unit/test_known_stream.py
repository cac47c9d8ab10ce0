"""The known server's streams, as values: an oracle has to be right itself."""

import json
from typing import Any

import pytest
from tests.support.known_stream import Step, Timing, Words, plan

WORDS = Words(3, "m", True, 5, 6, False)


def body(event: bytes) -> Any:
    assert event.startswith(b"data: ")
    assert event.endswith(b"\n\n")
    return json.loads(event[6:])


def test_a_plain_stream_is_exact_to_the_gap() -> None:
    steps = plan(Timing(role=0.1, first=0.3, gap=0.02), 0, 3)
    assert steps == [
        Step(0.3 - 0.1, "role"),
        Step(0.3, "content", 1),
        Step(0.3 + 0.02, "content", 1),
        Step(0.3 + 0.02 + 0.02, "content", 1),
        *(Step(0.3 + 0.02 + 0.02, kind) for kind in ("usage", "done", "end")),
    ]


def test_a_completion_has_no_role_and_usage_comes_only_where_it_is_asked_for() -> None:
    kinds = [step.kind for step in plan(Timing(), 0, 1, chat=False, usage=False)]
    assert kinds == ["content", "done", "end"]


def test_long_gaps_and_events_of_several_tokens_come_by_their_numbers() -> None:
    timing = Timing(first=0.0, gap=1.0, long_every=2, long_gap=5.0, several_every=3, several=2)
    contents = [step for step in plan(timing, 0, 6) if step.kind == "content"]
    assert [step.at for step in contents] == [0, 1, 6, 7, 12]
    assert [step.tokens for step in contents] == [1, 1, 2, 1, 1]


def test_the_last_event_has_no_more_tokens_than_are_left() -> None:
    contents = [s.tokens for s in plan(Timing(several_every=1, several=4), 0, 6) if s.kind == "content"]
    assert contents == [4, 2]


def test_a_separate_end_is_a_gap_after_the_last_token() -> None:
    steps = plan(Timing(first=0.0, gap=1.0, separate_end=True), 0, 2)
    assert [(step.at, step.kind) for step in steps[2:]] == [
        (1, "content"),
        (2, "finish"),
        (2, "usage"),
        (2, "done"),
        (2, "end"),
    ]


def test_the_first_tokens_are_spread_evenly() -> None:
    firsts = sorted(plan(Timing(role=None, first=1.0, spread=0.5), n, 1)[0].at for n in range(1000))
    assert firsts[0] >= 1.0
    assert firsts[-1] < 1.5
    for share in (0.1, 0.5, 0.9):
        assert firsts[int(share * 1000)] == pytest.approx(1 + share * 0.5, abs=0.002)


@pytest.mark.parametrize(
    ("how", "kinds"),
    [
        ("error", ["error", "done", "end"]),
        ("malformed", ["malformed", "done", "end"]),
        ("early", ["end"]),
        ("lost", ["lost"]),
        ("stall", ["stall"]),
    ],
)
def test_each_nth_stream_breaks_after_half_of_its_tokens(how: str, kinds: list[str]) -> None:
    timing = Timing(role=None, broken_every=4, broken_how=(how,))
    assert [timing.breaks(n) for n in range(8)] == [None, None, None, how] * 2
    assert [step.kind for step in plan(timing, 3, 6)] == ["content"] * 3 + kinds
    assert plan(timing, 2, 6)[-1].kind == "end"


def test_the_ways_to_break_take_turns() -> None:
    timing = Timing(broken_every=1)
    assert {timing.breaks(n) for n in range(3)} == {"error", "early", "lost"}


def test_settings_come_back_from_json_as_they_were() -> None:
    timing = Timing(role=None, spread=0.25, broken_every=3, broken_how=("lost",))
    assert Timing.from_json(timing.to_json()) == timing


def test_events_are_written_as_a_chat_of_vllm() -> None:
    role = body(WORDS.event(Step(0, "role"), False))["choices"][0]
    assert role["delta"] == {"role": "assistant", "content": ""}
    two = body(WORDS.event(Step(0, "content", 2), False))["choices"][0]
    assert (two["delta"]["content"].split(), two["finish_reason"]) == (["one", "one"], None)
    last = body(WORDS.event(Step(0, "content", 1), True))["choices"][0]
    assert last["finish_reason"] == "length"
    usage = body(WORDS.event(Step(0, "usage"), False))
    assert (usage["choices"], usage["usage"]["completion_tokens"]) == ([], 6)
    assert body(WORDS.event(Step(0, "error"), False))["error"]["code"] == 500


def test_the_finish_reason_of_a_separate_end_comes_in_an_empty_event() -> None:
    words = Words(3, "m", False, 5, 6, True)
    assert body(words.event(Step(0, "content", 1), True))["choices"][0]["finish_reason"] is None
    end = body(words.event(Step(0, "finish"), False))["choices"][0]
    assert (end["text"], end["finish_reason"]) == ("", "stop")


def test_a_refusal_is_no_stream() -> None:
    assert plan(Timing(broken_every=1, broken_how=("429",)), 0, 4) == []


def test_a_malformed_event_is_no_json() -> None:
    with pytest.raises(json.JSONDecodeError):
        body(WORDS.event(Step(0, "malformed"), False))


def test_each_event_tells_the_tokens_so_far_where_it_is_asked_to() -> None:
    plain = WORDS.event(Step(0, "content", 2), False)
    counted = body(WORDS.counted(plain, 4))
    assert counted.pop("usage") == {"prompt_tokens": 5, "completion_tokens": 4, "total_tokens": 9}
    assert counted == body(plain)


def test_a_probe_of_one_token_is_never_broken() -> None:
    assert Timing(broken_every=1).breaks(0, tokens=1) is None
    assert plan(Timing(broken_every=1), 0, 1)[-1].kind == "end"
