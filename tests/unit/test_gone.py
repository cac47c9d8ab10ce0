"""What a log says of options and parsers, with the release that it names."""

import pytest

from stoker.catalog import vllm
from stoker.engine.gone import Heard
from stoker.engine.last_error import causes

VERSION = "(APIServer pid=1) INFO 08-20 10:00:01 [api_server.py:1395] vLLM API server version {release}"
UNKNOWN = "vllm: error: unrecognized arguments: {words}"
PARSER = "KeyError: 'invalid tool call parser: {name} (chose from {{ hermes,mistral }})'"


@pytest.mark.parametrize(
    ("line", "release"),
    [
        (VERSION.format(release="0.9.2"), "0.9.2"),
        ("INFO [core.py:120] Initializing a V1 LLM engine (v0.32.0) with config: model='m'", "0.32.0"),
        ("(APIServer pid=1) INFO 08-20 10:00:01 [api_utils.py:345]  █▄█▀ █  version 0.10.1.1", "0.10.1.1"),
        ("CUDA driver version 12.4", ""),
        ("the cuDNN version 0.1", ""),
        ("nothing of that kind", ""),
    ],
)
def test_the_release_that_a_log_names(line: str, release: str) -> None:
    heard = Heard([line, "and more"])
    assert list(heard) == [line, "and more"]
    assert heard.release == release


@pytest.mark.parametrize(
    ("release", "words", "what", "fix"),
    [
        ("", "--enable-reasoning", "this vLLM has no --enable-reasoning", "leave --enable-reasoning out"),
        ("0.11.0", "--swap-space 4", "does not take", ""),
        ("0.32.0", "--swap-space 4", "this vLLM has no --swap-space", "use --kv-offloading-size"),
        ("0.9.2", "--async-scheduling", "this vLLM has no --async-scheduling", "an image of 0.10.0 or newer"),
        ("0.32.0", "--max-modle-len 4", "vLLM does not know --max-modle-len 4", ""),
    ],
)
def test_an_option_that_was_not_recognized(release: str, words: str, what: str, fix: str) -> None:
    log = [VERSION.format(release=release)] * bool(release) + [UNKNOWN.format(words=words)]
    finding = causes(log)[0].finding
    assert what in finding.what
    assert fix in finding.fix


def test_an_unknown_parser_names_all_that_the_release_has() -> None:
    log = [
        VERSION.format(release="0.20.0"),
        "Traceback (most recent call last):",
        PARSER.format(name="hermez"),
    ]
    finding = causes(log)[0].finding
    assert set(vllm.release("0.20.0").parsers("tool")) <= set(finding.why.split(": ")[1].split(", "))
    assert finding.fix.startswith("hermes")


def test_without_a_release_the_log_is_taken_at_its_word() -> None:
    finding = causes(["Traceback (most recent call last):", PARSER.format(name="x")])[0].finding
    assert finding.why == "this release has: hermes,mistral"
