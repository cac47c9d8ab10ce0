"""What is written as YAML reads back as the same values."""

from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from tests.golden.cases import CASES
from tests.support.manifests import rendered

from stoker.render.manifests.text import write

WORDS = st.text() | st.sampled_from(
    [
        "yes",
        "On",
        "1",
        "1.5",
        "0x1f",
        "1e3",
        "~",
        "-",
        "a: b",
        "a #b",
        "12:30:45",
        "2026-01-01",
        "=",
        "<<",
        "!x",
        "&a",
        "*a",
        "a\n b\n",
        "\n",
        "l1\nl2\n",
        "x:",
        ".inf",
        "1_000",
        "/a:b",
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(WORDS, VALUES, min_size=1, max_size=4))
@example({"a": {"b": [[1, [2]], {"c": "x\ny\n", "d": []}, {}]}})
def test_values_read_back(value: dict[str, Any]) -> None:
    assert yaml.safe_load(write(value)) == value


@pytest.mark.parametrize("name", CASES)
def test_objects_read_back(name: str) -> None:
    for one in rendered(*CASES[name]):
        assert yaml.safe_load(one.text()) == one.body
