"""A workload in people's words: what is read, and what is refused with its place and a fix."""

import math
from pathlib import Path

import pytest

from stoker.bench.files import files, read_file
from stoker.errors import SpecError, UsageError
from stoker.traffic.arrivals import ClosedLoop, OpenLoop, Piece, Replay
from stoker.traffic.asked import WORDS, Asked, Files, read
from stoker.traffic.lengths import fixed, parse
from stoker.traffic.traces import Trace, TraceRow
from stoker.traffic.workload import Given, Recorded, Synthetic, Turn, Workload

TRACE = Trace((TraceRow(0, 10, 5), TraceRow(2, 20, 6)), 512)
FILES = Files(lambda path, columns: TRACE, lambda path: (Turn(text="hello", output=3),))


def asked(**words: object) -> Workload:
    return read({name: Asked(value, f"--{name}") for name, value in words.items()}, FILES)


def test_without_a_word_users_send_for_a_minute() -> None:
    found = asked()
    assert found.arrivals == ClosedLoop(8)
    assert (found.duration, found.warmup) == (60.0, 6.0)
    assert found.prompts == Synthetic(fixed(512), fixed(128))


@pytest.mark.parametrize(
    ("rate", "pieces"),
    [
        ("5", (Piece(math.inf, 5, 5),)),
        ("0.5/s", (Piece(math.inf, 0.5, 0.5),)),
        (5, (Piece(math.inf, 5, 5),)),
        ("1..10", (Piece(30, 1, 10),)),
        ("2:30s,8:1m", (Piece(30, 2, 2), Piece(60, 8, 8))),
        ("0:10s,8:1m", (Piece(10, 0, 0), Piece(60, 8, 8))),
    ],
)
def test_rates(rate: object, pieces: tuple[Piece, ...]) -> None:
    found = asked(rate=rate, duration="30s").arrivals
    assert isinstance(found, OpenLoop)
    assert (found.pieces, found.law) == (pieces, "poisson")


def test_burstiness_means_gamma() -> None:
    found = asked(rate="5", burstiness="0.5").arrivals
    assert found == OpenLoop((Piece(math.inf, 5, 5),), "gamma", 0.5)


def test_a_trace_is_replayed_to_its_end() -> None:
    found = asked(trace="x.csv", speed="2")
    assert (found.arrivals, found.duration) == (Replay(2.0), math.inf)
    assert found.prompts == Recorded(TRACE.rows, 512)


def test_given_prompts_may_have_another_length_of_answers() -> None:
    found = asked(prompts="guide", output_len="7").prompts
    assert found == Given((Turn(text="hello", output=7),))


def test_conversations_with_shared_beginnings() -> None:
    found = asked(rate="1", prefix="4x1024", turns="2..5", think_time="3s").prompts
    assert found == Synthetic(fixed(512), fixed(128), 4, 1024, parse("2..5"), 3.0)


@pytest.mark.parametrize(
    ("words", "place"),
    [
        ({"rate": "fast"}, "--rate"),
        ({"rate": "0"}, "--rate"),
        ({"rate": "1..5", "requests": "10"}, "--rate"),
        ({"rate": "5", "users": "3"}, "--rate"),
        ({"trace": "x", "rate": "5"}, "--rate"),
        ({"trace": "x", "trace_columns": "time"}, "--trace_columns"),
        ({"users": "0"}, "--users"),
        ({"users": "many"}, "--users"),
        ({"arrivals": "random", "rate": "5"}, "--arrivals"),
        ({"arrivals": "poisson", "rate": "5", "burstiness": "2"}, "--burstiness"),
        ({"input_len": "none"}, "--input_len"),
        ({"output_len": "normal(5)"}, "--output_len"),
        ({"prefix": "4*4"}, "--prefix"),
        ({"duration": "0s"}, "--duration"),
        ({"duration": "soon"}, "--duration"),
        ({"duration": "10s", "warmup": "10s"}, "--warmup"),
        ({"seed": "-1"}, "--seed"),
        ({"speed": "2"}, "--speed"),
        ({"spawn": "2s", "rate": "5"}, "--spawn"),
        ({"prompts": "x", "output_len": "1..5"}, "--output_len"),
        ({"prompts": "x", "input_len": "5"}, "--input_len"),
        ({"rate": "5", "input_len": True}, "--input_len"),
    ],
)
def test_what_is_refused_is_named(words: dict[str, object], place: str) -> None:
    with pytest.raises(UsageError) as caught:
        asked(**words)
    finding = caught.value.finding
    assert finding.at == place
    assert finding.why
    assert finding.fix


def test_every_word_is_read_from_a_file_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "load.yaml"
    file.write_text("rate: 5\n  \ninput_len: lognormal(1155,1020)\nduration: 2m\n")
    words = read_file(str(file))
    assert words["input_len"] == Asked("lognormal(1155,1020)", f"{file}:3:1")
    assert read(words, files(tmp_path)).duration == 120.0


@pytest.mark.parametrize(
    ("text", "line"), [("rates: 5\n", 1), ("rate: 5\nrate: 6\n", 2), ("- 5\n", 1), ("rate: [5\n", 1)]
)
def test_a_bad_file_is_named_with_its_line(tmp_path: Path, text: str, line: int) -> None:
    file = tmp_path / "load.yaml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_file(str(file))
    assert f"load.yaml:{line}" in caught.value.finding.at or isinstance(caught.value, SpecError)


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ('{"prompt": "a", "max_tokens": 3}\n{"messages": [{"role": "user", "content": "b"}]}\n', True),
        ('{"prompt": "a"}\n{"prompt": 5}\n', False),
        ('{"prompt": "a"}\nnot json\n', False),
        ('{"prompt": "a"}\n{"messages": []}\n', False),
        ('{"prompt": "a"}\n{"prompt": "b", "max_tokens": 0}\n', False),
    ],
)
def test_prompts_of_a_file(tmp_path: Path, text: str, good: bool) -> None:
    (tmp_path / "p.jsonl").write_text(text)
    if good:
        assert len(files(tmp_path).prompts("p.jsonl")) == 2
        return
    with pytest.raises(UsageError) as caught:
        files(tmp_path).prompts("p.jsonl")
    assert caught.value.finding.at.endswith("p.jsonl:2")


def test_every_word_has_a_meaning() -> None:
    assert all(text.endswith(".") for text in WORDS.values())
