"""The catalog of public models: its rows make shapes, and a plan uses one only where the hub says nothing."""

import pytest

from stoker.catalog import models
from stoker.errors import StokerError, UsageError, WeightsFailed
from stoker.model.files import ModelFiles
from stoker.model.shape import read_shape
from stoker.operate import peeking
from stoker.operate.plan import plan, plan_cluster
from stoker.spec import load

# Parameters as the models' makers publish them, in billions.
PUBLISHED = {
    "google/gemma-3-27b-it": 27.4,
    "Qwen/Qwen3-32B": 32.8,
    "meta-llama/Llama-3.3-70B-Instruct": 70.6,
    "meta-llama/Llama-3.1-405B": 405.9,
    "openai/gpt-oss-20b": 20.9,
    "microsoft/phi-4": 14.7,
    "google/gemma-3-1b-it": 1.0,
    "mistralai/Mixtral-8x7B-v0.1": 46.7,
    "Qwen/Qwen3-8B": 8.2,
    "meta-llama/Llama-4-Scout-17B-16E-Instruct": 108.6,
}


@pytest.mark.parametrize("repo", models.models())
def test_each_row_is_a_shape_that_is_known(repo: str) -> None:
    row = models.models()[repo]
    assert read_shape(ModelFiles(row.config, {})).known
    assert row.source
    assert row.date


@pytest.mark.parametrize(("repo", "billions"), PUBLISHED.items())
def test_it_has_the_parameters_that_its_maker_publishes(repo: str, billions: float) -> None:
    shape = read_shape(ModelFiles(models.models()[repo].config, {}))
    assert shape.parameters / 1e9 == pytest.approx(billions, rel=0.01)


def test_a_repository_is_found_however_its_letters_are_written() -> None:
    assert models.model("google/GEMMA-3-27b-it") is models.models()["google/gemma-3-27b-it"]
    assert models.model("gemma-3-27b-it") is None
    assert models.called("gemma-3-27b-it") is models.models()["google/gemma-3-27b-it"]


SPEC = "model: {model}\nhardware: l4:4\ntarget: kubernetes\nengine: {{max-model-len: 8K}}\n"
KNOWN = "{source: hf://google/gemma-3-27b-it, token: env:A_TOKEN_THAT_IS_NOT_SET}"


def failing(monkeypatch: pytest.MonkeyPatch, error: StokerError) -> None:
    def peek(*_: object) -> ModelFiles:
        raise error

    monkeypatch.setattr(peeking.weights, "peek", peek)  # type: ignore[attr-defined]


def test_a_token_that_is_not_set_is_no_reason_not_to_plan() -> None:
    found = plan(load(SPEC.format(model=KNOWN), "s.yaml"))
    assert found.kv_cache_tokens
    assert "catalog" in found.warnings[0]
    assert "A_TOKEN_THAT_IS_NOT_SET" in found.warnings[0]


@pytest.mark.parametrize("rule", peeking.UNTOLD)
def test_it_stands_in_where_the_hub_says_nothing(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, WeightsFailed("the hub is away", rule=rule))
    found = plan_cluster(load(SPEC.format(model="hf://google/gemma-3-27b-it"), "s.yaml"))
    assert found.memory is not None
    assert found.warnings[0].endswith("the hub is away")


@pytest.mark.parametrize(
    ("model", "rule"),
    [
        ("hf://google/gemma-3-27b-it", "hub-missing"),
        ("hf://google/gemma-3-27b-it", "weights-broken"),
        ("hf://google/gemma-3-27b-it@a-revision", "hub-gated"),
        ("hf://acme/gemma-3-27b-it", "hub-gated"),
        ("gs://google/gemma-3-27b-it", "weights-offline"),
    ],
)
def test_it_does_not_stand_in_for_what_it_does_not_know(
    model: str, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, UsageError("no", rule=rule))
    with pytest.raises(UsageError, match="no"):
        plan(load(SPEC.format(model=model), "s.yaml"))
