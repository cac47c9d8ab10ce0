"""Whatever is handed over as a log: something is said of it, in order, and nothing goes wrong."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.deaths import LINES, death

from stoker.advise.why.reported import MOST, reported
from stoker.engine.last_error import causes

PIECES = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        [
            "Traceback (most recent call last):",
            '  File "/x/vllm/config/model.py", line 3, in f',
            "    raise ValueError(",
            "During handling of the above exception, another exception occurred:",
            "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig",
            "  Value error, no [type=value_error]",
            "(APIServer pid=1) INFO 10-02 09:00:00 [x.py:1] non-default args: {}",
            "2m  Warning  FailedScheduling  pod/a  0/3 nodes are available: 3 Insufficient cpu.",
            "{",
            '"items": []}',
            '{"log": "ValueError: no"}',
            "{0}",
            "{1|else}",
        ]
    ),
    st.sampled_from([line for _, _, line in LINES]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(PIECES, max_size=30))
def test_something_is_always_said(log: list[str]) -> None:
    found = reported(log, "x.log")
    assert 1 <= len(found) <= MOST
    assert all(one.what and one.fix and one.rule for one in found)
    severities = [one.severity for one in found]
    assert severities == sorted(severities, key=("error", "warning", "note").index)
    json.dumps([one.what for one in found])


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(LINES), st.lists(st.text(max_size=60), max_size=10))
def test_a_cause_is_found_below_any_text(row: tuple[str, tuple[str, ...], str], before: list[str]) -> None:
    said = death(row[2]).splitlines()
    alone = [one.finding.rule for one in causes(said) if one.sure]
    quiet = [f"(EngineCore pid=9) INFO 08-20 10:00:01 [x.py:1] {line!r}" for line in before]
    assert [one.finding.rule for one in causes([*quiet, *said]) if one.sure][:1] == alone[:1]
