"""A model's folder, as strange as folders are: each shape ends in an exact error, and nothing but files is
opened."""

import json
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stoker import weights
from stoker.errors import StokerError, UsageError, WeightsFailed
from stoker.model.agreement import check_weights
from stoker.model.shape import read_shape
from stoker.planner.requested import plan_asked
from stoker.spec import load
from stoker.spec.nouns import LocalDir, ModelRef

CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "hidden_size": 64,
    "vocab_size": 100,
    "max_position_embeddings": 512,
}
TENSOR = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"


def safetensors(header: Any, data: int = 16, length: int | None = None) -> bytes:
    body = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(body) if length is None else length) + body + bytes(data)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A whole model, as small as can be."""
    made = tmp_path / "m"
    made.mkdir()
    (made / "config.json").write_text(json.dumps(CONFIG))
    (made / "tokenizer.json").write_text("{}")
    (made / "model.safetensors").write_bytes(
        safetensors({"model.layers.0.a": TENSOR, "__metadata__": {"format": "pt"}})
    )
    return made


def read(folder: Path) -> None:
    """What `up` and then `plan` read of it."""
    weights.fetch(LocalDir(str(folder)), cache=folder / "cache")
    files = weights.peek(ModelRef(LocalDir(str(folder)), "m"))
    check_weights(files, read_shape(files), str(folder))


def refused(folder: Path, kind: type[StokerError], rule: str, *said: str) -> None:
    with pytest.raises(kind) as caught:
        read(folder)
    assert caught.value.finding.rule == rule
    assert caught.value.finding.fix
    for words in said:
        assert words in str(caught.value)


def test_a_whole_folder_is_read(folder: Path) -> None:
    read(folder)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({"a": {"dtype": "F32", "shape": [4]}}, "tensor 'a' has the offsets None"),
        ({"a": TENSOR | {"data_offsets": [0]}}, "has the offsets [0]"),
        ({"a": TENSOR | {"data_offsets": [0, "16"]}}, "has the offsets"),
        ({"a": TENSOR | {"data_offsets": [False, True]}}, "has the offsets"),
        ({"a": TENSOR | {"data_offsets": [-16, 0]}}, "has the offsets"),
        ({"a": TENSOR | {"data_offsets": {"0": 16}}}, "has the offsets"),
        ({"a": TENSOR | {"data_offsets": [16, 0]}}, "ends before it begins"),
        ({"a": TENSOR | {"shape": None}}, "has the shape None"),
        ({"a": TENSOR | {"shape": [4.0]}}, "has the shape"),
        ({"a": TENSOR | {"shape": [-4]}}, "has the shape"),
        ({"a": TENSOR | {"shape": [2**62, 2**62]}}, "does not take 16 bytes"),
        ({"a": TENSOR | {"dtype": 32}}, "has the dtype 32"),
        ({"a": TENSOR | {"shape": [5]}}, "does not take 16 bytes"),
        ({"a": [0, 16]}, "is no table"),
        ({"a": TENSOR, "b": TENSOR}, "overlap"),
        ({"a": TENSOR, "b": TENSOR | {"data_offsets": [32, 48]}}, "leave a hole"),
        ({"a": TENSOR | {"data_offsets": [16, 32]}}, "nothing stands before it"),
        ([], "its header is no object"),
        (b'{"a": ' + b"[" * 101 + b"]" * 101 + b"}", "levels stand in one another"),
        (b"\xff\xfe{}", "is no UTF-8 text"),
        (b'{"a": ' + b"9" * 500 + b"}", "digits"),
        (b"{", "is no whole safetensors file"),
    ],
)
def test_headers_are_checked_as_the_format_wants_them(folder: Path, header: Any, said: str) -> None:
    (folder / "model.safetensors").write_bytes(safetensors(header))
    refused(folder, WeightsFailed, "weights-truncated", said)


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (2**63, "at most are read"),
        (2**24 + 1, "at most are read"),
        (0, "ends within"),
        (1, "ends within"),
        (4096, "ends within"),
    ],
)
def test_a_header_of_an_absurd_length(folder: Path, length: int, said: str) -> None:
    (folder / "model.safetensors").write_bytes(safetensors({"a": TENSOR}, length=length))
    refused(folder, WeightsFailed, "weights-truncated", said)


def test_empty_tensors_take_no_room(folder: Path) -> None:
    empty = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    (folder / "model.safetensors").write_bytes(
        safetensors({"model.layers.0.a": TENSOR, "model.layers.0.b": empty})
    )
    read(folder)


def test_a_dtype_that_is_newer_than_this_is_taken(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(
        safetensors({"model.layers.0.a": TENSOR | {"dtype": "F5_NEW"}})
    )
    read(folder)


@pytest.mark.parametrize(
    "index",
    [
        [],
        {"weight_map": []},
        {"weight_map": "x"},
        {"weight_map": {"a": 1}},
        {"weight_map": {"a": None}},
        {"weight_map": {"a": ["x"]}},
    ],
)
def test_an_index_of_another_shape(folder: Path, index: Any) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(folder, WeightsFailed, "weights-broken", "model.safetensors.index.json")


@pytest.mark.parametrize("name", ["gone.safetensors", "../m/model.safetensors", "/etc/passwd", "", "a" * 300])
def test_an_index_names_files_of_the_folder(folder: Path, name: str) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    refused(folder, WeightsFailed, "weights-shards", "1 of 1")


def pipe(path: Path) -> None:
    os.mkfifo(path)


def bound(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        os.chdir(path.parent)  # the names of sockets are short
        one.bind(path.name)


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


PLACES = ["config.json", "model.safetensors", "tokenizer_config.json", "chat_template.jinja", "x.safetensors"]


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize(
    ("make", "said"),
    [(pipe, "it is a named pipe"), (Path.mkdir, "it is a folder"), (device, "it is a device")],
)
def test_what_is_no_file_is_never_opened(
    folder: Path, name: str, make: Callable[[Path], None], said: str
) -> None:
    (folder / name).unlink(missing_ok=True)
    make(folder / name)
    refused(folder, UsageError, "weights-unreadable", said, name)


@pytest.mark.parametrize("name", PLACES)
def test_links_that_lead_in_a_circle(folder: Path, name: str) -> None:
    (folder / name).unlink(missing_ok=True)
    loop(folder / name)
    with pytest.raises(WeightsFailed) as caught:
        read(folder)
    assert "symbolic links" in caught.value.finding.why


def test_a_socket_is_not_opened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    bound(folder / "x.safetensors")
    refused(folder, UsageError, "weights-unreadable", "it is a socket")


def test_links_to_files_are_followed(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "blob")
    (folder / "model.safetensors").symlink_to("blob")
    read(folder)


@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "model.safetensors",
        "tokenizer_config.json",
        "chat_template.jinja",
        "model.safetensors.index.json",
    ],
)
def test_a_pointer_of_git_lfs_is_named_as_one(folder: Path, name: str) -> None:
    (folder / name).write_text(POINTER)
    refused(folder, UsageError, "weights-lfs", "is a Git LFS pointer", f"git -C {folder} lfs pull")


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "chat_template.jinja"])
def test_what_is_no_text(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"{\n\xff\xfe}")
    refused(folder, WeightsFailed, "weights-broken", "line 2 is no UTF-8 text")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 101 + "]" * 101, "levels"),
        ('{"a": ' + "9" * 300 + "}", "digits"),
        ("[]", "it is a list"),
        ("", "Expecting value"),
        ('{"a": "\\ud800"}', "surrogate"),
    ],
)
def test_a_config_that_is_none(folder: Path, text: str, said: str) -> None:
    (folder / "config.json").write_text(text)
    refused(folder, WeightsFailed, "weights-broken", said)


def test_a_config_that_is_far_too_long(folder: Path) -> None:
    with (folder / "config.json").open("wb") as file:
        file.truncate(16 * 1024**2 + 1)
    refused(folder, WeightsFailed, "weights-unreadable", "at most are read")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"num_hidden_layers": 10**9}, "num_hidden_layers in config.json is 1000000000"),
        ({"num_hidden_layers": 2001}, "from 0 to 2,000"),
        ({"num_hidden_layers": "12"}, "whole number"),
        ({"num_hidden_layers": True}, "whole number"),
        ({"num_attention_heads": 2**40}, "num_attention_heads"),
        ({"num_attention_heads": -4}, "num_attention_heads"),
        ({"num_key_value_heads": -1}, "num_key_value_heads"),
        ({"hidden_size": 2**60}, "hidden_size"),
        ({"vocab_size": 0}, "vocab_size"),
        ({"head_dim": -8}, "head_dim"),
        ({"text_config": "x"}, "text_config in config.json is 'x'"),
        ({"text_config": [1]}, "expected a table"),
        ({"vision_config": "x"}, "vision_config"),
        ({"quantization_config": [1]}, "quantization_config"),
        ({"rope_scaling": "linear"}, "rope_scaling"),
        ({"architectures": {"a": 1}}, "architectures"),
        ({"architectures": "Llama"}, "architectures"),
        ({"layer_types": []}, ""),
        ({"num_hidden_layers": 3, "layer_types": ["full_attention"]}, "1 entries for 3 layers"),
        ({"layer_types": {"0": "full_attention"}}, "layer_types"),
        (
            {"full_attention_interval": 2, "linear_num_key_heads": -2, "linear_key_head_dim": 4},
            "is not shaped as one of",
        ),
        ({"num_key_value_heads": 0}, "would keep nothing of a token"),
        ({"kv_lora_rank": 8, "qk_rope_head_dim": -8}, "qk_rope_head_dim in config.json is -8"),
        (
            {
                "architectures": ["MixtralForCausalLM"],
                "num_local_experts": 2**20,
                "intermediate_size": 2**24,
                "hidden_size": 2**24,
            },
            "parameters",
        ),
        (
            {"quantization_config": {"quant_method": "fp8", "weight_block_size": [0, 0]}},
            "is not shaped as one of LlamaForCausalLM",
        ),
        ({"quantization_config": {"quant_method": "awq", "bits": -4}}, "gives a parameter"),
        (
            {"quantization_config": {"quant_method": "fp8", "weight_block_size": [float("nan"), 128]}},
            "gives a parameter",
        ),
        ({"quantization_config": {"quant_method": "awq", "bits": "four"}}, "is not shaped as one of"),
        (
            {"quantization_config": {"quant_method": "compressed-tensors", "config_groups": [1]}},
            "is not shaped as one of",
        ),
    ],
)
def test_fields_of_a_config_that_make_no_sense(folder: Path, fields: dict[str, Any], said: str) -> None:
    (folder / "config.json").write_text(json.dumps(CONFIG | fields))
    if not said:
        read(folder)
        return
    refused(folder, UsageError, "model-config", said)


def test_layers_whose_state_is_not_known_make_an_estimate(folder: Path) -> None:
    (folder / "config.json").write_text(
        json.dumps(CONFIG | {"num_hidden_layers": 2, "full_attention_interval": -2.5})
    )
    shape = read_shape(weights.peek(ModelRef(LocalDir(str(folder)), "m")))
    assert not shape.known
    plan_asked(load("{model: ./m, hardware: l4}"), shape, "m")


@pytest.mark.parametrize("value", ["Infinity", "NaN", "-Infinity", "1e999"])
def test_numbers_that_python_writes_and_json_does_not_have(folder: Path, value: str) -> None:
    """Hybrid models' configs hold `Infinity` in the wild; it is no size."""
    text = json.dumps(CONFIG | {"time_step_limit": [0.0, "@"], "rope_theta": "@"}).replace('"@"', value)
    (folder / "config.json").write_text(text)
    read(folder)


