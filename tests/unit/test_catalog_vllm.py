"""The catalog of vLLM's options: names, values, command lines, routes."""

import json
from typing import Any

import pytest

from stoker.catalog import vllm
from stoker.errors import UsageError
from stoker.units import Bytes, Tokens

RELEASE = vllm.release(vllm.DEFAULT)


def option(name: str) -> vllm.Option:
    found = RELEASE.option(name)
    assert found is not None
    return found


def test_an_unknown_release_names_the_known_ones() -> None:
    with pytest.raises(UsageError) as caught:
        vllm.release("0.1.0")
    assert vllm.DEFAULT in caught.value.finding.fix
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("max-model-len", "max-model-len"),
        ("max_model_len", "max-model-len"),
        ("tp", "tensor-parallel-size"),
        ("tensor_parallel_size", "tensor-parallel-size"),
        ("asc", "api-server-count"),
        ("cc", "compilation-config"),
        ("compilation_config.pass_config.fuse", "compilation-config.pass_config.fuse"),
    ],
)
def test_an_option_answers_to_all_its_names(name: str, own: str) -> None:
    assert option(name).name == own


@pytest.mark.parametrize("name", ["max-modle-len", "", "help", "max-model-len.key", "compilation-config."])
def test_what_is_no_option_is_none(name: str) -> None:
    assert RELEASE.option(name) is None


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("max-modle-len", "max-model-len"),
        ("MAX_MODEL_LENGTH", "max-model-len"),
        ("gpu-memory-utilisation", "gpu-memory-utilization"),
        ("zzz", None),
    ],
)
def test_the_nearest_option(typo: str, meant: str | None) -> None:
    assert RELEASE.nearest(typo) == meant


FITS: list[tuple[str, Any]] = [
    ("enforce-eager", True),
    ("tensor-parallel-size", 2),
    ("tensor-parallel-size", "2"),
    ("gpu-memory-utilization", 0.9),
    ("gpu-memory-utilization", 1),
    ("max-model-len", "32K"),
    ("max-model-len", "auto"),
    ("max-model-len", -1),
    ("max-model-len", Tokens(32768)),
    ("kv-cache-memory-bytes", "4G"),
    ("dtype", "float32"),
    ("max-lora-rank", 16),
    ("moe-backend", "Flashinfer-TRTLLM"),
    ("compilation-config", {"mode": 2}),
    ("compilation-config", '{"mode": 2}'),
    ("compilation-config.mode", 2),
    ("hf-overrides", "module:function"),
    ("allowed-origins", ["*"]),
    ("allowed-media-domains", ["a.example", "b.example"]),
    ("allowed-media-domains", "a.example"),
    ("cudagraph-capture-sizes", [1, 2, 4]),
    ("device-ids", [0, 1]),
    ("device-ids", "0,1"),
    ("revision", "main"),
    ("optimization-level", 3),
]


@pytest.mark.parametrize(("name", "value"), FITS)
def test_a_value_that_fits(name: str, value: Any) -> None:
    assert option(name).check(value) is None


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("enforce-eager", "yes", "expected true or false"),
        ("tensor-parallel-size", 2.0, "expected a whole number"),
        ("tensor-parallel-size", True, "expected a whole number"),
        ("tensor-parallel-size", None, "expected a whole number"),
        ("tensor-parallel-size", [2], "expected a whole number"),
        ("gpu-memory-utilization", "most", "expected a number"),
        ("gpu-memory-utilization", float("nan"), "expected a number"),
        ("max-model-len", "32 thousand", "expected a count such as 8192, 32K or 32k, or auto"),
        ("max-num-batched-tokens", "auto", "expected a count such as 8192, 32K or 32k"),
        ("max-model-len", 0, "expected a count such as 8192, 32K or 32k, or auto"),
        ("chat-template-content-format", "html", "expected one of auto, openai, string"),
        ("max-lora-rank", 17, "expected one of 1, 8, 16, 32, 64, 128, 256, 320, 512"),
        ("compilation-config", 3, "expected a table, or JSON text of one"),
        ("compilation-config", "[1]", "expected a table, or JSON text of one"),
        ("allowed-origins", "{}", "expected a list, or JSON text of one"),
        ("allowed-media-domains", [], "expected at least one value"),
        ("cudagraph-capture-sizes", [1, "two"], "expected a whole number"),
        ("revision", 1.1, "expected text: put it in quotes, as a number loses its zeros"),
        ("revision", {}, "expected text"),
    ],
)
def test_a_value_that_does_not_fit_says_why(name: str, value: Any, why: str) -> None:
    assert option(name).check(value) == why


