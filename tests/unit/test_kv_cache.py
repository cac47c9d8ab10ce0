"""The KV cache's groups, blocks and capacity. Expected figures are vLLM's own, out of its logs and its
docstrings."""

from dataclasses import replace
from typing import Any

import pytest
from tests import models

from stoker.model.parts import Cache, Layer, State
from stoker.planner.cache_policy import CachePolicy
from stoker.planner.kv_cache import Group, Page, capacity, groups, longest, pages
from stoker.planner.layout import stages
from stoker.planner.settings import resolve
from stoker.units import Bytes

GIB = 1024**3


def laid(config: dict[str, Any], tensor: int = 1, **options: Any) -> tuple[Group, ...]:
    shape = models.shape(config)
    settings = resolve(options, shape, "0.32.0", device_memory=80 * GIB)
    return groups(pages(shape.decoder, settings, tensor))


def page(kind: Any = "full", size: int = 1024, block: int = 16, window: int = 0) -> Page:
    return Page(kind, size, block, window)


@pytest.mark.parametrize(
    ("layers", "sizes"),
    [
        ([page()] * 4, [4]),  # all alike: one group
        ([page(), page(size=2048)], [2]),  # all full: one group, whatever the pages
        ([page()] * 10 + [page("sliding", window=8)] * 20, [10, 10, 10]),  # the example of vLLM's docstring
        (
            [page()] * 2 + [page("sliding", window=8)] * 3,
            [2, 2, 1],
        ),  # padded, and never by less than the smallest
        ([page()] * 13 + [page("sliding", window=8)] * 12, [13, 12]),  # gpt-oss with a draft: the larger one
        ([page("sliding", window=8)] * 4 + [page("sliding", window=16)] * 4, [4, 4]),
    ],
)
def test_layers_are_grouped_as_vllm_does(layers: list[Page], sizes: list[int]) -> None:
    assert [len(group.layers) for group in groups(tuple(enumerate(layers)))] == sizes


def test_smaller_pages_hold_more_tokens_so_that_all_are_of_one_size() -> None:
    mixed = [page(size=1024)] + [page("sliding", size=2048, window=8)] * 2
    found = groups(tuple(enumerate(mixed)))
    assert {(group.pages[0].size, group.pages[0].block) for group in found} == {(2048, 32), (2048, 16)}


@pytest.mark.parametrize(
    ("config", "tensor", "block"),
    [
        (models.LLAMA_8B, 1, 32 * 2 * 8 * 128 * 2 * 16),
        (models.LLAMA_8B, 4, 32 * 2 * 2 * 128 * 2 * 16),
        (models.LLAMA_8B, 16, 32 * 2 * 1 * 128 * 2 * 16),  # more ranks than KV heads: each keeps one
        (models.GEMMA3_27B, 1, 10 * 2 * 16 * 128 * 2 * 16),  # groups of 10 layers
        (models.DEEPSEEK_V3, 8, 61 * 576 * 2 * 16),  # a latent, whole on each rank
    ],
)
def test_bytes_of_a_block(config: dict[str, Any], tensor: int, block: int) -> None:
    assert max(group.size() for group in laid(config, tensor)) == block


@pytest.mark.parametrize(
    ("kind", "needed"),
    [(page(), 63), (page("sliding", window=100), 20), (page("chunked", window=100), 19), (page("state"), 1)],
)
def test_what_one_request_of_1000_tokens_holds(kind: Page, needed: int) -> None:
    assert kind.needed(1000, in_flight=200) == needed


def test_a_short_request_holds_no_more_than_itself() -> None:
    assert page("sliding", window=100).needed(32, in_flight=200) == 3