@pytest.mark.parametrize(
    "pattern", ["re:(a+)+$", "re:(", "re:" + ".*" * 6 + "x", "re:" + "a" * 600, "[", "re:a{99999999999}"]
)
def test_patterns_of_a_checkpoint_that_are_none_or_would_take_for_ever(folder: Path, pattern: str) -> None:
    quantization = {"quant_method": "compressed-tensors", "ignore": [pattern, "lm_head"], "quant_algo": "FP8"}
    (folder / "config.json").write_text(json.dumps(CONFIG | {"quantization_config": quantization}))
    files = weights.peek(ModelRef(LocalDir(str(folder)), "m"))
    shape = read_shape(files)
    assert shape.quantization is not None
    assert all(
        isinstance(shape.quantization.takes(part, 0), bool) for layer in shape.decoder for part in layer.parts
    )


def test_a_file_in_place_of_the_folder_and_nothing_at_all(folder: Path) -> None:
    refused(folder / "tokenizer.json", UsageError, "weights-config", "it is a file")
    refused(folder.parent / "none", UsageError, "weights-config", "nothing of that name")
    refused(folder.parent / ("a" * 300), WeightsFailed, "weights-unreadable", "too long")
    with pytest.raises(UsageError, match="nobody of that name"):
        weights.peek(ModelRef(LocalDir("~nobody-of-that-name/m"), "m"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_what_may_not_be_read(folder: Path) -> None:
    (folder / "config.json").chmod(0)
    refused(folder, WeightsFailed, "weights-unreadable", "permission denied")


@pytest.mark.parametrize("config", [{"quantization": [1]}, {"quantization": None}, {"quantization": {}}])
def test_what_modelopt_leaves_beside_it(folder: Path, config: Any) -> None:
    (folder / "hf_quant_config.json").write_text(json.dumps(config))
    read(folder)
