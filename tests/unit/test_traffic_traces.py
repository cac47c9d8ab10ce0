"""Traces of several makes are read to the same rows; a bad row is named with its line."""

import pytest

from stoker.errors import UsageError
from stoker.traffic.traces import Columns, TraceRow, read, read_columns

AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690,396,109
"""
MOONCAKE = """{"timestamp": 0, "input_length": 600, "output_length": 52, "hash_ids": [46, 47]}
{"timestamp": 1500, "input_length": 512, "output_length": 26, "hash_ids": [46]}
"""
BURST = """Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type
5,ChatGPT,472,18,490,Conversation log
45,ChatGPT,1087,0,1087,Conversation log
118,GPT-4,417,276,693,Conversation log
"""


def rows(text: str, columns: Columns | None = None) -> tuple[TraceRow, ...]:
    return read(text.splitlines(), "t", columns).rows


def test_azure() -> None:
    first, second = rows(AZURE)
    assert first == TraceRow(0, 374, 44)
    assert (second.at, second.input, second.output) == (pytest.approx(4.314579), 396, 109)


def test_mooncake_counts_milliseconds_and_names_blocks() -> None:
    assert rows(MOONCAKE) == (TraceRow(0, 600, 52, (46, 47)), TraceRow(1.5, 512, 26, (46,)))


def test_burstgpt_leaves_out_what_had_no_answer() -> None:
    found = read(BURST.splitlines(), "t")
    assert (found.rows, found.skipped) == ((TraceRow(0, 472, 18), TraceRow(113, 417, 276)), 1)


def test_columns_of_ones_own() -> None:
    text = "when,prompt,answer,x\n1000,5,6,0\n3500,7,8,0\n"
    columns = read_columns("at=when,input=prompt,output=answer,unit=ms")
    assert rows(text, columns) == (TraceRow(0, 5, 6), TraceRow(2.5, 7, 8))


def test_rows_out_of_order_are_put_in_order() -> None:
    found = read(["Timestamp,Request tokens,Response tokens", "9,1,1", "4,2,2"], "t")
    assert (found.rows, found.sorted) == ((TraceRow(0, 2, 2), TraceRow(5, 1, 1)), False)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("a,b\n1,2\n", 2),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,374,44\nlater,1,1\n", 3),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,374\n", 2),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,-3,44\n", 2),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,3.5,44\n", 2),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,nan,44\n", 2),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,99999999999,44\n", 2),
        ('{"timestamp": 0, "input_length": 600, "output_length": 52}\n{"timestamp": 1}\n', 2),
        ('{"timestamp": 0, "input_length": 600, "output_length": 52}\nnot json\n', 2),
        ('{"timestamp": 0, "input_length": 600, "output_length": 52, "hash_ids": "x"}\n', 1),
        ('{"timestamp": 0, "input_length": 600, "output_length": true}\n', 1),
        ("Timestamp,Request tokens,Response tokens\n5,4,0\n", 1),
    ],
)
def test_a_bad_row_is_named_with_its_line(text: str, line: int) -> None:
    with pytest.raises(UsageError) as caught:
        read(text.splitlines(), "t")
    assert caught.value.finding.at == f"t:{line}"


@pytest.mark.parametrize("text", ["at=a", "at=a,input=b,output=c,unit=h", "x"])
def test_columns_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|names"):
        read_columns(text)
