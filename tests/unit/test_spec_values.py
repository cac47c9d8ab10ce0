"""Every value of a spec: what is no value of its field is refused with file, line, column, why, fix and
rule."""

from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from tests.support.wrong_values import WRONG

from stoker.catalog import vllm
from stoker.errors import SpecError
from stoker.operate.stored import load_stored
from stoker.spec import dump, load, models
from stoker.spec.fixes import fix_of, fix_of_option
from stoker.units import Bytes


def every_model() -> list[type[BaseModel]]:
    """The tables of a spec."""
    return [one for one in vars(models).values() if isinstance(one, type) and issubclass(one, BaseModel)]


DESCRIPTIONS = {info.description for model in every_model() for info in model.model_fields.values()} | {
    one.help for one in vllm.release(vllm.DEFAULT).options.values()
}


def text_of(path: str, value: str) -> str:
    first, _, second = path.partition(".")
    if first == "scaling":
        return f"replicas: 1..2\nscaling:\n  {second}: {value}\n"
    if first == "model" and second:
        return f"model:\n  source: hf://org/repo\n  {second}: {value}\n"
    return f"{first}:\n  {second}: {value}\n" if second else f"{first}: {value}\n"


@pytest.mark.parametrize(("path", "value"), [(path, value) for path, all in WRONG.items() for value in all])
def test_what_is_no_value_is_refused_at_its_place(path: str, value: str) -> None:
    text = text_of(path, value)
    with pytest.raises(SpecError) as caught:
        load(text, "f.yaml")
    finding = caught.value.finding
    file, line, column = finding.at.split(":")
    assert file == "f.yaml"
    assert int(line) == len(text.splitlines())
    assert int(column) >= 1
    assert finding.why
    assert finding.fix
    assert finding.rule in (
        "spec-value",
        "spec-engine",
        "spec-kubernetes",
        "spec-yaml",
        "text-bounds",
        "spec-key",
        "gpu-unknown",
    )
    assert len(str(finding)) < 2000, "what was written is shown cut"
    if finding.rule in ("spec-value", "spec-engine", "spec-kubernetes"):
        action = finding.fix.splitlines()[0]
        assert action not in DESCRIPTIONS
        assert "`" in action or "leave it out" in action


@pytest.mark.parametrize(
    ("path", "value", "offered", "bounds"),
    [
        ("drain_timeout", "", {"drain_timeout": "5m"}, ("0", "a year")),
        ("replicas", "-1", {"replicas": 1}, ("0", "1,000", "1..5")),
        ("endpoint.port", "0", {"port": 8000}, ("1", "65,535")),
        ("endpoint.max_body", "1", {"max_body": "256MiB"}, ("1KiB", "16GiB")),
        ("hardware.price", "-1", {"price": 2.5}, ("0", "1,000,000")),
        ("target", "docker", {"target": "local"}, ("local", "kubernetes")),
        ("scaling.metrics", "{}", {"metrics": {"queue-depth": 5}}, ()),
        ("engine.gpu-memory-utilization", "5", {"gpu-memory-utilization": 0.92}, ("above 0", "at most 1")),
        ("engine.gpu-memory-utilization", "0", {"gpu-memory-utilization": 0.92}, ("above 0", "at most 1")),
        ("engine.dtype", "float12", {"dtype": "auto"}, ("bfloat16", "float", "float16", "half")),
        ("engine.env", "{A: []}", {"A": "text"}, ()),
    ],
)
def test_a_fix_is_something_to_write(
    path: str, value: str, offered: dict[str, Any], bounds: tuple[str, ...]
) -> None:
    with pytest.raises(SpecError) as caught:
        load(text_of(path, value), "f.yaml")
    fix = caught.value.finding.fix.splitlines()[0]
    assert taken(fix) == offered
    assert [one for one in bounds if one not in fix] == []


def test_the_words_of_a_fix() -> None:
    for path, value, words in (
        ("endpoint.port", "0", "a whole number from 1 to 65,535: write `port: 8000`, or leave it out"),
        ("engine.max-num-seqs", "-1", "write a whole number from 1 to 1,048,576, or leave it out"),
    ):
        with pytest.raises(SpecError) as caught:
            load(text_of(path, value), "f.yaml")
        assert caught.value.finding.fix.splitlines()[0] == words


