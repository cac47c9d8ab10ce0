"""Every example's plan is the one that is checked in, and what Google's own matrix runs fits as Google runs
it."""

import json
from typing import Any

import pytest
from tools import examples

# Model, GPU, ranks: Google's matrix of models and GPUs (AI on GKE, inference reference).
MATRIX = {
    "l4-gemma-3-1b": 1,
    "l4-gemma-3-27b": 8,
    "l4-qwen3-32b": 8,
    "h100-gemma-3-27b": 1,
    "h100-gpt-oss-20b": 1,
    "h100-qwen3-32b": 1,
    "h100-llama-3.3-70b": 4,
    "h100-llama-4-scout": 8,
    "h200-llama-3.3-70b": 4,
}


def plan_of(name: str) -> Any:
    config = examples.config_of(name)
    if not config.exists():
        pytest.skip(f"{config} is not here")
    return examples.plan_of(name)


@pytest.mark.parametrize("name", examples.names())
def test_the_plan_is_as_checked_in(name: str) -> None:
    expected = json.loads((examples.EXAMPLES / name / "expected" / "plan.json").read_text())
    assert plan_of(name) == expected, "`make examples` writes it again; look at what changed"


@pytest.mark.parametrize(("name", "ranks"), MATRIX.items())
def test_what_google_runs_fits(name: str, ranks: int) -> None:
    found = plan_of(name)
    assert found["tensor_parallel_size"] == ranks
    assert found["max_concurrency"] >= 1
