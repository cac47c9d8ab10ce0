"""What is taken of a text from outside: just within each limit it is read, just beyond it is refused, with
its place."""

import json

import pytest

from stoker import bounds
from stoker.advise.lint import lint
from stoker.advise.lint.dashboards import is_dashboard
from stoker.bounds import DEPTH, DIGITS, TooMuch, read_json
from stoker.errors import SpecError
from stoker.spec import load, nodes
from stoker.spec.compose import compose


def refused(text: str) -> str:
    with pytest.raises(SpecError) as caught:
        compose(text, "f.yaml", 1000)
    finding = caught.value.finding
    assert finding.rule == "text-bounds"
    assert finding.why
    assert finding.fix
    return finding.at


@pytest.mark.parametrize(
    ("within", "beyond", "at"),
    [
        ("[" * DEPTH + "]" * DEPTH, "[" * (DEPTH + 1) + "]" * (DEPTH + 1), f"f.yaml:1:{DEPTH + 1}"),
        ("{a: " * DEPTH + "1" + "}" * DEPTH, "{a: " * (DEPTH + 1) + "1" + "}" * (DEPTH + 1), "f.yaml:1:401"),
        ("- " * DEPTH + "x", "- " * (DEPTH + 1) + "x", f"f.yaml:1:{2 * DEPTH + 1}"),
        ("- x\n" * 999, "- x\n" * 1000, "f.yaml:1000:3"),
        (f"a: {'9' * DIGITS}", f"a: {'9' * (DIGITS + 1)}", "f.yaml:1:4"),
        ('a: "\\t"', 'a: "\\0"', "f.yaml:1:4"),
        ('a: "\\n"', 'a: "\\x1b[31m"', "f.yaml:1:4"),
    ],
    ids=["flow", "tables", "block", "values", "digits", "nul", "escape"],
)
def test_each_limit_of_yaml(within: str, beyond: str, at: str) -> None:
    compose(within, "f.yaml", 1000)
    assert refused(beyond) == at


def test_aliases_count_as_what_they_stand_for() -> None:
    ten = (
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n"  # a table, its key, a list of ten: each alias is eleven more
    )
    aliases = (1000 - 13) // 11
    compose(f"{ten}b: [{', '.join(['*a'] * (aliases - 1))}]", "f.yaml", 1000)
    assert refused(f"{ten}b: [{', '.join(['*a'] * (aliases + 1))}]").startswith("f.yaml:2:")


def test_levels_of_aliases_add_up() -> None:
    half = "[" * 60 + "]" * 60
    compose(f"a: &a {half}\nb: {'[' * 39}*a{']' * 39}", "f.yaml")
    assert refused(f"a: &a {half}\nb: {'[' * 40}*a{']' * 40}") == "f.yaml:2:44"


def test_an_alias_of_what_is_not_there_or_contains_it() -> None:
    for text, why in (("a: *b", "no anchor &b"), ("a: &a [*a]", "within &a")):
        with pytest.raises(SpecError) as caught:
            load(text, "f.yaml")
        assert (caught.value.finding.rule, caught.value.finding.at[:9]) == ("spec-yaml", "f.yaml:1:")
        assert why in caught.value.finding.why


def test_a_long_text_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "# " + "x" * 100
    monkeypatch.setattr(bounds.check_length, "__defaults__", (len(text),))
    load(text)
    with pytest.raises(SpecError, match="at most 102 are read"):
        load(text + "x")


def test_a_number_beyond_a_float_is_text() -> None:
    assert nodes.scalar("1e999") == "1e999"
    assert nodes.scalar("-1e400") == "-1e400"


@pytest.mark.parametrize(
    ("within", "beyond", "why"),
    [
        ("[" * DEPTH + "]" * DEPTH, "[" * (DEPTH + 1) + "]" * (DEPTH + 1), "levels"),
        ("[1" + ",1" * 97 + "]", "[1" + ",1" * 99 + "]", "more than 100 values"),
        ("9" * DIGITS, "9" * (DIGITS + 1), "digits"),
        ('["[[[", "a\\"[["]', '["\\ud800"]', "surrogate"),
    ],
    ids=["depth", "values", "digits", "surrogates"],
)
def test_each_limit_of_json(within: str, beyond: str, why: str) -> None:
    assert read_json(within, nodes=102 if "levels" in why else 100) == json.loads(within)
    with pytest.raises(TooMuch, match=why):
        read_json(beyond, nodes=102 if "levels" in why else 100)


def test_where_json_is_too_deep() -> None:
    with pytest.raises(TooMuch) as caught:
        read_json("[\n" * (DEPTH + 1))
    assert (caught.value.line, caught.value.column) == (DEPTH + 1, 1)


def test_lint_says_it_of_manifests_and_takes_no_deep_file_for_a_dashboard() -> None:
    (found,) = lint({"m.yaml": "apiVersion: v1\nkind: " + "[" * (DEPTH + 1)})
    assert (found.rule, found.at) == ("text-bounds", f"m.yaml:2:{7 + DEPTH - 1}")
    assert not is_dashboard('{"panels": ' + "[" * (DEPTH + 1))


def test_a_large_dashboard_is_read() -> None:
    panel = {
        "title": "t" * 40,
        "targets": [{"expr": "rate(vllm:num_requests_running[5m])", "refId": "A"}] * 4,
    }
    text = json.dumps({"panels": [panel] * 12_000}, indent=1)
    assert 4_000_000 < len(text) < bounds.TEXT
    assert is_dashboard(text)