def test_broken_json_says_where() -> None:
    why = option("compilation-config").check('{"mode": }')
    assert why is not None
    assert "not valid JSON" in why
    assert "column" in why


@pytest.mark.parametrize(
    ("name", "value", "argv"),
    [
        ("enforce-eager", True, ("--enforce-eager",)),
        ("enforce-eager", False, ("--no-enforce-eager",)),
        ("disable-log-stats", False, ()),
        ("tp", 2, ("--tensor-parallel-size", "2")),
        ("max_model_len", "32K", ("--max-model-len", "32K")),
        ("max-model-len", Tokens(32768), ("--max-model-len", "32768")),
        ("max-model-len", -1, ("--max-model-len", "-1")),
        ("kv-cache-memory-bytes", Bytes(1 << 30), ("--kv-cache-memory-bytes", "1073741824")),
        ("gpu-memory-utilization", 0.9, ("--gpu-memory-utilization", "0.9")),
        ("compilation-config", {"mode": 2, "a": [1]}, ("--compilation-config", '{"mode":2,"a":[1]}')),
        ("compilation-config.mode", 2, ("--compilation-config.mode", "2")),
        ("speculative-config.a.b", True, ("--speculative-config.a.b", "true")),
        ("allowed-origins", ["*"], ("--allowed-origins", '["*"]')),
        ("allowed-media-domains", ["a", "b"], ("--allowed-media-domains", "a", "b")),
        ("middleware", ["a.B", "c.D"], ("--middleware", "a.B", "--middleware", "c.D")),
        ("device-ids", [2, 3], ("--device-ids", "2,3")),
        ("hf-token", True, ("--hf-token",)),
        ("response-role", "--x", ("--response-role=--x",)),
    ],
)
def test_the_words_of_a_command_line(name: str, value: Any, argv: tuple[str, ...]) -> None:
    assert option(name).argv(value) == argv


def test_every_default_fits_its_option() -> None:
    wrong = {o.name: o.check(o.default) for o in RELEASE.options.values() if o.default is not None}
    assert {name: why for name, why in wrong.items() if why} == {}


def test_every_option_has_a_short_help() -> None:
    assert all(0 < len(o.help) <= 160 for o in RELEASE.options.values())


@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/responses",
        "/v1/messages",
        "/v1/embeddings",
        "/tokenize",
        "/v1/responses/{response_id}",
        "/v1/models",
        "/version",
        "/v2/rerank",
        "/v1/audio/transcriptions",
    ],
)
def test_routes_for_users(path: str) -> None:
    assert path in RELEASE.inference_routes


@pytest.mark.parametrize(
    "path",
    [
        "/sleep",
        "/wake_up",
        "/collective_rpc",
        "/v1/load_lora_adapter",
        "/adapters",
        "/scale_elastic_ep",
        "/pause",
        "/reset_prefix_cache",
        "/update_weights",
        "/server_info",
        "/invocations",
        "/ping",
        "/load",
        "/docs",
        "/openapi.json",
        "/metrics",
        "/start_profile",
        "/abort_requests",
        "/inference/v1/abort_requests",
    ],
)
def test_routes_that_no_user_may_reach(path: str) -> None:
    assert path in RELEASE.admin_routes
    assert path not in RELEASE.inference_routes


def test_routes_say_their_methods() -> None:
    assert RELEASE.routes["/v1/models"].methods == ("GET",)
    assert RELEASE.routes["/v1/realtime"].methods == ("WEBSOCKET",)
    assert all(route.methods for route in RELEASE.routes.values())


def test_metric_families_have_their_types() -> None:
    assert RELEASE.metrics["vllm:num_requests_running"] == "gauge"
    assert RELEASE.metrics["vllm:generation_tokens_total"] == "counter"
    assert RELEASE.metrics["vllm:time_to_first_token_seconds"] == "histogram"


def test_json_goes_out_as_it_came_in() -> None:
    value = {"b": {"c": [1, "ä"]}, "a": None}
    assert json.loads(option("compilation-config").argv(value)[1]) == value
