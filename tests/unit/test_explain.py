"""`stoker explain`: a rule by the id that findings carry."""

import json

import pytest
from click.testing import CliRunner, Result

from stoker.catalog import rules
from stoker.cli.explain import command
from stoker.errors import UsageError


def explained(*argv: str) -> Result:
    return CliRunner().invoke(command, argv)


@pytest.mark.parametrize(
    "id", ["engine-kv", "why-gpu-taken", "lint-drain", "kube-adapter", "memory", "spec-key"]
)
def test_a_rule_says_what_why_and_the_fix(id: str) -> None:
    ran = explained(id)
    assert ran.exit_code == 0
    first = rules.variants(id)[0]
    assert ran.output.startswith(f"{id}: {rules.meaning(id)}\n")
    assert f"  scope   {first.scope}\n" in ran.output
    for text in (one.fix for one in rules.variants(id)):
        assert rules.blank(text) in ran.output


def test_as_json() -> None:
    found = json.loads(explained("engine-length", "-o", "json").output)
    assert (found["rule"], found["scope"], found["severity"]) == ("engine-length", "engine log", "error")
    (only,) = found["variants"]
    assert only["fix"] == "max-model-len: {2} or less"
    assert {"text", "what", "why", "since", "until", "source"} <= set(only)


def test_without_one_all_are_listed() -> None:
    ran = explained()
    assert all(f"  {id} " in ran.output for id in rules.ids())
    assert [one["rule"] for one in json.loads(explained("-o", "json").output)] == list(rules.ids())


def test_an_unknown_one_names_the_nearest() -> None:
    error = explained("engine-kw").exception
    assert isinstance(error, UsageError)
    assert error.exit_code == 2
    assert error.finding.fix == "stoker explain engine-kv"
