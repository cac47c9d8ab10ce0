"""The spec: what it accepts, what comes of it, and what it says of mistakes."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stoker.errors import SpecError
from stoker.operate.stored import load_stored
from stoker.spec import dump, load
from stoker.spec.nouns import Bucket, Demo, Hub, KeyRef, LocalDir
from stoker.spec.template import example, schema
from stoker.units import Bytes, Range, Seconds, Tokens


def test_no_file_at_all_is_the_demo() -> None:
    spec = load("")
    assert (spec.name, spec.model.source) == ("smollm2-135m-instruct", Demo("smollm2-135m-instruct"))
    assert (spec.target, spec.replicas, spec.endpoint.port) == ("local", Range(1, 1), 8000)


def test_two_lines_are_a_spec() -> None:
    spec = load("model: gs://acme-models/gemma-3-27b-ft\nhardware: l4:4\n")
    assert spec.model.source == Bucket("gs", "acme-models", "gemma-3-27b-ft")
    assert spec.name == spec.model.served_name == "gemma-3-27b-ft"
    assert (spec.hardware.gpu, spec.hardware.count) == ("l4", 4)


def test_the_whole_file_of_the_design() -> None:
    spec = load("""
name: shop
model: {source: gs://acme-models/gemma-3-27b-ft, served_name: gemma-ft}
hardware: nvidia-l4:4
engine: {version: 0.32.0, max-model-len: 32K}
replicas: 1..5
scaling:
  metrics: {queue-depth: 5}
  behavior: {scaleDown: {stabilizationWindowSeconds: 300, policies: [{type: Pods, value: 1, periodSeconds: 60}]}}
slo: {ttft: 1s, itl: 50ms}
endpoint: {port: 8000, api_key: "env:SHOP_KEY"}
target: kubernetes
kubernetes: {context: gke_acme_us-east4_serving, namespace: ml-serve, weights: disk, metrics: stackdriver}
""")
    assert spec.engine.options == {"max-model-len": "32K"}
    assert spec.replicas == Range(1, 5)
    assert spec.scaling is not None
    assert spec.scaling.metrics == {"queue-depth": 5.0}
    assert (spec.slo.ttft, spec.slo.itl) == (1.0, 0.05)
    assert spec.endpoint.api_key == KeyRef("env", "SHOP_KEY")
    assert spec.kubernetes.namespace == "ml-serve"
    assert str(spec.origin["endpoint.port"]).endswith(":11:12")


@pytest.mark.parametrize(
    ("text", "at", "what", "fix"),
    [
        (
            "engine:\n  version: 0.32.0\n  max-modle-len: 4K\n",
            "f.yaml:3:3",
            "unknown option 'max-modle-len'",
            "max-model-len",
        ),
        ("modle: x\n", "f.yaml:1:1", "unknown key 'modle'", "model"),
        ("endpoint:\n  prot: 1\n", "f.yaml:2:3", "unknown key 'prot' in endpoint", "port"),
        ("model: x\nmodel: y\n", "f.yaml:2:1", "'model' stands twice", "keep one"),
        ("engine: {enforce-eager: yes}\n", "f.yaml:1:25", "'yes' is ambiguous", "true"),
        ("replicas: 012\n", "f.yaml:1:11", "'012' is ambiguous", "drop the zero"),
        ("drain_timeout: 1:30\n", "f.yaml:1:16", "'1:30' is ambiguous", "90s"),
        ("drain_timeout: 5 parsecs\n", "f.yaml:1:1", "'5 parsecs' is no duration", ""),
        ("replicas: 5..1\n", "f.yaml:1:1", "is empty", ""),
        ("replicas: 1..5\n", "f.yaml:1:1", "is a range without scaling", "queue-depth"),
        ("endpoint: {port: 99999}\n", "f.yaml:1:12", "endpoint.port is 99999", ""),
        ("endpoint: {host: 0.0.0.0}\n", "f.yaml:1:12", "there is no key", "api_key"),
        ("engine: {host: 0.0.0.0}\n", "f.yaml:1:10", "Stoker writes 'host' itself", "endpoint.host"),
        ("engine: {served_model_name: x}\n", "f.yaml:1:10", "Stoker writes", "model.served_name"),
        ("engine: {dtype: float12}\n", "f.yaml:1:10", "engine.dtype is 'float12'", ""),
        ("engine: {max-num-seqs: many}\n", "f.yaml:1:10", "whole number", ""),
        ("engine: {version: 0.1.0}\n", "f.yaml:1:10", "vLLM 0.1.0 is not known", "0.32.0"),
        ("engine: {tp: 2, tensor-parallel-size: 2}\n", "f.yaml:1:17", "stands twice", "keep one"),
        ("model: {source: 'ftp://x'}\n", "f.yaml:1:9", "ftp:// is no source", ""),
        ("model: {source: ./m, revision: main}\n", "f.yaml:1:22", "only a hub repository", ""),
        ("scaling: {metrics: {queue-depth: 0}}\n", "f.yaml:1:21", "greater than 0", ""),
        ("name: Shop!\n", "f.yaml:1:1", "name is 'Shop!'", ""),
        ("a: [1\n", "f.yaml:2:1", "not valid YAML", ""),
        ("- a\n", "f.yaml:1:1", "no table", "stoker init"),
        ("\tmodel: x\n", "f.yaml:1:1", "not valid YAML", "spaces"),
    ],
)
def test_mistakes_name_place_reason_and_fix(text: str, at: str, what: str, fix: str) -> None:
    with pytest.raises(SpecError) as caught:
        load(text, "f.yaml")
    finding = caught.value.finding
    assert what in str(finding)
    assert finding.at == at
    assert fix in finding.fix


def test_a_literal_key_is_an_error_and_is_not_repeated() -> None:
    with pytest.raises(SpecError) as caught:
        load("endpoint: {api_key: sk-very-secret}\n", "f.yaml")
    assert "sk-very-secret" not in str(caught.value)
    assert "env:NAME" in str(caught.value)


def test_a_version_is_text() -> None:
    with pytest.raises(SpecError, match=r"vLLM 0\.30 is not known"):
        load("engine: {version: 0.30}\n")


def test_sets_override_the_file() -> None:
    sets = [
        "replicas=2",
        "engine.max-model-len=1k",
        "endpoint.port=9000",
        "model.served_name=short",
        "name=007",
    ]
    spec = load("model: ./m\n", "dir/f.yaml", sets)
    assert spec.replicas == Range(2, 2)
    assert spec.engine.options == {"max-model-len": "1k"}
    assert (spec.endpoint.port, spec.name, spec.model.served_name) == (9000, "007", "short")
    assert spec.model.source == LocalDir("dir/m")


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("hf://org/repo", Hub("org/repo")),
        ("hf://org/repo@abc", Hub("org/repo", "abc")),
        ("https://huggingface.co/org/repo", Hub("org/repo")),
        ("s3://b/a/c/", Bucket("s3", "b", "a/c")),
        ("/abs/folder", LocalDir("/abs/folder")),
        ("demo:x", Demo("x")),
    ],
)
def test_sources(text: str, source: object) -> None:
    assert load(f"model: {text}\n").model.source == source


def test_every_dump_is_json() -> None:
    assert json.loads(json.dumps(dump(load(""))))["replicas"] == "1"


def test_the_example_is_valid_and_the_schema_accepts_it() -> None:
    import jsonschema
    import yaml

    text = example("demo:smollm2-135m-instruct", "demo")
    load(text)
    jsonschema.validate(yaml.safe_load(text), schema())
    jsonschema.validate(
        {"model": "./m", "replicas": "1..3", "hardware": "l4:2", "engine": {"max-model-len": "8K"}}, schema()
    )


@given(st.integers(0, 10**15))
def test_sizes_read_back_what_they_print_in_plain(value: int) -> None:
    assert Bytes.parse(value) == value
    assert Bytes.parse(f"{value}B") == value


@given(st.integers(0, 10**9))
def test_tokens_print_back(value: int) -> None:
    assert Tokens.parse(str(Tokens(value))) == value


@given(st.integers(0, 10**7))
def test_durations_print_back(value: int) -> None:
    if value:
        assert Seconds.parse(str(Seconds(value))) == value


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_ranges_print_back(low: int, more: int) -> None:
    assert Range.parse(str(Range(low, low + more))) == Range(low, low + more)


@given(st.text(max_size=60))
def test_no_text_makes_the_loader_fail_otherwise(text: str) -> None:
    with contextlib.suppress(SpecError):
        load(text)


def test_token_units_are_vllms() -> None:
    assert (Tokens.parse("32K"), Tokens.parse("32k"), Tokens.parse("1.5k")) == (32768, 32000, 1500)
    with pytest.raises(ValueError, match="whole number"):
        Tokens.parse("1.5K")


def test_an_override_inside_model_keeps_the_demo() -> None:
    spec = load("", sets=("model.served_name=m",))
    assert str(spec.model.source) == "demo:smollm2-135m-instruct"
    assert spec.model.served_name == "m"


@pytest.mark.parametrize(
    ("text", "sets", "expected"),
    [
        ("hardware: l4:2", ["hardware.count=4"], ("l4", 4)),
        ("hardware: l4", ["hardware.gpu=t4"], ("t4", None)),
        ("hardware: l4:2", ["hardware=", "hardware.gpu=t4"], ("t4", None)),
        ("hardware: {gpu: l4, count: 2}", ["hardware.gpu=t4"], ("t4", 2)),
    ],
)
def test_an_override_inside_the_short_form_of_hardware(
    text: str, sets: list[str], expected: tuple[str, int | None]
) -> None:
    found = load(text, sets=sets).hardware
    assert (found.gpu, found.count) == expected


@pytest.mark.parametrize(
    ("text", "at", "what"),
    [
        (
            "kubernetes:\n  platform: plain\n  weights: gcsfuse\n",
            "stoker.yaml:3:3",
            "a plain cluster has no weights: gcsfuse",
        ),
        (
            "kubernetes:\n  platform: plain\n  metrics: stackdriver\n",
            "stoker.yaml:3:3",
            "no metrics: stackdriver",
        ),
        (
            "kubernetes:\n  platform: plain\n  weights: disk\n",
            "stoker.yaml:3:3",
            "needs classes of the cluster",
        ),
        (
            "kubernetes:\n  disk: {type: pd-ssd, zones: [a, b]}\n",
            "stoker.yaml:2:3",
            "a pd-ssd stands in one zone, not in 2",
        ),
        ("kubernetes:\n  capacity: [spot]\n  compute_class: x\n", "stoker.yaml:2:3", "stand together"),
        ("kubernetes:\n  capacity: [sometimes]\n", "stoker.yaml:2:14", "kubernetes.capacity.0"),
        ("kubernetes:\n  tolerations: [{kee: x}]\n", "stoker.yaml:2:3", "unknown key 'kee' in a toleration"),
        ("kubernetes:\n  namespace: Ml\n", "stoker.yaml:2:3", "kubernetes.namespace is 'Ml'"),
    ],
)
def test_choices_of_a_cluster_that_do_not_go_together(text: str, at: str, what: str) -> None:
    with pytest.raises(SpecError) as caught:
        load(text, "stoker.yaml")
    assert what in caught.value.finding.what
    assert caught.value.finding.at == at


def test_the_choices_of_a_cluster_survive_a_dump() -> None:
    text = (
        "kubernetes: {weights: {disk: projects/p/zones/z/disks/d}, capacity: [spot], annotations: {a: b}}\n"
    )
    spec = load(text)
    assert load_stored(dump(spec)).kubernetes == spec.kubernetes
    assert spec.kubernetes.disk.handle == "projects/p/zones/z/disks/d"
