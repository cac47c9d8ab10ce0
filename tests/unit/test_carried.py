"""Files that an engine's options name, for a cluster; and the ranks of its LoRA adapters."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests import models

from stoker.errors import UsageError
from stoker.operate.adapters import with_ranks
from stoker.operate.carried import whole_paths, with_files
from stoker.planner.requested import plan_asked
from stoker.render.manifests import manifests
from stoker.spec import load
from stoker.spec.carried import FILES
from stoker.spec.nouns import ServeSpec

SPEC = """model: {model}
hardware: h100-80gb
engine: {engine}
target: kubernetes
kubernetes: {{namespace: ml, weights: {{disk: projects/p/zones/us-central1-a/disks/w}}}}
"""


def spec(folder: Path, engine: str, model: str = "hf://org/model") -> ServeSpec:
    return load(SPEC.format(model=model, engine=engine), str(folder / "s.yaml"))


def refused(folder: Path, engine: str) -> Any:
    with pytest.raises(UsageError) as caught:
        with_files(spec(folder, engine))
    return caught.value.finding


@pytest.mark.parametrize("option", ["chat-template", "tool-parser-plugin", "reasoning-parser-plugin"])
def test_a_file_goes_along(tmp_path: Path, option: str) -> None:
    (tmp_path / "a.txt").write_text("{{ messages }}")
    found, carried = with_files(spec(tmp_path, f"{{{option}: ./a.txt}}"))
    assert found.engine.options[option] == f"{FILES}/{option}/a.txt"
    assert carried.texts == {f"{option}/a.txt": "{{ messages }}"}


def test_a_template_in_one_line_stays(tmp_path: Path) -> None:
    found, carried = with_files(spec(tmp_path, "{chat-template: '{{ messages }}'}"))
    assert found.engine.options["chat-template"] == "{{ messages }}"
    assert not carried.texts


@pytest.mark.parametrize("option", ["chat-template", "tool-parser-plugin", "tokenizer", "hf-config-path"])
def test_a_file_that_is_missing_is_an_error_with_its_place(tmp_path: Path, option: str) -> None:
    finding = refused(tmp_path, f"{{{option}: ./nope}}")
    assert "is not there" in finding.what
    assert finding.at.endswith("s.yaml:3:10")


def test_a_whole_path_that_is_not_here_is_taken_for_one_in_the_image(tmp_path: Path) -> None:
    path = "/vllm-workspace/examples/tool_chat_template_hermes.jinja"
    found, carried = with_files(spec(tmp_path, f"{{chat-template: {path}}}"))
    assert found.engine.options["chat-template"] == path
    assert "path in the pod" in carried.notes[0]


def test_a_folder_goes_along_without_weights(tmp_path: Path) -> None:
    folder = tmp_path / "conf"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"\xff")
    found, carried = with_files(spec(tmp_path, "{hf-config-path: ./conf}"))
    assert found.engine.options["hf-config-path"] == f"{FILES}/hf-config-path"
    assert carried.texts == {"hf-config-path/config.json": "{}"}


@pytest.mark.parametrize(
    "engine",
    ["{tokenizer: org/other}", "{generation-config: vllm}", "{speculative-config: {model: org/draft}}"],
)
def test_a_repository_and_a_word_stay(tmp_path: Path, engine: str) -> None:
    before = spec(tmp_path, engine)
    found, carried = with_files(before)
    assert found.engine.options == before.engine.options
    assert not carried.texts
    assert not carried.notes


def test_too_much_for_a_config_map(tmp_path: Path) -> None:
    (tmp_path / "tok").mkdir()
    for name in "ab":
        (tmp_path / "tok" / f"{name}.json").write_text("x" * 600_000)
    assert "ConfigMap" in refused(tmp_path, "{tokenizer: ./tok}").why


def test_a_draft_model_of_this_machine_is_refused(tmp_path: Path) -> None:
    (tmp_path / "draft").mkdir()
    for value in ("{model: ./draft}", '\'{"model": "./draft"}\''):
        finding = refused(tmp_path, f"{{speculative-config: {value}}}")
        assert "cannot read it" in finding.why
    assert "no such folder" in refused(tmp_path, "{speculative-config: {model: ./gone}}").why


def test_paths_of_a_fleet_here_are_meant_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "draft").mkdir()
    (tmp_path / "p.py").write_text("")
    engine = "{tool-parser-plugin: ./p.py, tokenizer: org/name, speculative-config: {model: ./draft, a: 1}}"
    found = whole_paths(spec(tmp_path, engine)).engine.options
    assert found["tool-parser-plugin"] == str(tmp_path / "p.py")
    assert found["tokenizer"] == "org/name"
    assert found["speculative-config"] == {"model": str(tmp_path / "draft"), "a": 1}
    with pytest.raises(UsageError):
        whole_paths(spec(tmp_path, "{tool-parser-plugin: ./none.py}"))


def test_the_manifests_have_the_file_and_its_place(tmp_path: Path) -> None:
    from dataclasses import replace

    (tmp_path / "a.jinja").write_text("one")
    found, carried = with_files(spec(tmp_path, "{chat-template: ./a.jinja}"))
    plan = replace(plan_asked(found, models.shape(models.LLAMA_8B), "/m"), files=carried.texts)
    bodies = [one.body for one in manifests(plan)]
    (config,) = [one for one in bodies if one["kind"] == "ConfigMap" and "-files-" in one["metadata"]["name"]]
    assert config["data"] == {"chat-template..a.jinja": "one"}
    (pod,) = [
        one["spec"]["template"]["spec"]
        for one in bodies
        if one["kind"] == "Deployment" and "engine" in str(one)
    ]
    (volume,) = [one for one in pod["volumes"] if one["name"] == "files"]
    assert volume["configMap"]["name"] == config["metadata"]["name"]
    assert volume["configMap"]["items"] == [
        {"key": "chat-template..a.jinja", "path": "chat-template/a.jinja"}
    ]
    engine = pod["containers"][0]
    assert {"name": "files", "mountPath": FILES, "readOnly": True} in engine["volumeMounts"]
    assert f"{FILES}/chat-template/a.jinja" in engine["command"]


@pytest.mark.parametrize(
    ("engine", "refused"),
    [
        ("{tokenizer: org/other}", True),
        ("{speculative-config: {model: org/draft}}", True),
        ("{tokenizer: org/other, env: {HF_HUB_OFFLINE: '0'}}", False),
        ("{tokenizer: /models/tokenizer}", False),
        ("{generation-config: vllm, speculative-config: {method: ngram}}", False),
    ],
)
def test_pods_that_are_kept_off_the_hub_name_none_of_it(tmp_path: Path, engine: str, refused: bool) -> None:
    plan = plan_asked(spec(tmp_path, engine), models.shape(models.LLAMA_8B), "/m")
    if not refused:
        manifests(plan)
        return
    with pytest.raises(UsageError) as caught:
        manifests(plan)
    assert "HF_HUB_OFFLINE" in caught.value.finding.why


def adapter(folder: Path, **said: Any) -> str:
    folder.mkdir()
    plain = {"peft_type": "LORA", "r": 8, "target_modules": ["q_proj"], "bias": "none"}
    (folder / "adapter_config.json").write_text(json.dumps(plain | said))
    return f"{{source: hf://org/model, adapters: {{x: ./{folder.name}}}}}"


@pytest.mark.parametrize(
    ("said", "rank"),
    [
        ({"r": 64}, 64),
        ({"r": 48}, 64),
        ({"rank_pattern": {"q_proj": 128}}, 128),
        ({"r": 9}, 16),
        ({"r": 1}, 1),
    ],
)
def test_the_rank_of_an_adapter_for_a_cluster(tmp_path: Path, said: dict[str, Any], rank: int) -> None:
    found, notes = with_ranks(spec(tmp_path, "{}", adapter(tmp_path / "x", **said)))
    assert found.engine.options["max-lora-rank"] == rank
    assert notes == ()


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"bias": "all"}, "bias 'all'"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save lm_head"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights"),
        ({"layer_replication": [[0, 4]]}, "layer_replication"),
        ({"r": 600}, "takes 512 at most"),
        ({"peft_type": "IA3"}, "peft_type"),
    ],
)
def test_an_adapter_that_vllm_refuses(tmp_path: Path, said: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError) as caught:
        with_ranks(spec(tmp_path, "{}", adapter(tmp_path / "x", **said)))
    assert why in caught.value.finding.why


@pytest.mark.parametrize("said", [{"modules_to_save": ["score"]}, {"init_lora_weights": "gaussian"}])
def test_an_adapter_that_looks_odd_and_is_served(tmp_path: Path, said: dict[str, Any]) -> None:
    with_ranks(spec(tmp_path, "{}", adapter(tmp_path / "x", **said)))


def test_a_rank_in_the_file_that_is_too_small(tmp_path: Path) -> None:
    asked = spec(tmp_path, "{max-lora-rank: 8}", adapter(tmp_path / "x", r=64))
    with pytest.raises(UsageError) as caught:
        with_ranks(asked)
    assert caught.value.finding.fix == "max-lora-rank: 64, or leave it out"


def test_an_adapter_that_targets_nothing_of_the_model(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text(json.dumps(models.LLAMA_8B))
    for targets, fits in ((["c_attn"], False), (["c_attn", "q_proj"], True), ("all-linear", True)):
        named = adapter(tmp_path / f"x{fits}{len(targets)}", target_modules=targets)
        asked = spec(tmp_path, "{}", named.replace("hf://org/model", "./model"))
        if fits:
            with_ranks(asked)
        else:
            with pytest.raises(UsageError) as caught:
                with_ranks(asked)
            assert "of which the model has none" in caught.value.finding.why
