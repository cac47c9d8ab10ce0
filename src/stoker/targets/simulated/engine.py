"""The engine behind the routes: its batch, its counts, its faults."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import NoReturn

from stoker.engine.openai import error_body
from stoker.engine.profile import from_json
from stoker.targets.simulated import startlog
from stoker.targets.simulated.batch import Batch
from stoker.targets.simulated.core import Core
from stoker.targets.simulated.faults import Faults, Simulation
from stoker.targets.simulated.metrics import Labels, Metrics
from stoker.targets.simulated.options import Options
from stoker.targets.simulated.prefixes import PrefixCache
from stoker.targets.simulated.refusals import DEAD
from stoker.targets.simulated.words import Vocabulary

_BY_REASON = (
    "Number of waiting requests by reason. Reason labels: 'capacity' = waiting for scheduling capacity; "
    "'deferred' = "
    "deferred by transient constraints (LoRA budget, KV transfer, blocked status). Sum of all reasons equals "
    "vllm:num_requests_waiting."
)
_SLEEP = (
    "Engine sleep state; awake = 0 means engine is sleeping; awake = 1 means engine is awake; "
    "weights_offloaded = 1 means "
    "sleep level 1; discard_all = 1 means sleep level 2."
)


class Engine:
    """One simulated engine.

    `hung` while the whole process answers nothing, `stalled` while its core makes no step, `busy_until` (the
    loop's time) while it is in a long one, `dead` once its core has died. `leaving` is called where that ends
    the process. `closing`: it has been told to go, and takes no new work. `breaks`: it ends at some request's
    token.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.vocabulary = Vocabulary()
        self.batch: Batch | Core = _batch(options)
        self.metrics = Metrics({"engine": "0", "model_name": options.names[0]}, options.max_model_len)
        self.prefixes = PrefixCache(options.simulation.kv_blocks, options.block_size)
        self.busy_until = 0.0
        self.dead = self.closing = False
        self.leaving: Callable[[], None] = lambda: None
        self.since = time.monotonic()
        self._met: set[str] = set()
        self.set(options.simulation)

    def set(self, simulation: Simulation) -> None:
        """Timings and faults from now on; the counts that faults go by begin anew."""
        self.simulation = simulation
        self.hung = simulation.faults.hang
        self.stalled = simulation.faults.stall
        faults = simulation.faults
        self.breaks = faults.die_mid_stream_after_tokens is not None
        self.breaks |= faults.core_dies_mid_stream_after_tokens is not None
        if isinstance(self.batch, Core):
            self.batch.stalled = self.stalled or self.hung
            self.batch.slow = faults.slow
        self.ttft = simulation.ttft * simulation.faults.slow
        self.itl = simulation.itl * simulation.faults.slow
        self.since = time.monotonic()
        self._requests = 0
        self._errors = 0.0

    @property
    def stepwise(self) -> bool:
        """Whether it batches step by step, as a profile says."""
        return isinstance(self.batch, Core)

    @property
    def faults(self) -> Faults:
        """What goes wrong at present."""
        return self.simulation.faults

    def accept(self) -> bool:
        """Counts a request. False: it shall fail. The process may die or hang by it."""
        faults = self.faults
        self._requests += 1
        if faults.die_after_requests is not None and self._requests > faults.die_after_requests:
            self.die(f"simulated death after {faults.die_after_requests} requests")
        if faults.core_dies_after_requests is not None and self._requests > faults.core_dies_after_requests:
            self.lose_core(f"simulated death after {faults.core_dies_after_requests} requests")
        if faults.hang_after_requests is not None and self._requests > faults.hang_after_requests:
            self.hung = True
        if faults.stall_after_requests is not None and self._requests > faults.stall_after_requests:
            self.stalled = True
        if isinstance(self.batch, Core):
            self.batch.stalled = self.stalled or self.hung
        self._errors += faults.error_rate
        if self._errors < 1 - 1e-9:
            return True
        self._errors -= 1
        return False

    def read(self, now: float, logprobs: bool) -> None:
        """A prompt is read from now (the loop's time) on; what the engine does for the first time takes it
        longer."""
        kinds = {"request": self.simulation.first_request}
        if logprobs:
            kinds["logprobs"] = self.simulation.first_logprobs
        seconds = sum(kinds[kind] for kind in kinds.keys() - self._met)
        self._met |= kinds.keys()
        if seconds:
            self.busy_until = max(now, self.busy_until) + seconds

    def clock(self) -> None:
        """Dies, if it is time to. Called several times a second while the process serves."""
        limit = self.faults.die_after_seconds
        if limit is not None and time.monotonic() - self.since >= limit:
            self.die(f"simulated death after {limit:g} s")
        if self.faults.core_dies:
            self.lose_core("simulated death")

    def lose_core(self, why: str) -> None:
        """The core dies: whoever waits for it is told, at once; the front end lives on for a while."""
        if self.dead:
            return
        self.dead = True
        startlog.died(why)
        for guest in [*self.batch.running, *self.batch.waiting]:
            guest.failed(error_body(DEAD, "InternalServerError", 500))

    def die(self, why: str) -> NoReturn:
        """Ends the process at once, as a crash does: no answer is finished."""
        startlog.died(why)
        sys.stderr.flush()
        os._exit(1)

    def page(self) -> bytes:
        """The metrics page."""
        if isinstance(self.batch, Core):
            self.metrics.preemptions.add(self.batch.preemptions)
            self.batch.preemptions = 0
        return self.metrics.page(self._gauges())

    def _gauges(self) -> Iterator[tuple[str, str, Labels, float]]:
        batch, waiting = self.batch, self.batch.seen.waiting
        used = min(1.0, batch.blocks_held / self.options.simulation.kv_blocks)
        by_reason = "vllm:num_requests_waiting_by_reason"
        yield (
            "vllm:num_requests_running",
            "Number of requests in model execution batches.",
            {},
            batch.seen.running,
        )
        yield "vllm:num_requests_waiting", "Number of requests waiting to be processed.", {}, waiting
        yield by_reason, _BY_REASON, {"reason": "capacity"}, waiting
        yield by_reason, _BY_REASON, {"reason": "deferred"}, 0
        for state in ("awake", "weights_offloaded", "discard_all"):
            yield "vllm:engine_sleep_state", _SLEEP, {"sleep_state": state}, state == "awake"
        yield "vllm:kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.", {}, used
        yield "vllm:cache_config_info", "Information of the LLMEngine CacheConfig", self._cache_config(), 1

    def _cache_config(self) -> Labels:
        blocks, size = self.options.simulation.kv_blocks, self.options.block_size
        return {
            "block_size": str(size),
            "cache_dtype": "auto",
            "enable_prefix_caching": "True",
            "kv_cache_max_concurrency": f"{blocks * size / self.options.max_model_len:.2f}",
            "kv_cache_size_tokens": str(blocks * size),
            "num_gpu_blocks": str(blocks),
        }


def _batch(options: Options) -> Batch | Core:
    profile = options.simulation.profile
    if profile is None:
        return Batch(options.max_num_seqs, options.simulation.kv_blocks)
    return Core(options.limits, from_json(profile))
