"""Every command line that Stoker writes is one that the release takes, whichever it is."""

import pytest
from tests.golden.cases import CASES
from tests.support.manifests import plan_of, pod_specs
from tests.support.serving import complaints

from stoker.catalog import vllm
from stoker.errors import UsageError
from stoker.planner.plan import Plan, Share
from stoker.render.command import command
from stoker.render.manifests import manifests

# One of each case that changes the engine's own words.
NAMES = ("single-gpu", "tensor-parallel", "multi-node", "weights-stream", "weights-hub")
MORE = {
    "eager": "engine: {enforce-eager: true, gpu-memory-utilization: 0.8, max-num-seqs: 64}\n",
    "tools": "engine: {enable-auto-tool-choice: true, tool-call-parser: hermes}\n",
    "prefix": "engine: {enable-prefix-caching: false, seed: 1}\n",
    "adapters": "model: {source: hf://google/gemma-3-27b-it, adapters: {x: hf://org/x}}\n"
    "engine: {max-lora-rank: 64}\n",
}  # fmt: skip


def plans(version: str) -> list[tuple[str, Plan]]:
    """The cases' plans for a release."""
    texts = {name: CASES[name] for name in NAMES}
    base, config = CASES["tensor-parallel"]
    texts |= {name: (_merged(base, text), config) for name, text in MORE.items()}
    return [
        (name, plan_of(_merged(text, f"engine: {{version: {version}, max-model-len: 8K}}\n"), shape))
        for name, (text, shape) in texts.items()
    ]


def _merged(text: str, more: str) -> str:
    """The text with other keys of its tables in place of, or beside, its own."""
    import yaml

    base, added = yaml.safe_load(text), yaml.safe_load(more)
    for key, value in added.items():
        both = isinstance(base.get(key), dict) and isinstance(value, dict)
        base[key] = {**base[key], **value} if both else value
    dumped: str = yaml.safe_dump(base)
    return dumped


@pytest.mark.parametrize("version", vllm.KNOWN)
def test_pods_are_started_with_words_that_their_release_takes(version: str) -> None:
    seen = plans(version)
    for name, plan in seen:
        if plan.nodes > 1 and vllm.release(version).option("nnodes") is None:
            with pytest.raises(UsageError, match="several nodes"):
                manifests(plan)
            continue
        for pod in pod_specs(manifests(plan)):
            for container in pod["containers"]:
                if container.get("command", [])[:2] == ["vllm", "serve"]:
                    assert complaints(container["command"], version) == [], name


@pytest.mark.parametrize("version", vllm.KNOWN)
def test_engines_here_are_started_with_words_that_their_release_takes(version: str) -> None:
    for name, plan in plans(version):
        if plan.nodes == 1:
            words = command(plan, Share("1", gpus=(0,)), "8000").argv
            assert complaints(words, version) == [], name


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--max-model-len", "32K", "--enforce-eager", "--no-enable-prefix-caching"], 0),
        (["--allowed-media-domains", "a", "b"], 0),
        (["--response-role=--x"], 0),
        (["--max-modle-len", "32K"], 2),
        (["--enforce-eager", "yes"], 1),
        (["--max-model-len"], 1),
        (["--max-model-len", "1", "2"], 1),
        (["--gpu-memory-utilization", "95"], 1),
        (["--no-max-model-len"], 1),
        (["word", "--enforce-eager"], 1),
        (["--swap-space", "4"], 2),
    ],
)
def test_the_check_tells_good_words_from_bad_ones(words: list[str], said: int) -> None:
    assert len(complaints(["vllm", "serve", "m", *words], "0.32.0")) == said
