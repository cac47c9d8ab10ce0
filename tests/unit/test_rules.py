"""The catalog of rules: whole, unambiguous, and each row is hit by a line that was recorded or written."""

import ast
import re
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest
from tests.unit.test_causes import COPIES, DEATHS

from stoker.advise.sarif import sarif
from stoker.catalog import rules
from stoker.catalog.rules import Rule
from stoker.engine import last_error as engine
from stoker.engine.failures import Statement
from stoker.findings import Finding

SOURCE = Path(rules.__file__).parents[1]
EVERY = rules.everything()
NAMES = [f"{one.id}-{n}" for n, one in enumerate(EVERY)]


@pytest.mark.parametrize("one", EVERY, ids=NAMES)
def test_a_rule_is_whole(one: Rule) -> None:
    assert one.what
    assert one.source
    assert one.scope in rules.SCOPES
    assert one.fix or one.severity == "note" or one.scope == "error"  # an error's fix may be its case's own
    pattern = re.compile(one.text)
    used = {
        int(number) for text in (one.what, one.why, one.fix) for number in re.findall(r"\{(\d)[|}]", text)
    }
    assert max(used, default=0) <= pattern.groups
    re.compile(one.reason)


@pytest.mark.parametrize("name", rules.FILES)
def test_an_id_means_one_thing(name: str) -> None:
    """Several rows of one id are variants: their common meaning is written down, and code tells them
    apart."""
    book = rules.book(name)
    count = Counter(one.id for one in book.rules)
    several = {id for id, times in count.items() if times > 1}
    assert several <= set(book.about), "what its variants mean together"
    assert set(book.about) <= set(count)
    chosen = Counter((one.id, one.case) for one in book.rules if not (one.text or one.reason))
    assert max(chosen.values(), default=1) == 1 or name == "errors"
    assert not {rules.meaning(id) for id in count if re.fullmatch(r"<[^>]*>|…", rules.meaning(id))}


def test_no_id_stands_in_two_files() -> None:
    homes = Counter(id for name in rules.FILES for id in {one.id for one in rules.book(name).rules})
    assert [id for id, times in homes.items() if times > 1] == []


@pytest.mark.parametrize("name", rules.FILES)
def test_lines_that_a_person_can_read(name: str) -> None:
    text = files("stoker.catalog").joinpath(f"data/rules/{name}.toml").read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if len(line) > 110] == []


def test_each_row_about_an_engines_log_is_hit(monkeypatch: pytest.MonkeyPatch) -> None:
    hit: set[int] = set()
    found = engine._match

    def noted(one: Rule, said: Statement) -> re.Match[str] | None:
        if (match := found(one, said)) is not None:
            hit.add(id(one))
        return match

    monkeypatch.setattr(engine, "_match", noted)
    for text in DEATHS.values():
        engine.last_error(text.splitlines())
    assert [one.text for one in rules.of(*rules.ENGINE) if one.text and id(one) not in hit] == []


def test_each_row_about_a_copys_log_is_hit() -> None:
    rows = [one for one in rules.of("copy") if one.text]
    said = [text for id, text in COPIES.items() if id != "copy-failed"]
    hit = {next(one.id for one in rows if one.match(text, case=False)) for text in said}
    assert hit == {one.id for one in rows}


@pytest.mark.parametrize("name", ["process", "fleet", "lint", "scalers", "machine", "cluster"])
def test_each_row_that_code_chooses_is_named_there(name: str) -> None:
    """A rule that nothing finds would be a promise of `stoker explain` that nobody keeps."""
    said = {
        node.value
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    rows = [one for one in rules.book(name).rules if not one.reason]
    assert [one.id for one in rows if not {one.id, one.id.removeprefix("lint-")} & said] == []
    assert [(one.id, one.case) for one in rows if one.case not in said] == []


def test_braces_of_yaml_stay() -> None:
    text = "kubernetes: {tolerations: [{key: {1}, operator: Exists}]}, the secret {2|or a key}, {at}"
    filled = rules.fill(text, {"1": "gpu", "2": "", "at": "Pod/a"})
    assert filled == "kubernetes: {tolerations: [{key: gpu, operator: Exists}]}, the secret or a key, Pod/a"


def test_a_value_is_not_filled_again() -> None:
    assert rules.fill("{1} and {2}", {"1": "{2}", "2": "b"}) == "{2} and b"


def test_sarif_helps_with_each_rule() -> None:
    found = [rules.rule("engine-files").finding(), Finding("x", rule="of-an-error")]
    driver = sarif(found, "1")["runs"][0]["tool"]["driver"]
    port, other = driver["rules"]
    assert (port["id"], port["help"]["text"]) == ("engine-files", rules.rule("engine-files").fix)
    assert port["fullDescription"]["text"] == rules.rule("engine-files").why
    assert other == {"id": "of-an-error"}
