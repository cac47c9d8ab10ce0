"""`engine.version`: any release, one that is only assumed, and none."""

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests import models

from stoker.catalog import vllm
from stoker.cli.lint import command
from stoker.errors import SpecError, UsageError
from stoker.operate.installed import of_installed
from stoker.planner.architecture import check_architecture
from stoker.spec import load
from stoker.spec.nouns import ServeSpec


def spec(engine: str) -> ServeSpec:
    return load(f"model: hf://org/model\nengine: {engine}\n", "s.yaml")


def refused(engine: str) -> SpecError:
    with pytest.raises(SpecError) as caught:
        spec(engine)
    return caught.value


@pytest.mark.parametrize("version", vllm.KNOWN)
def test_every_known_release_is_taken_without_a_word(version: str) -> None:
    found = spec(f"{{version: {version}}}")
    assert (found.engine.version, found.notes) == (version, ())


@pytest.mark.parametrize(
    ("version", "taken"), [("0.99.0", vllm.KNOWN[-1]), ("0.6.3", "0.8.5"), ("0.31.7", "0.31.0")]
)
def test_a_release_that_is_not_known_is_said_to_be_taken_for_another(version: str, taken: str) -> None:
    found = spec(f"{{version: {version}}}")
    assert found.engine.version == version
    (note,) = found.notes
    assert note.what == f"vLLM {version} is not known to this Stoker; it is taken for {taken}"
    assert (note.severity, note.at) == ("warning", "s.yaml:2:10")


@pytest.mark.parametrize(
    ("version", "fix"),
    [("1.0.0", vllm.DEFAULT), ("0.31", "0.31.0"), ("latest", vllm.DEFAULT), ("32", vllm.DEFAULT)],
)
def test_what_is_no_release_is_refused(version: str, fix: str) -> None:
    finding = refused(f"{{version: {version}}}").finding
    assert finding.fix == f"write `version: {fix}`, or leave it out"
    assert finding.at == "s.yaml:2:10"


def test_the_image_says_the_release() -> None:
    found = spec("{image: 'vllm/vllm-openai:v0.27.0'}")
    assert (found.engine.version, found.notes) == ("0.27.0", ())


def test_an_own_image_says_none() -> None:
    found = spec("{image: 'registry.example/acme/llm:v0.27.0'}")
    assert found.engine.version == vllm.DEFAULT
    assert [note.rule for note in found.notes] == ["release-assumed"]
    assert vllm.DEFAULT in found.notes[0].what
    named = spec("{image: 'registry.example/acme/llm:v3', version: 0.27.0}")
    assert named.notes == ()


def test_image_and_version_that_differ() -> None:
    (note,) = spec("{image: 'vllm/vllm-openai:v0.27.0', version: 0.32.0}").notes
    assert note.rule == "release-image"
    assert "0.27.0" in note.fix


@pytest.mark.parametrize(
    ("engine", "why", "fix"),
    [
        ("{enable-reasoning: true}", "gone since", "leave --enable-reasoning out"),
        ("{device: cuda}", "takes the device that it finds", "leave --device out"),
        ("{num-scheduler-steps: 8}", "multi-step", "use --async-scheduling"),
        ("{no-enable-prefix-caching: true}", "`no-` form", "write `enable-prefix-caching: false`"),
        ("{disable-log-requests: true}", "gone since 0.17.0", "leave --disable-log-requests out"),
        ("{guided-decoding-backend: xgrammar}", "gone since", "use --structured-outputs-config.backend"),
        ("{version: 0.8.5, async-scheduling: true}", "there since 0.10.0", "leave --async-scheduling out"),
        ("{version: 0.11.0, nnodes: 2}", "one place for each value", "use strategy: multi-node"),
    ],
)
def test_what_became_of_an_option(engine: str, why: str, fix: str) -> None:
    finding = refused(engine).finding
    assert why in finding.why
    assert finding.fix == fix


