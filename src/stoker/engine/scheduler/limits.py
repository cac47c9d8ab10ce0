"""What the scheduler is told: vLLM's own options, under their own names."""

from dataclasses import dataclass
from typing import Literal

Policy = Literal["fcfs", "priority"]


@dataclass(frozen=True, slots=True)
class SchedulerLimits:
    """The options that decide a batch. Lengths are in tokens, `num_gpu_blocks` and `block_size` are the KV
    cache.

    `num_gpu_blocks` counts as vLLM's start-up does; one of them is never given out. `watermark` is the share
    of them that an admission leaves free. `long_prefill_token_threshold` 0 means no cap. `async_scheduling`
    is on by default on GPUs and forced off on CPUs.

    Raises: ValueError, for what vLLM refuses too.
    Source: vLLM config/scheduler.py, config/cache.py, config/vllm.py, platforms/cpu.py.
    """

    num_gpu_blocks: int
    max_model_len: int
    max_num_batched_tokens: int = 2048
    max_num_seqs: int = 128
    max_num_active_seqs: int | None = None
    block_size: int = 16
    policy: Policy = "fcfs"
    enable_prefix_caching: bool = True
    enable_chunked_prefill: bool = True
    long_prefill_token_threshold: int = 0
    long_prefill_token_threshold_adaptive: bool = False
    scheduler_reserve_full_isl: bool = True
    watermark: float = 0.0
    async_scheduling: bool = False
    pipeline_parallel_size: int = 1

    def __post_init__(self) -> None:
        """Refuses what no engine starts with."""
        sizes = (self.num_gpu_blocks, self.max_model_len, self.block_size, self.max_num_seqs)
        if min(*sizes, self.pipeline_parallel_size) < 1:
            raise ValueError("a scheduler needs blocks, a length, a sequence and a stage")
        if self.max_num_batched_tokens < self.max_num_seqs:
            raise ValueError("max_num_batched_tokens is less than max_num_seqs")
        if self.max_num_batched_tokens < self.max_model_len and not self.enable_chunked_prefill:
            raise ValueError("max_num_batched_tokens is less than max_model_len, and no prefill is chunked")
        if self.active > self.max_num_seqs:
            raise ValueError("max_num_active_seqs is more than max_num_seqs")
        if self.long_prefill_token_threshold > self.max_model_len:
            raise ValueError("long_prefill_token_threshold is more than max_model_len")
        if not 0 <= self.watermark < 1:
            raise ValueError("watermark is a share below 1")

    @property
    def active(self) -> int:
        """How many sequences may run at once."""
        return self.max_num_seqs if self.max_num_active_seqs is None else self.max_num_active_seqs

    @property
    def depth(self) -> int:
        """Batches that are made before the first of them is committed.

        Source: vLLM VllmConfig.max_concurrent_batches, with model runner V2, which every GPU has by default.
        """
        return self.pipeline_parallel_size + self.async_scheduling

    @property
    def watermark_blocks(self) -> int:
        """Blocks that an admission leaves free. Source: vLLM KVCacheManager.__init__."""
        return int(self.watermark * self.num_gpu_blocks)
