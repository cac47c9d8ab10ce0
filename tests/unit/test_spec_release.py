"""`engine.version`: any release, one that is only assumed, and none."""

import pytest

from stoker.catalog import vllm
from stoker.errors import SpecError
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
