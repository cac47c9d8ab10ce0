"""Quantities with units: what is printed reads back as the same, whatever the number."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from stoker.units import Bytes, Range, Seconds, Tokens


@given(st.integers(0, 2**45))
def test_bytes_read_back_within_what_is_printed(count: int) -> None:
    printed = str(Bytes(count))
    digits = 0.5 if " B" in printed else 0.05 * 1024 ** ("KMG".index(printed.split()[1][0]) + 1)
    assert abs(Bytes.parse(printed) - count) <= digits + 1


@given(st.integers(0, 10**9))
def test_whole_seconds_read_back(count: int) -> None:
    assert Seconds.parse(str(Seconds(count))) == count


@given(st.integers(1, 999))
def test_milliseconds_read_back(count: int) -> None:
    assert abs(Seconds.parse(str(Seconds(count / 1000))) - count / 1000) < 1e-9


@given(st.integers(0, 2**40))
def test_tokens_read_back(count: int) -> None:
    assert Tokens.parse(str(Tokens(count))) == count


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_ranges_read_back(one: int, other: int) -> None:
    made = Range(min(one, other), max(one, other))
    assert Range.parse(str(made)) == made
    assert made.low in made
    assert made.high in made


@given(st.text(max_size=12))
def test_any_text_is_a_value_or_a_value_error(text: str) -> None:
    for unit in (Bytes, Seconds, Tokens, Range):
        with contextlib.suppress(ValueError):
            assert unit.parse(text) is not None
