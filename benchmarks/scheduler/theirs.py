"""vLLM's own V1 scheduler, without a model: what it schedules is answered by hand."""

from __future__ import annotations

import copy
import logging
import os
from functools import cache
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from benchmarks.scheduler.driving import After, Made
from benchmarks.scheduler.workloads import EOS, Ask
from stoker.engine.scheduler import SchedulerLimits

SCHEDULER_OPTIONS = (
    "max_num_batched_tokens",
    "max_num_seqs",
    "max_num_active_seqs",
    "policy",
    "enable_chunked_prefill",
    "long_prefill_token_threshold",
    "long_prefill_token_threshold_adaptive",
    "scheduler_reserve_full_isl",
    "watermark",
    "async_scheduling",
    "max_model_len",
)


@cache
def base() -> Any:
    """vLLM's configuration without a model.

    vLLM writes into the environment as it is imported and configured: engines that are started later by the
    same process are not to have that.
    """
    with patch.dict(os.environ):
        from vllm.config import VllmConfig
        from vllm.utils.hashing import sha256
        from vllm.v1.core.kv_cache_utils import init_none_hash

        logging.getLogger("vllm").setLevel(logging.ERROR)
        init_none_hash(sha256)
        return VllmConfig()


def configured(limits: SchedulerLimits) -> Any:
    """vLLM's configuration with these options, of a text model that generates."""
    config = copy.copy(base())
    from vllm.config import CacheConfig, SchedulerConfig

    options = {name: getattr(limits, name) for name in SCHEDULER_OPTIONS}
    config.parallel_config = copy.copy(config.parallel_config)
    config.parallel_config.pipeline_parallel_size = limits.pipeline_parallel_size
    config.scheduler_config = SchedulerConfig(is_encoder_decoder=False, **options)
    config.cache_config = CacheConfig(
        block_size=limits.block_size, enable_prefix_caching=limits.enable_prefix_caching
    )
    config.cache_config.num_gpu_blocks = limits.num_gpu_blocks
    config.model_config = SimpleNamespace(
        max_model_len=limits.max_model_len,
        runner_type="generate",
        uses_mrope=False,
        is_encoder_decoder=False,
        is_diffusion=False,
        multimodal_config=None,
        supports_multimodal_inputs=False,
        return_sampling_mask=False,
    )
    return config


def kv_cache(limits: SchedulerLimits) -> Any:
    """One group of full attention."""
    import torch
    from vllm.v1.kv_cache_interface import FullAttentionSpec, KVCacheConfig, KVCacheGroupSpec

    spec = FullAttentionSpec(block_size=limits.block_size, num_kv_heads=1, head_size=1, dtype=torch.float32)
    return KVCacheConfig(
        num_blocks=limits.num_gpu_blocks,
        kv_cache_tensors=[],
        kv_cache_groups=[KVCacheGroupSpec(["layer"], spec)],
    )


def scheduler(limits: SchedulerLimits) -> Any:
    """The class that vLLM would choose, made."""
    config = configured(limits)
    made = config.scheduler_config.get_scheduler_cls()
    runner = {"VLLM_USE_V2_MODEL_RUNNER": str(int(limits.async_scheduling))}  # as on GPUs, as on CPUs
    with patch.dict(os.environ, runner):
        return made(
            vllm_config=config,
            kv_cache_config=kv_cache(limits),
            structured_output_manager=SimpleNamespace(accept_tokens=lambda request, tokens: True),
            block_size=limits.block_size,
        )


class Theirs:
    """One engine."""

    def __init__(self, limits: SchedulerLimits) -> None:
        """It is empty."""
        self.scheduler = scheduler(limits)
        from vllm.utils.hashing import sha256
        from vllm.v1.core.kv_cache_utils import get_request_block_hasher

        self.hasher = get_request_block_hasher(limits.block_size, sha256)
        self.asks: dict[str, Ask] = {}
        self.sampled: dict[int, set[str]] = {}

    def busy(self) -> bool:
        """Whether vLLM makes a step."""
        return bool(self.scheduler.has_requests())

    def add(self, ask: Ask) -> None:
        """A request."""
        from vllm import SamplingParams
        from vllm.v1.request import Request

        self.asks[ask.id] = ask
        self.scheduler.add_request(
            Request(
                request_id=ask.id,
                prompt_token_ids=list(ask.prompt),
                sampling_params=SamplingParams(max_tokens=ask.max_tokens, stop_token_ids=[EOS]),
                pooling_params=None,
                arrival_time=ask.arrival,
                priority=ask.priority,
                block_hasher=self.hasher,
            )
        )

    def abort(self, id: str) -> None:
        """The client leaves."""
        from vllm.v1.request import RequestStatus

        self.scheduler.finish_requests(id, RequestStatus.FINISHED_ABORTED)

    def schedule(self) -> Any:
        """The next batch."""
        return self.scheduler.schedule()

    def describe(self, batch: Any) -> Made:
        """For comparison; and notes who is to get a token."""
        requests = self.scheduler.requests
        self.sampled[id(batch)] = {
            name for name in batch.num_scheduled_tokens if not requests[name].is_prefill_chunk
        }
        known = batch.scheduled_cached_reqs
        admitted = [(new.req_id, new.num_computed_tokens) for new in batch.scheduled_new_reqs]
        resumed = zip(known.req_ids, known.num_computed_tokens, strict=True)
        admitted += [(name, count) for name, count in resumed if name in known.resumed_req_ids]
        return Made(
            tuple(batch.num_scheduled_tokens.items()),
            tuple(sorted(admitted)),
            tuple(sorted(batch.preempted_req_ids)),
            tuple(sorted(batch.finished_req_ids)),
        )

    def outputs(self, batch: Any) -> Any:
        """What the model would have sampled."""
        from vllm.v1.outputs import ModelRunnerOutput

        names = list(batch.num_scheduled_tokens)
        sampled = self.sampled.pop(id(batch))
        return ModelRunnerOutput(
            req_ids=names,
            req_id_to_index={name: index for index, name in enumerate(names)},
            sampled_token_ids=[[self._next(name)] if name in sampled else [] for name in names],
        )

    def _next(self, name: str) -> int:
        request = self.scheduler.requests.get(name)
        return self.asks[name].answer[request.num_output_tokens] if request else 0

    def commit(self, batch: Any, outputs: Any) -> Any:
        """The batch is done."""
        return self.scheduler.update_from_output(batch, outputs)

    def after(self, committed: Any) -> After:
        """For comparison."""
        outputs = [one for client in committed.values() for one in client.outputs]
        ended = [(one.request_id, str(one.finish_reason)) for one in outputs if one.finish_reason is not None]
        return After(
            tuple(ended),
            tuple(request.request_id for request in self.scheduler.running),
            tuple(sorted(request.request_id for request in self.scheduler.waiting)),
            self.scheduler.kv_cache_manager.block_pool.get_num_free_blocks(),
        )
