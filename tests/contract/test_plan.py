"""`stoker plan` as a user calls it: without a file, with every flag, in JSON, and when it goes wrong."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests import models
from tests.conftest import Stoker

from stoker.cli.plan import FIELDS

MEMORY = {"total", "usable", "weights", "activations", "cuda_graphs", "other", "kv_cache", "kv_cache_band"}


@pytest.fixture
def folder(stoker: Stoker) -> Path:
    """A model's folder with config.json alone."""
    place = stoker.home / "llama-8b"
    place.mkdir(parents=True)
    (place / "config.json").write_text(json.dumps(models.LLAMA_8B))
    return place


def planned(stoker: Stoker, *argv: str) -> Any:
    ran = stoker("plan", *argv, "-o", "json")
    assert ran.code == 0, ran.err
    return ran.json()


@pytest.mark.parametrize("named", ["--model", None])
@pytest.mark.parametrize("file", ["", "config.json"])
def test_a_model_and_a_gpu_are_enough(stoker: Stoker, folder: Path, named: str | None, file: str) -> None:
    model = str(folder / file)
    found = planned(stoker, *([named] if named else []), model, "--gpu", "l4", "--gpus", "1")
    assert set(found) == set(FIELDS)
    assert found["name"] == "llama-8b"
    assert (found["strategy"], found["gpus_per_replica"], found["nodes"]) == ("single-gpu", 1, 1)
    assert set(found["memory"]) == MEMORY
    parts = ("weights", "activations", "cuda_graphs", "other", "kv_cache")
    assert sum(found["memory"][part] for part in parts) == found["memory"]["usable"]
    assert found["kv_cache_tokens"] > 0
    assert found["cost_per_hour"] > 0


def test_every_flag_of_vllm_that_bears_on_memory(stoker: Stoker, folder: Path) -> None:
    flags = {
        "--max-model-len": "16K",
        "--gpu-memory-utilization": "0.85",
        "--tensor-parallel-size": "2",
        "--pipeline-parallel-size": "2",
        "--dtype": "float16",
        "--quantization": "fp8",
        "--kv-cache-dtype": "fp8",
        "--max-num-batched-tokens": "4096",
        "--max-num-seqs": "64",
    }
    found = planned(
        stoker,
        "--model",
        str(folder),
        "--gpu",
        "nvidia-h100-80gb",
        "--gpus",
        "4",
        "--enforce-eager",
        *(word for pair in flags.items() for word in pair),
    )
    words = found["vllm_args"]
    for flag, value in flags.items():
        assert words[words.index(flag) + 1] in (value, "16384")
    assert "--enforce-eager" in words
    assert (found["tensor_parallel_size"], found["pipeline_parallel_size"]) == (2, 2)
    assert found["memory"]["cuda_graphs"] == 0
    assert found["max_model_len"] == 16384


def test_another_release_is_planned_by_its_own_rules(stoker: Stoker, folder: Path) -> None:
    argv = (
        "--model",
        str(folder),
        "--gpu",
        "h100-80gb",
        "--gpus",
        "1",
        "--max-model-len",
        "8192",
        "--gpu-memory-utilization",
        "0.95",
    )
    old = planned(stoker, *argv, "--engine-version", "0.19.0")
    assert old["memory"]["kv_cache"] / 1024**3 == pytest.approx(58.11, rel=0.01)
    assert old["memory"]["cuda_graphs"] == 0
    assert planned(stoker, *argv)["memory"]["cuda_graphs"] > 0


def test_gpus_side_by_side(stoker: Stoker, folder: Path) -> None:
    ran = stoker(
        "plan", "--model", str(folder), "--compare", "l4,a100-80gb:1,rtx-4090:1", "--max-model-len", "128K"
    )
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert lines[1].split()[0] == "GPU"
    assert lines[2].startswith("  2 x l4")
    assert lines[3].startswith("  1 x a100-80gb")
    assert "does not fit" in lines[4]
    both = stoker(
        "plan", str(folder), "--compare", "l4,rtx-4090:1", "--max-model-len", "128K", "-o", "json"
    ).json()
    assert [one["gpu"] for one in both] == ["l4", "rtx-4090:1"]
    assert both[1]["fits"] is False


