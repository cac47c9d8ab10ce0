"""Laws of the plan, whatever the model: more memory never fits less, more ranks never need more each."""

from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests import models

from stoker.planner.fit import Fit, weigh
from stoker.planner.layout import Layout, divides
from stoker.planner.settings import resolve
from stoker.planner.weights import padded_vocabulary
from stoker.units import Bytes

GIB = 1024**3
ONE = Layout()
CONFIGS = (models.LLAMA_8B, models.GEMMA3_27B, models.GPT_OSS_20B, models.DEEPSEEK_V3, models.QWEN3_NEXT_80B)
ROOM = st.integers(4 * GIB, 200 * GIB)


def made(config: dict[str, Any], total: int, layout: Layout = ONE, **options: Any) -> Fit:
    shape = models.shape(config)
    found = resolve(
        options, shape, "0.32.0", device_memory=total, ranks=layout.gpus, pipeline=layout.pipeline
    )
    return weigh(shape, Bytes(total), layout, found)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(CONFIGS), ROOM, st.integers(1, 8 * GIB))
def test_more_memory_never_holds_less(config: dict[str, Any], total: int, more: int) -> None:
    # The same batches on both: vLLM takes larger ones on larger GPUs.
    same: dict[str, Any] = {"max-num-batched-tokens": 2048, "max-num-seqs": 256, "max-model-len": 4096}
    assert made(config, total + more, **same).held.blocks >= made(config, total, **same).held.blocks


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(CONFIGS), ROOM, st.sampled_from((2, 4, 8)))
def test_more_ranks_never_need_more_weights_each(config: dict[str, Any], total: int, size: int) -> None:
    assume(divides(models.shape(config), size) is None)
    one, many = made(config, total), made(config, total, Layout(tensor=size))
    assert many.tightest.size("weights") <= one.tightest.size("weights")
    logits = many.settings.max_num_seqs * padded_vocabulary(models.shape(config)) * many.settings.dtype_bytes
    gathered = 1.5 * logits  # what putting the ranks' slices together may take beside them
    assert many.tightest.size("activations") <= one.tightest.size("activations") + gathered


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(CONFIGS), ROOM, st.sampled_from((1, 2, 4)))
def test_the_parts_add_up_to_the_whole(config: dict[str, Any], total: int, pipeline: int) -> None:
    for rank in made(config, total, Layout(pipeline=pipeline)).ranks:
        assert sum(item.size for item in rank.items) + rank.kv_cache == rank.usable


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(CONFIGS), ROOM, st.integers(256, 65536), st.integers(1, 65536))
def test_a_longer_request_never_runs_more_often_at_once(
    config: dict[str, Any], total: int, length: int, more: int
) -> None:
    short, long = (made(config, total, ONE, **{"max-model-len": n}) for n in (length, length + more))
    assert long.held.concurrency <= short.held.concurrency
