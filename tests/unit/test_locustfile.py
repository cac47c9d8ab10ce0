"""A rendered locustfile sends what `stoker bench` sends, and reads answers by the same rules."""

import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from tests.support.locustfile import rendered, workload

from stoker.errors import UsageError
from stoker.render.locust.locustfile import locustfile
from stoker.traffic import answers
from stoker.traffic.texts import Vocabulary
from stoker.traffic.workload import sessions, turns

OPEN: dict[str, dict[str, Any]] = {
    "Poisson": {"rate": 5, "duration": 30},
    "constant": {"rate": 5, "duration": 30, "arrivals": "constant", "seed": 7},
    "bursts": {"rate": 5, "duration": 30, "burstiness": 0.25},
    "a rise": {"rate": "0..9", "duration": 40},
    "steps": {"rate": "2:10s,8:10s,1:5s", "duration": 40},
    "a limit": {"rate": 5, "requests": 17},
    "lengths": {"rate": 5, "duration": 20, "input_len": "lognormal(300,200)", "output_len": "normal(50,9)"},
    "conversations": {"rate": 2, "duration": 20, "turns": "2..5", "prefix": "3x64", "think_time": 1.5},
    "a long prefix": {"rate": 3, "duration": 9, "prefix": "2x600", "input_len": "exponential(128)"},
}


def told(messages: list[dict[str, Any]]) -> str:
    (one,) = messages
    return str(one["content"])


def same(mine: Any, wanted: Any) -> None:
    """The turns of a conversation as both have it."""
    texts = [Vocabulary().text(turn, first=not number) for number, turn in enumerate(wanted)]
    assert [told(turn["messages"]) for turn in mine] == texts
    assert [turn["output"] for turn in mine] == [turn.output for turn in wanted]
    assert [turn["think"] for turn in mine] == [turn.think for turn in wanted]


@pytest.mark.parametrize("words", OPEN.values(), ids=OPEN)
@pytest.mark.parametrize("workers", [1, 3])
def test_an_open_loop_is_the_same_at_the_same_times(words: dict[str, Any], workers: int) -> None:
    file, asked = rendered(**words), workload(**words)
    for worker in range(workers):
        found = list(file.sessions(worker, workers))
        expected = list(sessions(asked, worker, workers))
        assert [index for index, _ in found] == [one.index for one in expected]
        assert [at for _, at in found] == pytest.approx([one.at for one in expected])
        for (index, _), one in zip(found[:5], expected, strict=False):
            same(file.turns(index), one.turns)


