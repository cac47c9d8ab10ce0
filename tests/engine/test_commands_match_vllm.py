"""Every command line that Stoker writes is taken by the installed vLLM's own parser."""

import importlib.util
import json
import re
import subprocess
import sys

import pytest
from tests.engine.test_catalog_matches_vllm import PARSE
from tests.golden.cases import CASES
from tests.support.manifests import plan_of, pod_specs
from tests.support.serving import complaints

from stoker.catalog import vllm
from stoker.render.manifests import manifests
from stoker.system import installation

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(
        importlib.util.find_spec("vllm") is None, reason="vLLM is not installed in this environment"
    ),
]
# Words and whether they are good: the check of the fast tier has to say the same as vLLM's parser.
WORDS: list[tuple[list[str], bool]] = [
    (["--max-model-len", "32K", "--enforce-eager", "--no-enable-prefix-caching"], True),
    (["--speculative-config", '{"model": "org/draft", "num_speculative_tokens": 3}'], True),
    (["--response-role=--x"], True),
    (["--max-modle-len", "32K"], False),
    (["--max-model-len"], False),
    (["--dtype", "float12"], False),
    (["--swap-space", "4"], False),
    (["--enable-reasoning"], False),
    (["--max-num-seqs", "many"], False),
]


def refused(lines: list[list[str]]) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", PARSE],
        input=json.dumps(lines),
        capture_output=True,
        text=True,
        timeout=400,
        check=True,
    )
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_vllm_takes_every_command_that_is_written() -> None:
    release = installation.release()
    if release not in vllm.KNOWN:
        pytest.skip(f"the installed vLLM {release} is not in the catalog")
    lines = []
    for text, config in CASES.values():
        versioned = re.sub(r"(?m)^engine: \{", f"engine: {{version: {release}, ", text)
        for pod in pod_specs(manifests(plan_of(versioned, config))):
            for container in pod["containers"]:
                if container.get("command", [])[:2] == ["vllm", "serve"]:
                    words = container["command"][2:]
                    lines.append([re.sub(r"\$\(\w+\)", "1", word) for word in words])
    assert len(lines) > 20
    assert refused(lines) == {}


def test_the_check_of_the_fast_tier_agrees_with_the_parser() -> None:
    said = refused([["m", *words] for words, _ in WORDS])
    for words, good in WORDS:
        assert (" ".join(["m", *words]) not in said) is good, words
        assert (complaints(["vllm", "serve", "m", *words], "0.32.0") == []) is good, words
