"""Which releases of vLLM the catalog knows, and what each has: spans, and how the tool makes them."""

from datetime import date
from typing import Any, get_args

import pytest
import vllm_spans

from stoker.catalog import images, releases, vllm

KINDS: tuple[releases.Kind, ...] = get_args(releases.Kind)


def test_releases_are_in_order_with_their_days() -> None:
    known = releases.known()
    assert known[0] == "0.8.5"
    assert list(known) == sorted(known, key=releases.order)
    assert vllm.DEFAULT in known
    assert all(date.fromisoformat(day) for day in releases.days().values())


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("0.8.5", "0.8.5.post1"),
        ("0.8.5.post1", "0.9.0"),
        ("0.9.0", "0.9.0.1"),
        ("0.9.2", "0.10.0"),
        ("0.33.0", "0.34.0rc1"),
    ],
)
def test_one_release_is_older_than_another(older: str, newer: str) -> None:
    assert releases.order(older) < releases.order(newer)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("0.32.0", True),
        ("0.8.5.post1", True),
        ("0.10.1.1", True),
        ("0.34.0rc1", True),
        ("0.99.0", True),
        ("1.0.0", False),
        ("0.32", False),
        ("latest", False),
        ("v0.32.0", False),
        ("0.32.0.0.0", False),
        ("", False),
    ],
)
def test_what_can_be_a_release(text: str, is_one: bool) -> None:
    assert releases.is_release(text) is is_one


@pytest.mark.parametrize(
    ("asked", "taken"),
    [
        ("0.32.0", "0.32.0"),
        ("0.99.0", releases.known()[-1]),
        ("0.5.3", "0.8.5"),
        ("0.8.5.post2", "0.8.5.post1"),
        ("0.31.5", "0.31.0"),
    ],
)
def test_a_release_that_is_not_known_is_taken_for_the_nearest(asked: str, taken: str) -> None:
    assert releases.nearest(asked) == taken
    assert vllm.nearest_release(asked).version == taken


@pytest.mark.parametrize("kind", KINDS)
def test_spans_are_of_known_releases_and_do_not_overlap(kind: releases.Kind) -> None:
    places = {release: number for number, release in enumerate(releases.known())}
    ends: dict[str, int] = {}
    for one in releases.spans(kind):
        first, last = places[one.since], places[one.until] if one.until else len(places)
        assert ends.get(one.name, 0) <= first < last, one
        ends[one.name] = last


FACTS: dict[str, dict[str, Any]] = {
    "1": {"stays": {}, "goes": {"a": 1}, "back": {}, "changes": {"a": 1}},
    "2": {"stays": {}, "changes": {"a": 2}},
    "3": {"stays": {}, "back": {}, "changes": {"a": 2}, "comes": {}},
}
SPANS = [
    ("back", "1", "2", {}),
    ("back", "3", "", {}),
    ("changes", "1", "2", {"a": 1}),
    ("changes", "2", "", {"a": 2}),
    ("comes", "3", "", {}),
    ("goes", "1", "2", {"a": 1}),
    ("stays", "1", "", {}),
]


def test_spans_of_facts_and_facts_of_spans() -> None:
    assert vllm_spans.spans("123", FACTS) == SPANS
    assert vllm_spans.facts("123", SPANS) == FACTS


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_checked_in_is_what_the_tool_writes(kind: str) -> None:
    rows = vllm_spans.read(kind)
    assert vllm_spans.spans(vllm_spans.index(), vllm_spans.facts(vllm_spans.index(), rows)) == rows
    lines = (vllm_spans.DATA / f"{kind}.json").read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(rows) + 2


def test_the_catalog_is_small() -> None:
    assert sum(path.stat().st_size for path in vllm_spans.DATA.glob("*.json")) < 700_000


def test_lives_join_spans_that_touch() -> None:
    rows = [releases.Span(*row) for row in SPANS]
    assert releases.lives_of(rows)["changes"] == (("1", ""),)
    assert releases.lives_of(rows)["back"] == (("1", "2"), ("3", ""))


@pytest.mark.parametrize("version", releases.known())
def test_every_release_has_what_every_release_has(version: str) -> None:
    release = vllm.release(version)
    assert {"max-model-len", "tensor-parallel-size", "gpu-memory-utilization"} <= set(release.options)
    assert {"/v1/chat/completions", "/health"} <= set(release.routes)
    assert "vllm:num_requests_running" in release.metrics
    assert "VLLM_CACHE_ROOT" in release.environment
    assert release.architectures["LlamaForCausalLM"] == "text generation"
    assert release.quantizations["fp8"].capability >= 75
    assert "hermes" in release.parsers("tool")
    assert "deepseek_r1" in release.parsers("reasoning")
    assert releases.facts("batches", version)["gpu"] == {"max-num-batched-tokens": 2048, "max-num-seqs": 256}


@pytest.mark.parametrize(
    ("version", "option", "there"),
    [
        ("0.8.5", "enable-reasoning", True),
        ("0.33.0", "enable-reasoning", False),
        ("0.8.5", "async-scheduling", False),
        ("0.32.0", "async-scheduling", True),
        ("0.10.2", "swap-space", True),
        ("0.32.0", "swap-space", False),
        ("0.26.0", "max-num-partial-prefills", True),
        ("0.27.0", "max-num-partial-prefills", False),
    ],
)
def test_options_by_release(version: str, option: str, there: bool) -> None:
    assert (vllm.release(version).option(option) is not None) is there


def test_a_metric_behind_a_feature_is_not_on_the_plain_page() -> None:
    release = vllm.release("0.32.0")
    name = "vllm:spec_decode_num_drafts_total"
    assert name in release.families
    assert name not in release.metrics
    assert release.features[name] == "speculative-config"
    assert release.features["vllm:lora_requests_info"] == "enable-lora"


IMAGES: list[tuple[str, str | None]] = [
    ("vllm/vllm-openai:v0.28.0", "0.28.0"),
    ("docker.io/vllm/vllm-openai:v0.20.0-cu129", "0.20.0"),
    ("mirror.example/x/vllm/vllm-openai:v0.10.1.1", "0.10.1.1"),
    ("vllm/vllm-openai-rocm:v0.32.0", "0.32.0"),
    ("vllm/vllm-openai:v0.8.5.post1", "0.8.5.post1"),
    ("public.ecr.aws/q9t5s3a7/vllm-cpu-release-repo:v0.11.2", "0.11.2"),
    ("public.ecr.aws/deep-learning-containers/vllm:0.11.2-gpu-py312-cu129-ubuntu22.04-ec2", "0.11.2"),
    ("vllm/vllm-openai:v0.28.0@sha256:0123", "0.28.0"),
    ("vllm/vllm-openai:nightly", None),
    ("vllm/vllm-openai", None),
    ("lmcache/vllm-openai:v0.3.5", None),
    ("registry.example/acme/vllm:v0.27.0", None),
    ("ghcr.io/llm-d/llm-d-cuda:v0.3.0", None),
    ("nvcr.io/nvidia/vllm:25.09-py3", None),
]


@pytest.mark.parametrize(("image", "release"), IMAGES)
def test_the_release_in_an_image(image: str, release: str | None) -> None:
    assert images.release_of(image) == release
