"""Groups, blocks and capacity of a KV cache are those that vLLM's own functions make of the same layers."""

import importlib.util
import random
from dataclasses import replace

import pytest
from tests import models

from stoker.model.parts import Cache, Layer, State
from stoker.planner.cache_policy import CachePolicy
from stoker.planner.kv_cache import capacity, groups, longest, pages
from stoker.planner.settings import Settings, resolve
from stoker.units import Bytes

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(
        importlib.util.find_spec("vllm") is None, reason="vLLM is not installed in this environment"
    ),
    # What vLLM's own libraries warn of as they are imported.
    pytest.mark.filterwarnings("ignore"),
]
SEEDS = 400


def settings_of(chance: random.Random) -> Settings:
    length = chance.choice([1024, 4096, 16384, 131072])
    options = {
        "max-model-len": length,
        "max-num-batched-tokens": chance.choice([512, 2048, 8192]),
        "kv-cache-dtype": chance.choice(["auto", "fp8"]),
    }
    made = resolve(options, models.shape(models.LLAMA_8B), "0.32.0", device_memory=80 * 2**30)
    prefixes = chance.choice(["none", "checkpoint"])
    return replace(made, policy=CachePolicy(prefixes=prefixes), block_size=chance.choice([16, 16, 16, 64]))


def attention(chance: random.Random, kind: str, heads: int, size: int) -> Cache:
    window = chance.choice([128, 512, 1024, 4096])
    return Cache(kind, heads, size, size, window=window if kind != "full" else 0)  # type: ignore[arg-type]


def state(chance: random.Random) -> Cache:
    inner = chance.choice([1024, 4096, 8192])
    carried = State(inner * chance.choice([16, 64, 128]), True, chance.choice([0, 4]))
    return Cache("state", states=(State(inner * 3, groups=chance.choice([0, 1, 8]), each=192), carried),
                 marks=chance.random() < 0.5)  # fmt: skip


def decoder_of(chance: random.Random) -> list[Layer]:
    """Layers of up to three kinds, in a pattern or at random."""
    heads, size = chance.choice([1, 2, 4, 8]), chance.choice([64, 128, 256])
    family = chance.choice(["windows", "windows", "chunks", "states", "beside", "latent", "sparse", "sizes"])
    full, held = attention(chance, "full", heads, size), state(chance)
    kinds: list[tuple[Cache, ...]] = {
        "windows": [(full,), (attention(chance, "sliding", heads, size),)],
        "chunks": [(full,), (attention(chance, "chunked", heads, size),)],
        "states": [(full,), (held,)],
        "beside": [(full, held)],
        "latent": [(Cache("mla", 1, 576),), (held,)],
        "sparse": [(Cache("mla", 1, 576, sparse=True), Cache("mla", 1, 132, element=1))],
        "sizes": [(full,), (attention(chance, "sliding", heads * chance.choice([1, 2]), size * 2),)],
    }[family]
    count = chance.randint(2, 48)
    every = chance.choice([2, 3, 4, 6])
    pick = chance.random() < 0.7
    chosen = [
        kinds[n % every != 0] if len(kinds) == 2 and pick else chance.choice(kinds) for n in range(count)
    ]
    return [Layer((), one) for one in chosen]


@pytest.mark.parametrize("first", range(0, SEEDS, 100))
def test_groups_blocks_and_capacity_are_vllms_own(first: int) -> None:
    from tests.support.kv_oracle import answer

    compared = 0
    for seed in range(first, first + 100):
        chance = random.Random(seed)
        settings, decoder, tensor = settings_of(chance), decoder_of(chance), chance.choice([1, 2, 4])
        memory = chance.choice([4, 20, 60]) * 2**30
        if settings.kv_bytes == 1 and any(c.kind == "mla" for layer in decoder for c in layer.caches):
            settings = replace(settings, kv_dtype="bfloat16", kv_bytes=2)  # it has a form of its own in fp8
        laid = groups(pages(decoder, settings, tensor), settings.rules.group_slack)
        held = capacity(laid, [(range(len(decoder)), Bytes(memory))], settings)
        if longest(laid, held.blocks, settings, settings.max_model_len) < settings.max_model_len:
            with pytest.raises(ValueError, match="KV cache"):
                answer(decoder, settings, tensor, memory)
            continue
        blocks, tokens, concurrency, sizes = answer(decoder, settings, tensor, memory)
        ours = (held.blocks, held.tokens, held.concurrency, sorted(len(group.layers) for group in laid))
        assert ours == (blocks, tokens, pytest.approx(concurrency), sizes), f"seed {seed}"
        compared += 1
    assert compared > 50
