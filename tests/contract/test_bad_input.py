"""Bad input on the command line: a clear error, the right exit code, and nothing left behind."""

import importlib.util
import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Ran, Stoker

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("vllm") is None, reason="without vLLM `up` says so before it looks at weights"
)
CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "hidden_size": 64,
    "vocab_size": 100,
    "max_position_embeddings": 512,
}


def model(folder: Path, cut: int = 0, config: dict[str, Any] | None = None, parameters: int = 64) -> Path:
    """A model's folder as small as can be. The header may promise more than the file holds."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({**CONFIG, **(config or {})}))
    (folder / "tokenizer.json").write_text("{}")
    entry = {"dtype": "F32", "shape": [parameters], "data_offsets": [0, parameters * 4]}
    header = json.dumps({"model.layers.0.a.weight": entry}).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + parameters * 4 - cut)  # sparse
    return folder


def failed(stoker: Stoker, code: int, *said: str, ran: Ran) -> None:
    assert ran.code == code, ran.err
    for text in said:
        assert text in ran.err, ran.err
    assert stoker.processes() == []
    assert not list((stoker.home / "state" / "fleets").glob("*/wanted.json"))


def test_a_folder_without_config_json(stoker: Stoker, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    failed(stoker, 2, "has no config.json", ran=stoker("up", "-d", "./empty"))
    failed(stoker, 2, "there is nothing of that name", ran=stoker("up", "-d", "./missing"))


def test_a_truncated_safetensors_file(stoker: Stoker, tmp_path: Path) -> None:
    model(tmp_path / "cut", cut=10)
    failed(
        stoker, 1, "model.safetensors is truncated", "copy the file again", ran=stoker("up", "-d", "./cut")
    )


def test_pickles(stoker: Stoker, tmp_path: Path) -> None:
    folder = model(tmp_path / "pickled")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    failed(stoker, 2, "pickles", "save_pretrained", ran=stoker("up", "-d", "./pickled"))


def test_a_git_lfs_pointer_is_named_as_one(stoker: Stoker, tmp_path: Path) -> None:
    folder = model(tmp_path / "pointer")
    (folder / "model.safetensors").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9\n"
    )
    failed(stoker, 2, "is a Git LFS pointer", "lfs pull", ran=stoker("up", "-d", "./pointer"))
    failed(stoker, 2, "is a Git LFS pointer", "lfs pull", ran=stoker("plan", "./pointer", "--gpu", "l4"))


def test_a_pipe_in_a_models_place_is_not_waited_for(stoker: Stoker, tmp_path: Path) -> None:
    folder = model(tmp_path / "piped")
    os.mkfifo(folder / "x.safetensors")
    (folder / "chat_template.jinja").mkdir()
    failed(stoker, 2, "x.safetensors cannot be read", "a named pipe", ran=stoker("up", "-d", "./piped"))
    os.mkfifo(tmp_path / "spec.yaml")
    failed(stoker, 2, "spec.yaml cannot be read", "a named pipe", ran=stoker("plan", "-f", "spec.yaml"))


def test_absurd_layers_end_at_once(stoker: Stoker, tmp_path: Path) -> None:
    model(tmp_path / "deep", config={"num_hidden_layers": 10**9})
    failed(
        stoker,
        2,
        "num_hidden_layers in config.json is 1000000000",
        ran=stoker("plan", "./deep", "--gpu", "l4"),
    )


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--compare", ","], "names no GPU"),
        (["--compare", "l4:²"], "'l4:²' is no hardware"),
        (["--compare", "l4:1025"], "1 to 1,024 GPUs"),
        (["--gpu", "l4", "--concurrency", "nan"], "no number of requests"),
        (["--gpu", "l4", "--concurrency", "inf"], "range"),
    ],
)
def test_what_plan_is_asked_for(stoker: Stoker, tmp_path: Path, argv: list[str], said: str) -> None:
    failed(stoker, 2, said, ran=stoker("plan", str(model(tmp_path / "m")), *argv))


@pytest.mark.parametrize(
    ("path", "said"), [("~nobody-here/x", "is no file"), ("a" * 300, "too long"), (".", "it is a folder")]
)
def test_a_chat_template_that_is_none(stoker: Stoker, tmp_path: Path, path: str, said: str) -> None:
    model(tmp_path / "m")
    failed(stoker, 2, said, ran=stoker("up", "-d", "./m", "--set", f"engine.chat-template={path}"))


def test_a_spec_from_a_pipe_of_the_shell(stoker: Stoker, tmp_path: Path) -> None:
    ran = stoker("lint", "/dev/stdin", stdin="name: piped\n")
    assert (ran.code, ran.out) == (0, "/dev/stdin: ok, fleet piped\n")


def test_depth_and_aliases_end_at_once(stoker: Stoker, tmp_path: Path) -> None:
    (tmp_path / "deep.yaml").write_text("engine: " + "[" * 101 + "]" * 101)
    lines = [f"k{n}: &k{n} [{', '.join([f'*k{n - 1}'] * 10)}]" for n in range(1, 6)]
    (tmp_path / "aliases.yaml").write_text("k0: &k0 [x, x]\n" + "\n".join(lines))
    ran = stoker("lint", "deep.yaml", "aliases.yaml")
    assert ran.code == 2
    assert ran.err.count("rule text-bounds") == 2, ran.err


def test_weights_of_another_model(stoker: Stoker, tmp_path: Path) -> None:
    model(tmp_path / "mixed", config={"num_hidden_layers": 3})
    failed(stoker, 2, "not those of config.json", ran=stoker("up", "-d", "./mixed"))


def test_a_model_larger_than_the_memory(stoker: Stoker, tmp_path: Path) -> None:
    model(tmp_path / "large", parameters=2**40)
    ran = stoker("up", "-d", "./large")
    failed(stoker, 3, "does not fit", "this machine has", ran=ran)


def test_more_replicas_than_memory(stoker: Stoker, tmp_path: Path) -> None:
    model(tmp_path / "small")
    failed(stoker, 3, "500 replicas need", ran=stoker("up", "-d", "./small", "--set", "replicas=500"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("engine: {max-modle-len: 4K}", ("stoker.yaml:1:10", "max-model-len")),
        ("engine: {port: 9000}", ("stoker.yaml:1:10", "endpoint.port")),
        ("replica: 2", ("stoker.yaml:1:1", "replicas")),
        ("endpoint: {api_key: sk-abcdef}", ("stoker.yaml:1", "env:")),
        ("endpoint: {host: 0.0.0.0}", ("stoker.yaml:1", "api_key")),
    ],
)
def test_mistakes_in_the_file_are_placed(
    stoker: Stoker, tmp_path: Path, text: str, said: tuple[str, ...]
) -> None:
    (tmp_path / "stoker.yaml").write_text(text)
    ran = stoker("up", "-d", "-f", "stoker.yaml")
    failed(stoker, 2, *said, ran=ran)
    assert "sk-abcdef" not in ran.err


def test_an_unknown_source(stoker: Stoker) -> None:
    failed(stoker, 2, ran=stoker("up", "-d", "demo:gpt-9"))


def test_no_file_of_that_name(stoker: Stoker) -> None:
    failed(stoker, 2, "nowhere.yaml", ran=stoker("up", "-d", "-f", "nowhere.yaml"))


def test_lint_checks_every_file_and_says_all(stoker: Stoker, tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text("replicas: 2")
    (tmp_path / "bad.yaml").write_text("replica: 2")
    (tmp_path / "worse.yaml").write_text("engine: {max-model-len: 012}")
    ran = stoker("lint", "good.yaml", "bad.yaml", "worse.yaml")
    assert (ran.code, ran.out.count("ok")) == (2, 1)
    assert "bad.yaml:1:1" in ran.err
    assert "worse.yaml:1" in ran.err
    found = stoker("lint", "bad.yaml", "good.yaml", "-o", "json")
    assert (found.code, [finding["at"] for finding in found.json()]) == (2, ["bad.yaml:1:1"])
    assert stoker("lint", "good.yaml", "-o", "json").json() == []


def test_a_cluster_without_a_kubeconfig_or_hardware(stoker: Stoker) -> None:
    nowhere = str(stoker.home / "no-such-kubeconfig")
    for more in ((), ("--dry-run",)):
        ran = stoker("up", *more, "--target", "kubernetes", "--set", "hardware=l4", KUBECONFIG=nowhere)
        failed(stoker, 2, "no kubeconfig can be used", ran=ran)
    failed(stoker, 2, "the plan needs hardware", "--gpu l4", ran=stoker("plan", "--target", "kubernetes"))