def test_the_engines_range_has_both_ends() -> None:
    with pytest.raises(SpecError) as caught:
        load("engine: {gpu-memory-utilization: 5}")
    assert caught.value.finding.why == "vLLM takes a number above 0 and at most 1"


def test_a_text_with_a_control_character_is_not_too_long() -> None:
    with pytest.raises(SpecError) as caught:
        load('engine: {image: "a\\0b"}', "f.yaml")
    assert caught.value.finding.what == "f.yaml holds what is no text"


def every_field(
    model: type[BaseModel] = models.SpecFile, above: tuple[str, ...] = ()
) -> list[tuple[str, ...]]:
    """The paths of a spec's fields, tables before what is in them."""
    out = []
    for name, info in model.model_fields.items():
        path = (*above, name)
        inner = [one for one in every_model() if one.__name__ in str(info.annotation)]
        out += [path, *(below for one in inner for below in every_field(one, path))]
    return out


def taken(fix: str) -> dict[str, Any]:
    """The line that a fix offers, as YAML has it."""
    return dict(yaml.safe_load(fix.splitlines()[0].partition("write `")[2].partition("`")[0]))


@pytest.mark.parametrize("path", every_field(), ids=".".join)
def test_what_a_fix_offers_is_taken(path: tuple[str, ...]) -> None:
    value: Any = taken(fix_of(path))
    for name in reversed(path[:-1]):
        value = {name: value}
    around: dict[str, Any] = {"model": {"source": "hf://org/repo"}, "replicas": "1..2"}
    if path[0] == "scaling":
        around["scaling"] = {"metrics": {"queue-depth": 5}}
    if "policies" in path[:-1]:
        return  # one of three that go together
    for name, below in value.items():
        both = isinstance(below, dict) and isinstance(around.get(name), dict)
        around[name] = around[name] | below if both else below
    if around["replicas"] == "1..2" and "scaling" not in around:
        around["replicas"] = 1
    models.SpecFile.model_validate(around)


def test_what_a_fix_offers_for_an_option_is_taken() -> None:
    for option in vllm.release(vllm.DEFAULT).options.values():
        fix = fix_of_option(option.name, option)
        assert "leave it out" in fix.splitlines()[0]
        if "write `" in fix:
            assert option.check(taken(fix)[option.name]) is None, fix


@pytest.mark.parametrize(
    "text",
    [
        "drain_timeout: 0\n",
        "drain_timeout: 1h30m\n",
        "memory: 512MiB\n",
        "memory: 3221225472\n",
        "replicas: 1000\n",
        "replicas: 0\n",
        "engine: {gpu-memory-utilization: 1}\n",
        "engine: {gpu-memory-utilization: '0.9'}\n",
        "engine: {max-num-seqs: 1}\n",
        "engine: {max-model-len: auto}\n",
        "engine: {max-model-len: -1}\n",
        "engine: {cpu-offload-gb: 0}\n",
        "engine: {seed: -1}\n",
        "engine: {image: 'reg.example:5000/a/b_c@sha256:0123456789abcdef'}\n",
        "engine: {env: {VLLM_USE_X: '1'}}\n",
        "endpoint: {host: localhost}\n",
        "endpoint: {host: '::1'}\n",
        "endpoint: {host: '[::1]'}\n",
        "endpoint: {host: 127.0.0.2}\n",
        "endpoint: {host: node-7.example.com, api_key: 'env:K'}\n",
        "endpoint: {host: '::', api_key: 'env:K'}\n",
        "endpoint: {cors: ['*', 'http://localhost:3000', 'https://[::1]:8443', 'chrome-extension://abc']}\n",
        "endpoint: {queue_timeout: 0}\n",
        "kubernetes: {labels: {app.kubernetes.io/part-of: shop, a: ''}}\n",
        "kubernetes: {tolerations: [{operator: Exists}]}\n",
        "slo: {ttft: 0.3}\n",
        "model: {source: hf://org/repo, revision: refs/pr/3}\n",
        "model: hf://org/repo@v1.0\n",
        "hardware: {gpu: l4, price: 0}\n",
    ],
)
def test_what_is_sane_is_taken_and_survives_being_stored(text: str) -> None:
    spec = load(text, "f.yaml")
    assert load_stored(dump(spec)) == spec