def test_a_trace_is_replayed(tmp_path: Path) -> None:
    rows = [
        {"timestamp": 500 * at, "input_length": 700 + at, "output_length": 9, "hash_ids": [1, at]}
        for at in range(20)
    ]
    (tmp_path / "trace.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    words = {"trace": str(tmp_path / "trace.jsonl"), "speed": 2}
    file, asked = rendered(**words), workload(**words)
    expected = list(sessions(asked))
    assert list(file.sessions(0, 1)) == [(one.index, one.at) for one in expected]
    for one in expected:
        same(file.turns(one.index), one.turns)


def test_given_prompts_and_messages(tmp_path: Path) -> None:
    lines = [{"prompt": "one", "max_tokens": 3}, {"messages": [{"role": "user", "content": "two"}]}]
    (tmp_path / "prompts.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in lines))
    for shuffle in (False, True):
        words = {"prompts": str(tmp_path / "prompts.jsonl"), "users": 3} | (
            {"shuffle": True} if shuffle else {}
        )
        file, asked = rendered(**words), workload(**words)
        for index in range(30):
            (mine,), (wanted,) = file.turns(index), turns(asked, index)
            assert mine["output"] == wanted.output
            assert told(mine["messages"]) == (wanted.text or "two")


def test_users_take_turns() -> None:
    file = rendered(prompts="guide", users=3, requests=7, think_time=2, spawn=6)
    assert (file.USERS, file.LIMIT, file.ARRIVALS["spawn"]) == (3, 7, 6.0)
    first = [told(file.turns(index)[0]["messages"]) for index in range(4)]
    assert first[0] == first[2] != first[1] == first[3]


def chunk(text: str | None = None, finish: str | None = None, tokens: int | None = None) -> bytes:
    delta = {} if text is None else {"content": text}
    event: dict[str, Any] = {"choices": [{"delta": delta, "finish_reason": finish}]}
    event |= {} if tokens is None else {"usage": {"prompt_tokens": 3, "completion_tokens": tokens}}
    return b"data: " + json.dumps(event).encode()


DONE = b"data: [DONE]"
WHOLE = [chunk(""), chunk("a"), chunk("b"), chunk(finish="stop"), DONE]
STREAMS: dict[str, list[bytes]] = {
    "whole": WHOLE,
    "with counts": [
        chunk("", tokens=0),
        chunk("ab", tokens=2),
        chunk("c", tokens=3),
        chunk(finish="length"),
        DONE,
    ],
    "counts that begin late": [chunk("a"), chunk("b", tokens=2), chunk(finish="stop"), DONE],
    "no [DONE]": WHOLE[:-1],
    "no finish reason": [chunk("a"), DONE],
    "aborted": [chunk("a"), chunk(finish="abort"), DONE],
    "an error": [chunk("a"), b'data: {"error": {"message": "the engine died", "code": 500}}', DONE],
    "an error as text": [chunk("a"), b'data: {"error": "the engine died"}', DONE],
    "text that speaks of an error": [chunk('the "error" of it'), chunk(finish="stop"), DONE],
    "nothing": [],
    "no JSON": [b"data: {", DONE],
}


@pytest.mark.parametrize("events", STREAMS.values(), ids=STREAMS)
def test_an_answer_is_read_by_the_rules_of_bench(events: list[bytes]) -> None:
    file = rendered(prompts="guide")
    mine = file.Answer()
    for at, event in enumerate(events):
        mine.line(float(at), event + b"\n")
        mine.line(float(at), b"\n")
    body = [(float(at), event + b"\n\n") for at, event in enumerate(events)]
    wanted = answers.read_stream(body, whole=True, keep_text=True)
    assert bool(mine.failure()) == (wanted.failure is not None)
    if wanted.failure is not None and wanted.failure.kind == "stream-error":
        assert wanted.failure.text[-20:] in mine.failure() or "abort" in mine.failure()
    assert mine.times == list(wanted.times)
    assert mine.counts == list(wanted.counts or [1] * len(wanted.times))
    if wanted.failure is None:
        assert mine.text() == wanted.text


def test_tokens_of_one_event_have_no_time_between_them() -> None:
    mine = rendered(prompts="guide").Answer()
    for at, tokens in ((1.0, 2), (1.5, 3), (1.75, 6)):
        mine.line(at, chunk("x", tokens=tokens))
    assert list(mine.gaps()) == [0.0, 0.5, 0.25, 0.0, 0.0]


def test_no_key_and_nothing_of_stoker_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENDPOINT_KEY", "sk-secret")
    text = locustfile(workload(prompts="guide"), "http://shop:8000", "m")
    assert "sk-secret" not in text
    assert "import stoker" not in text
    assert "from stoker" not in text
    assert rendered(prompts="guide").HEADERS["Authorization"] == "Bearer sk-secret"


def test_a_workload_that_is_too_large_for_a_cluster(tmp_path: Path) -> None:
    lines = (json.dumps({"prompt": "word " * 200}) + "\n" for _ in range(1000))
    (tmp_path / "prompts.jsonl").write_text("".join(lines))
    with pytest.raises(UsageError, match="the locustfile would have"):
        locustfile(workload(prompts=str(tmp_path / "prompts.jsonl")), "http://shop:8000", "m")


def test_quotes_and_signs_of_a_prompt_are_kept(tmp_path: Path) -> None:
    odd = 'a "quote", a \\ and \'\'\' and """ and \u2028 and ünï'
    (tmp_path / "prompts.jsonl").write_text(json.dumps({"prompt": odd}) + "\n")
    file = rendered(prompts=str(tmp_path / "prompts.jsonl"))
    assert told(file.turns(0)[0]["messages"]) == odd
    assert json.loads(file.body(file.turns(0)[0]["messages"], None))["messages"][0]["content"] == odd


def test_a_rate_goes_on_after_its_last_step() -> None:
    file, asked = rendered(rate="5:4s", duration=10), workload(rate="5:4s", duration=10)
    assert [at for _, at in islice(file.sessions(0, 1), 100)] == pytest.approx(
        [one.at for one in sessions(asked)]
    )