def test_an_old_release_takes_its_own_options() -> None:
    found = spec("{version: 0.8.5, enable-reasoning: true, device: cuda, num-scheduler-steps: 8}")
    assert found.engine.options["num-scheduler-steps"] == 8


@pytest.mark.parametrize(
    ("version", "name", "fix"),
    [
        ("0.32.0", "LlamaForCausalLM", None),
        ("0.8.5", "LlamaForCausalLM", None),
        ("0.8.5", "GptOssForCausalLM", "engine.version: 0.10.1, or a newer one"),
        ("0.32.0", "Phi3SmallForCausalLM", "engine.version: 0.9.2"),
        ("0.9.2", "Phi3SmallForCausalLM", None),
    ],
)
def test_an_architecture_and_the_releases_that_have_it(version: str, name: str, fix: str | None) -> None:
    shape = replace(models.shape(models.LLAMA_8B), architecture=name)
    asked = spec(f"{{version: {version}}}")
    if fix is None:
        check_architecture(asked, shape)
        return
    with pytest.raises(UsageError) as caught:
        check_architecture(asked, shape)
    assert caught.value.finding.fix == fix


def test_what_is_installed_here_is_what_is_planned_for() -> None:
    plain = spec("{max-num-seqs: 8}")
    assert of_installed(plain, vllm.DEFAULT) == (plain, ())
    older, notes = of_installed(plain, "0.26.0")
    assert (older.engine.version, notes) == ("0.26.0", ())
    told, notes = of_installed(spec("{version: 0.31.0}"), "0.26.0")
    assert told.engine.version == "0.26.0"
    assert "0.31.0" in notes[0]
    newer, notes = of_installed(plain, "0.99.0")
    assert newer.engine.version == "0.99.0"
    assert vllm.KNOWN[-1] in notes[0]
    assert of_installed(plain, "") == (plain, ())


def test_an_option_that_the_installed_release_has_not() -> None:
    with pytest.raises(UsageError) as caught:
        of_installed(spec("{async-scheduling: true}"), "0.9.0")
    assert "there since 0.10.0" in caught.value.finding.why
    assert caught.value.finding.at == "s.yaml:2:10"


@pytest.mark.parametrize(
    ("engine", "near"),
    [
        ("{tool-call-parser: openai9}", "openai"),
        ("{reasoning-parser: deepseek_r2}", "deepseek_r1"),
        ("{quantization: bitsandbytes}", "one of those"),
        ("{version: 0.9.0, quantization: mxfp4}", "fp8"),
    ],
)
def test_a_name_that_the_release_has_not(engine: str, near: str) -> None:
    assert near in refused(engine).finding.fix


@pytest.mark.parametrize(
    "engine",
    [
        "{tool-call-parser: mine, tool-parser-plugin: ./p.py}",
        "{version: 0.27.1, quantization: bitsandbytes}",
        "{tool-call-parser: hermes, reasoning-parser: qwen3}",
    ],
)
def test_a_name_that_is_there_or_brought_along(engine: str) -> None:
    spec(engine)


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        ("0.31.0", 0, ""),
        ("v0.31.0", 0, ""),
        ("0.99.0", 0, f"vLLM 0.99.0 is not known to this Stoker; it is taken for {vllm.KNOWN[-1]}"),
        ("1.0.0", 2, "--release 1.0.0 is no release of vLLM"),
    ],
)
def test_lint_says_which_release_it_holds_dashboards_against(
    tmp_path: Path, asked: str, code: int, said: str
) -> None:
    board = tmp_path / "d.json"
    board.write_text('{"panels": [{"targets": [{"expr": "vllm:num_requests_running"}]}]}')
    done = CliRunner().invoke(command, ["--release", asked, str(board)], standalone_mode=False)
    raised = isinstance(done.exception, UsageError)
    assert (2 if raised else done.exit_code) == code
    assert said in (str(done.exception.finding) if isinstance(done.exception, UsageError) else done.stderr)
