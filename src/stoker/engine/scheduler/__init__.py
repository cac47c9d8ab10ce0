"""How vLLM batches: one step of continuous batching, batch by batch what vLLM 0.32's own V1 `Scheduler` does.

A caller owns the clock. It adds sequences to a `State`, asks `step` for a batch, lets the batch take its
time, and hands it to `commit`, which gives every sampled sequence its token. With asynchronous scheduling
(vLLM's default on GPUs, never on CPUs) the next batch is made before the last one is committed: step, step,
commit the first, step, commit the second, ... `advance` takes many steps at once where nothing but decoding
happens.

The rooms: `limits` is what vLLM is told, `sequence` one request, `content` names its blocks, `waiting` its
two queues, `blocks` the KV cache and what can be found in it again, `step` makes a batch, `commit` ends one,
`advance` skips, `cohort` takes those that only decode together.

One group of full attention. Not here: sliding windows and other hybrid groups, speculative decoding, LoRA,
encoder inputs, KV connectors, structured output, pooling, paused engines, and the prefill cadence of data
parallelism.
Source: vLLM 0.32 v1/core/sched, v1/core/kv_cache_manager.py and block_pool.py; tests/engine compares.
"""

from stoker.engine.scheduler.advance import advance, heeds_arrivals, steady
from stoker.engine.scheduler.cohort import Cohort, suits
from stoker.engine.scheduler.commit import abort, commit
from stoker.engine.scheduler.limits import Policy, SchedulerLimits
from stoker.engine.scheduler.sequence import Ended, Sequence
from stoker.engine.scheduler.state import Batch, State
from stoker.engine.scheduler.step import step

__all__ = [
    "Batch",
    "Cohort",
    "Ended",
    "Policy",
    "SchedulerLimits",
    "Sequence",
    "State",
    "abort",
    "advance",
    "commit",
    "heeds_arrivals",
    "steady",
    "step",
    "suits",
]