def test_nothing_fits(stoker: Stoker, folder: Path) -> None:
    ran = stoker("plan", str(folder), "--gpu", "t4", "--gpus", "1", "--max-model-len", "128K")
    assert ran.code == 3
    assert "does not fit on 1 x T4" in ran.err
    assert "hardware: t4:" in ran.err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("--gpu", "l5"), "the GPU 'l5' is not known"),
        (("--gpu", "l4", "--gpus", "0"), "greater than or equal to 1"),
        (("--gpu", "l4", "--gpus", "-2"), "greater than or equal to 1"),
        (("--gpu", "l4", "--max-model-len", "0"), "expected a count"),
        (("--gpu", "l4", "--max-model-len", "-8"), "expected a count"),
        (("--gpu", "l4", "--max-model-len", "200K"), "above the model's 131072"),
        (("--gpu", "l4", "--tensor-parallel-size", "3"), "does not divide the model's 32 attention heads"),
        (("--gpu", "l4", "--gpu-memory-utilization", "1.5"), "at most 1"),
        (("--gpu", "l4", "--dtype", "int3"), "expected one of"),
        (("--machine", "g9-standard-1"), "the machine type 'g9-standard-1' is not known"),
        (("--gpu", "l4", "--engine-version", "latest"), "is no release"),
        (("--gpu", "l4", "--concurrency", "0"), "--concurrency"),
        (("--gpu", "l4", "--gpus", "2", "--tensor-parallel-size", "4"), "hardware asks for 2 GPUs"),
    ],
)
def test_bad_input_is_exit_2_and_says_why(
    stoker: Stoker, folder: Path, argv: tuple[str, ...], said: str
) -> None:
    ran = stoker("plan", "--model", str(folder), *argv)
    assert ran.code == 2, ran.err
    assert said in ran.err
    assert "--set" not in ran.err  # what was typed is named


def test_broken_and_missing_configs(stoker: Stoker, folder: Path) -> None:
    ran = stoker("plan", "--model", "./nowhere", "--gpu", "l4")
    assert (ran.code, "has no config.json" in ran.err) == (2, True)
    (folder / "config.json").write_text("{broken")
    ran = stoker("plan", "--model", str(folder), "--gpu", "l4")
    assert ran.code in (1, 2)
    assert "config.json cannot be read" in ran.err
    (folder / "config.json").write_text("{}")
    ran = stoker("plan", "--model", str(folder), "--gpu", "l4")
    assert (ran.code, "config.json has no num_hidden_layers" in ran.err) == (2, True)


def test_a_file_for_a_cluster_is_planned_for_its_own_hardware(stoker: Stoker, folder: Path) -> None:
    (stoker.home / "stoker.yaml").write_text(
        f"model: {folder}\nhardware: l4:2\ntarget: kubernetes\nreplicas: 1..5\nscaling: {{metrics: "
        f"{{queue-depth: 5}}}}\n"
    )
    ran = stoker("plan")
    assert ran.code == 0, ran.err
    assert "tensor parallel 2 on one node (g2-standard-24)" in ran.out
    assert "1..5 on queue-depth 5" in ran.out
    assert " to $" in ran.out


def test_a_gpu_on_the_command_line_stands_for_the_files_whole_hardware(stoker: Stoker, folder: Path) -> None:
    (stoker.home / "stoker.yaml").write_text(
        f"model: {folder}\nhardware: {{gpu: l4, count: 2, price: 1.5}}\n"
    )
    found = planned(stoker, "-f", "stoker.yaml", "--gpu", "h100-80gb")
    assert (found["gpu"], found["gpus_per_replica"]) == ("h100-80gb", 1)
    assert found["cost_per_hour"] > 3
