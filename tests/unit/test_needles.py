"""What must stand in a text for a pattern to match it: never more than the pattern itself asks for."""

import re

import pytest
from tests.unit.test_causes import DEATHS

from stoker.catalog import rules
from stoker.catalog.needles import needles


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("no such file", ("no such file",)),
        (r"error: (\d+) of it", ("error: ",)),
        (r"one thing|another", ("one thing", "another")),
        (r"one thing|a", ()),
        (r"colou?r or so", ("r or so",)),
        (r"(?:a|bc) door", (" door",)),
        (r"(?:never) said", (" said",)),
        (r"[^)\]]+ is broken", (" is broken",)),
        (r"[]x] closes", (" closes",)),
        (r"lib\w+\.so: cannot", (".so: cannot",)),
        (r"a{3} letters", (" letters",)),
        (r"many.{0,80}more", ("many",)),
        (r"\d+", ()),
    ],
)
def test_a_pattern_and_what_it_needs(pattern: str, found: tuple[str, ...]) -> None:
    assert needles(pattern) == found


def test_whatever_a_rule_matches_holds_one() -> None:
    lines = {line for text in DEATHS.values() for line in text.splitlines()}
    patterns = {one.text for one in rules.everything() if one.text}
    missed = [
        (pattern, line)
        for pattern in patterns
        for line in lines
        if re.search(pattern, line) and needles(pattern) and not any(one in line for one in needles(pattern))
    ]
    assert missed == []


def test_most_rules_about_an_engine_have_one() -> None:
    texts = [one.text for one in rules.of(*rules.ENGINE) if one.text]
    assert sum(bool(needles(one)) for one in texts) > len(texts) / 2
