"""One engine in this process: started with dummy weights, asked twice, and its bytes read off vLLM's worker.

Run by `engines.py` as a program: `measure.py JOB.json RESULT.json`. The job holds the arguments of vLLM's
`LLM`. Fields that a release does not have are left out of the result.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TOKENS = 8
PROMPT = [5, 6, 7, 8, 9, 10, 11, 12]


def main(job: str, result: str) -> None:
    """Starts, asks, reads, writes."""
    arguments = json.loads(Path(job).read_text(encoding="utf-8"))
    began = time.monotonic()
    from vllm import LLM, SamplingParams

    imported = time.monotonic()
    engine = LLM(load_format="dummy", skip_tokenizer_init=True, disable_log_stats=True, **arguments)
    ready = time.monotonic()
    found: dict[str, Any] = {"ok": True, "import_s": imported - began, "start_s": ready - imported}
    found |= facts(engine)
    sampling = SamplingParams(max_tokens=TOKENS, ignore_eos=True, detokenize=False)
    for name in ("first_request_s", "second_request_s"):
        asked = time.monotonic()
        engine.generate([{"prompt_token_ids": PROMPT}], sampling, use_tqdm=False)
        found[name] = time.monotonic() - asked
    Path(result).write_text(json.dumps(found, indent=1, default=str), encoding="utf-8")


def facts(engine: Any) -> dict[str, Any]:
    """Bytes of the worker, and how its KV cache is laid out."""
    core = engine.llm_engine.engine_core.engine_core
    worker = core.model_executor.driver_worker.worker
    cache = core.scheduler.kv_cache_config
    read: dict[str, Callable[[], Any]] = {
        "total": lambda: worker.init_snapshot.total_memory,
        "taken_before": lambda: worker.init_snapshot.total_memory - worker.init_snapshot.free_memory,
        "requested": lambda: worker.requested_memory,
        "weights": lambda: worker.model_runner.model_memory_usage,
        "activations": lambda: worker.peak_activation_memory,
        "other": lambda: worker.non_torch_memory,
        "consumed": lambda: worker.total_consumed,
        "cuda_graphs": lambda: worker.cudagraph_memory_estimate,
        "kv_cache": lambda: worker.available_kv_cache_memory_bytes,
        "runner": lambda: 2 if worker.use_v2_model_runner else 1,
        "blocks": lambda: cache.num_blocks,
        "groups": lambda: len(cache.kv_cache_groups),
        "block_size": lambda: core.vllm_config.cache_config.block_size,
        "specs": lambda: [str(group.kv_cache_spec)[:600] for group in cache.kv_cache_groups],
        "backends": lambda: sorted(
            {group.backend.get_name() for groups in worker.model_runner.attn_groups for group in groups}
        ),
        "tokens": lambda: core.vllm_config.cache_config.kv_cache_size_tokens,
    }
    found = {}
    for name, get in read.items():
        try:
            found[name] = get()
        except Exception as why:
            found.setdefault("absent", []).append(f"{name}: {why!r}"[:200])
    return found


if __name__ == "__main__":
    main(*sys.argv[1:3])