def test_the_stage_with_the_fewest_blocks_decides() -> None:
    shape = models.shape(models.LLAMA_8B)
    settings = resolve({}, shape, "0.32.0", pipeline=2)
    found = groups(pages(shape.decoder, settings, 1))
    halves = stages(32, 2)
    one = capacity(found, [(halves[0], Bytes(GIB)), (halves[1], Bytes(GIB // 2))], settings)
    assert one.blocks == GIB // 2 // (16 * 2 * 8 * 128 * 2 * 16)


@pytest.mark.parametrize(
    ("count", "pipeline", "sizes"), [(32, 2, [16, 16]), (61, 2, [31, 30]), (7, 3, [2, 3, 2])]
)
def test_layers_of_the_stages(count: int, pipeline: int, sizes: list[int]) -> None:
    assert [len(stage) for stage in stages(count, pipeline)] == sizes
    assert [layer for stage in stages(count, pipeline) for layer in stage] == list(range(count))


def test_the_longest_request_leaves_one_block_free() -> None:
    found = (Group((0,), (page(),)),)
    settings = resolve({}, models.shape(models.LLAMA_8B), "0.32.0")
    assert longest(found, 11, settings, 10_000) == 160
    assert longest(found, 1, settings, 10_000) == 0


def test_a_hybrid_with_state_raises_its_blocks_until_a_state_fits() -> None:
    found = laid(models.QWEN3_NEXT_80B)
    assert len({group.size() for group in found}) == 1
    assert {len(group.layers) for group in found} == {12}
    attention = next(group for group in found if group.pages[0].kind == "full")
    state = 3 * (2 * 16 * 128 + 32 * 128) * 2 + 32 * 128 * 128 * 2  # in the model's dtype
    assert {group.needed(100, 1) for group in found if group is not attention} == {2}
    assert attention.pages[0].size >= state > attention.pages[0].size - 16 * 2 * 256 * 2 * 2


CARRIED = State(128 * 128 * 8, True)
OWN = State(128 * 128 * 8, True, 4)


@pytest.mark.parametrize(
    ("state", "options", "cpu", "element"),
    [
        (CARRIED, {}, False, 2),  # the model's dtype
        (OWN, {}, False, 4),  # as the model says
        (CARRIED, {}, True, 4),  # as the platform forces
        (CARRIED, {"mamba-ssm-cache-dtype": "float32"}, False, 4),
        (OWN, {"mamba-ssm-cache-dtype": "bfloat16"}, False, 2),
        (CARRIED, {"mamba-cache-dtype": "float32"}, False, 4),
        (State(1024), {"dtype": "float32"}, False, 4),
        (State(1024), {}, True, 2),  # the last inputs of a convolution
    ],
)
def test_the_elements_of_a_state(state: State, options: dict[str, Any], cpu: bool, element: int) -> None:
    made = resolve(options, models.shape(models.QWEN3_NEXT_80B), "0.32.0")
    made = replace(made, float_states=cpu)
    assert made.state_bytes(state) == element


def test_groups_of_a_state_that_do_not_divide_are_one_a_rank() -> None:
    assert State(4096, groups=8, each=256).on_rank(4) == (4096 + 8 * 256) // 4
    assert State(4096, groups=1, each=256).on_rank(4) == 4096 // 4 + 256


@pytest.mark.parametrize(
    ("version", "options", "marks", "kept"),
    [
        ("0.25.1", {}, False, 1),  # hybrids find no prefixes again
        ("0.28.0", {}, True, 2),
        ("0.32.0", {}, False, 2),
        ("0.32.0", {}, True, 3),
        ("0.32.0", {"enable-prefix-caching": False}, True, 1),
        ("0.24.0", {"enable-prefix-caching": True}, False, 2),
    ],
)
def test_states_that_a_request_keeps(version: str, options: dict[str, Any], marks: bool, kept: int) -> None:
    held = Cache("state", states=(State(64), State(4096, True)), marks=marks)
    layers = (Layer((), (Cache("full", 8, 128, 128),)), Layer((), (held,)))
    made = resolve(options, models.shape(models.QWEN3_NEXT_80B), version)
    found = dict(pages(layers, made, 1))
    assert found[1].needed(10_000, 2048) == kept


def test_latents_on_a_cpu_find_no_prefixes() -> None:
    beside_states = replace(
        models.shape(models.QWEN3_NEXT_80B), decoder=models.shape(models.DEEPSEEK_V3).decoder
    )
    assert resolve({}, beside_states, "0.32.0").policy.prefixes == "checkpoint"
    assert resolve({}, beside_states, "0.32.0", cpu=True).policy.prefixes == "none"


def test_between_0_26_and_0_28_mamba_keeps_a_state_a_block() -> None:
    held = Cache("state", states=(State(64), State(4096, True)), chunk=256)
    layers = (Layer((), (Cache("full", 8, 128, 128),)), Layer((), (held,)))
    made = resolve({}, models.shape(models.QWEN3_NEXT_80B), "0.27.0")
    page_of = dict(pages(layers, made, 1))[1]
    assert page_of.block % 256 == 0
    assert page_of.needed(4096, 2048) == 4096 // page_of.block


def test_before_0_9_2_windows_free_nothing() -> None:
    old = resolve({}, models.shape(models.GEMMA3_27B), "0.9.1")
    assert old.policy.windows == frozenset()
    assert len(groups(pages(models.shape(models.GEMMA3_27B).decoder, old, 1))) == 1
    off = resolve({"disable-hybrid-kv-cache-manager": True}, models.shape(models.GEMMA3_27B), "0.32.0")
    assert off.policy == CachePolicy(windows=frozenset(), prefixes=off.policy.prefixes)


@pytest.mark.parametrize(
    ("version", "device", "options", "block"),
    [
        ("0.32.0", "h200-141gb", {}, 16),
        ("0.32.0", "h200-141gb", {"kv-cache-dtype": "fp8"}, 64),
        ("0.32.0", "b200", {}, 64),
        ("0.32.0", "a100-80gb", {}, 16),
        ("0.13.0", "h100-80gb", {}, 64),
    ],
)
def test_tokens_a_block_of_a_latent(version: str, device: str, options: dict[str, Any], block: int) -> None:
    made = resolve(options, models.shape(models.DEEPSEEK_V3), version, device=device)
    assert made.block_size == block