@pytest.mark.parametrize(
    ("host", "open"),
    [
        ("127.0.0.1", False),
        ("127.9.9.9", False),
        ("::1", False),
        ("0:0:0:0:0:0:0:1", False),
        ("localhost", False),
        ("127.example.com", True),
        ("0.0.0.0", True),
        ("::", True),
        ("localhost.example.com", True),
        ("10.0.0.1", True),
    ],
)
def test_an_open_endpoint_needs_a_key(host: str, open: bool) -> None:
    if not open:
        assert load(f"endpoint: {{host: '{host}'}}").endpoint.loopback
        return
    with pytest.raises(SpecError) as caught:
        load(f"endpoint: {{host: '{host}'}}", "f.yaml")
    assert (caught.value.finding.rule, caught.value.finding.at) == ("endpoint-open", "f.yaml:1:12")


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("endpoint: {port: 65535}", "f.yaml:1:12"),
        ("endpoint: {port: 8000, page_port: 8000}", "f.yaml:1:24"),
        ("endpoint: {page_port: 8000}", "f.yaml:1:12"),
    ],
)
def test_the_page_needs_a_port_of_its_own(text: str, at: str) -> None:
    with pytest.raises(SpecError) as caught:
        load(text, "f.yaml")
    assert (caught.value.finding.rule, caught.value.finding.at) == ("spec-ports", at)
    assert load(text.replace("}", ", page: false}")).endpoint.page is False


def test_values_are_named_as_they_are_written() -> None:
    for text, said in (
        ("drain_timeout:", "drain_timeout is empty"),
        ("endpoint: {queue_timeout: true}", "endpoint.queue_timeout is true"),
    ):
        with pytest.raises(SpecError, match=said):
            load(text)


def test_the_longest_body() -> None:
    assert load("").endpoint.max_body == 256 * 1024**2
    assert load("endpoint: {max_body: 1GiB}").endpoint.max_body == Bytes(1024**3)


@pytest.mark.parametrize(
    ("sets", "at"),
    [
        ("replicas", "--set"),
        ("=1", "--set"),
        ("replicas.low=1", "--set replicas.low"),
        ("name=A b", "--set name"),
        ("a\udcffb=1", "--set"),
        ("name=\udcff", "--set"),
        ("name=\x1b", "--set"),
    ],
)
def test_overrides_are_checked_too(sets: str, at: str) -> None:
    with pytest.raises(SpecError) as caught:
        load("", "f.yaml", [sets])
    assert caught.value.finding.at.startswith(at[:5])
    assert str(caught.value).encode()


def test_two_fleets_in_one_file() -> None:
    with pytest.raises(SpecError) as caught:
        load("name: a\n---\nname: b\n", "f.yaml")
    assert (caught.value.finding.rule, caught.value.finding.at) == ("spec-yaml", "f.yaml:3:1")


@pytest.mark.parametrize("key", ["<<", "[a, b]", "{a: b}"])
def test_keys_are_plain_text(key: str) -> None:
    with pytest.raises(SpecError) as caught:
        load(f"? {key}\n: x\n", "f.yaml")
    assert caught.value.finding.rule == "spec-yaml"


def _options(kind: str) -> list[Any]:
    from stoker.catalog import vllm

    return [one for one in vllm.release(vllm.DEFAULT).options.values() if one.kind == kind]


def test_vllms_own_ranges_are_in_the_catalog() -> None:
    ranges = {
        one.name: (one.least, one.above, one.most, one.below)
        for kind in ("int", "float")
        for one in _options(kind)
    }
    assert ranges["gpu-memory-utilization"] == (None, 0, 1, None)
    assert ranges["max-num-seqs"] == (1, None, None, None)
    assert ranges["watermark"] == (0, None, None, 1)
