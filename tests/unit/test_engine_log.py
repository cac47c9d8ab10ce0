"""vLLM's start-up log: a real one of the CPU build, and the lines of GPUs from vLLM 0.19 on."""

from pathlib import Path

import pytest

from stoker.engine.log import StartLog, phase_of

LOGS = Path(__file__).parents[1] / "data/logs"
CPU = (LOGS / "vllm-0.32.0-cpu-start.log").read_text(encoding="utf-8").splitlines()

GPU = """\
(APIServer pid=1) INFO 10-02 09:00:00 [utils.py:233] non-default args: {'model': 'meta-llama/Llama-3.1-8B-Instruct'}
(APIServer pid=1) INFO 10-02 09:00:04 [model.py:547] Resolved architecture: LlamaForCausalLM
(EngineCore pid=9) INFO 10-02 09:00:12 [core.py:77] Initializing a V1 LLM engine (v0.19.0) with config: model='m'
(EngineCore pid=9) INFO 10-02 09:00:15 [parallel_state.py:1208] world_size=2 rank=0 local_rank=0 backend=nccl
(EngineCore pid=9) INFO 10-02 09:00:16 [gpu_model_runner.py:2602] Starting to load model meta-llama/Llama-3.1-8B...
(EngineCore pid=9) INFO 10-02 09:00:18 [weight_utils.py:413] Time spent downloading weights for m: 12.345678 seconds
Loading safetensors checkpoint shards:   0% Completed | 0/15 [00:00<?, ?it/s]
Loading safetensors checkpoint shards:  20% Completed | 3/15 [00:01<00:02,  1.90it/s]
(EngineCore pid=9) INFO 10-02 09:00:22 [default_loader.py:267] Loading weights took 3.19 seconds
(EngineCore pid=9) INFO 10-02 09:00:23 [gpu_model_runner.py:2653] Model loading took 14.99 GiB memory and 4.1 seconds
(EngineCore pid=9) INFO 10-02 09:00:30 [backends.py:559] Dynamo bytecode transform time: 5.59 s
(EngineCore pid=9) INFO 10-02 09:00:48 [monitor.py:34] torch.compile takes 17.26 s in total
(EngineCore pid=9) INFO 10-02 09:00:49 [gpu_worker.py:298] Available KV cache memory: 58.11 GiB
(EngineCore pid=9) INFO 10-02 09:00:50 [kv_cache_utils.py:1087] GPU KV cache size: 476,016 tokens
(EngineCore pid=9) INFO 10-02 09:00:50 [kv_cache_utils.py:1091] Maximum concurrency for 8,192 tokens per request: 58.11x
Capturing CUDA graphs (mixed prefill-decode, PIECEWISE):  51%|█████     | 34/67 [00:02<00:02, 16.47it/s]
(EngineCore pid=9) INFO 10-02 09:00:54 [gpu_model_runner.py:3480] Graph capturing finished in 5 secs, took 0.94 GiB
(EngineCore pid=9) INFO 10-02 09:00:55 [core.py:210] init engine (profile, create kv cache, warmup model) took 31.42 seconds
(APIServer pid=1) INFO 10-02 09:00:56 [api_server.py:1634] Starting vLLM API server 0 on http://0.0.0.0:8000
INFO:     Application startup complete.
""".splitlines()


def printer(lines: list[str]) -> list[tuple[str, str]]:
    """Every phase and detail that a start goes through, each once."""
    log, told = StartLog(), list[tuple[str, str]]()
    for line in lines:
        log = log.feed(line)
        if not told or told[-1] != (log.phase, log.detail):
            told.append((log.phase, log.detail))
    return told


def test_a_real_start_of_the_cpu_build() -> None:
    assert printer(CPU) == [
        ("Starting", ""),
        ("Starting", "starting vLLM 0.32.0"),
        ("Starting", "reading the options"),
        ("Starting", "reading the model's config (LlamaForCausalLM)"),
        ("Starting", "starting the engine core"),
        ("Starting", "rank 0 of 1 joins"),
        ("Loading", "loading the model"),
        ("Loading", "loading weights: 0.50 GiB"),
        ("Loading", "loading weights 0 of 1 shards"),
        ("Loading", "loading weights 1 of 1 shards"),
        ("Loading", "weights loaded in 1.1 s"),
        ("Warming", "KV cache: 1.0 GiB"),
        ("Warming", "KV cache: 1.0 GiB, 23,296 tokens"),
        ("Warming", "engine core ready after 1.5 s"),
        ("Warming", "opening the API"),
        ("Ready", ""),
    ]


def test_a_start_on_gpus() -> None:
    assert printer(GPU) == [
        ("Starting", "reading the options"),
        ("Starting", "reading the model's config (LlamaForCausalLM)"),
        ("Starting", "starting the engine core"),
        ("Starting", "rank 0 of 2 joins"),
        ("Loading", "loading the model"),
        ("Loading", "weights downloaded in 12.3 s"),
        ("Loading", "loading weights 0 of 15 shards"),
        ("Loading", "loading weights 3 of 15 shards"),
        ("Loading", "weights loaded in 3.2 s"),
        ("Warming", "model loaded: 14.99 GiB in 4.1 s"),
        ("Warming", "compiling"),
        ("Warming", "compiled in 17 s"),
        ("Warming", "KV cache: 58.1 GiB"),
        ("Warming", "KV cache: 58.1 GiB, 476,016 tokens"),
        ("Warming", "capturing CUDA graphs 34 of 67"),
        ("Warming", "captured CUDA graphs in 5 s"),
        ("Warming", "engine core ready after 31.4 s"),
        ("Warming", "opening the API"),
        ("Ready", ""),
    ]


@pytest.mark.parametrize(
    ("lines", "sizes"),
    [(CPU, (None, 1.0, 23296, 11.38)), (GPU, (14.99, 58.11, 476016, 58.11))],
    ids=["cpu", "gpu"],
)
def test_what_it_says_of_its_memory(lines: list[str], sizes: tuple[float | None, ...]) -> None:
    log = StartLog()
    for line in lines:
        log = log.feed(line)
    assert (log.model_gib, log.kv_gib, log.kv_tokens, log.max_concurrency) == sizes


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("INFO [m.py:1] vLLM API server version 0.19.0", ("Starting", "starting vLLM 0.19.0")),
        (
            "INFO [m.py:1] Model loading took 61.0312 GiB and 9.876543 seconds",
            ("Warming", "model loaded: 61.03 GiB in 9.9 s"),
        ),
        (
            "Loading pt checkpoint shards:  50% Completed | 1/2 [00:01<00:01,  1.1s/it]",
            ("Loading", "loading weights 1 of 2 shards"),
        ),
        (
            "Loading safetensors using Runai Model Streamer: 100% Completed | 291/291 [00:02<00:00, 99it/s]",
            ("Loading", "loading weights 291 of 291 shards"),
        ),
        (
            "Multi-thread loading shards:  25% Completed | 4/16 [00:01<00:03,  4.0it/s]",
            ("Loading", "loading weights 4 of 16 shards"),
        ),
        ("INFO [monitor.py:76] torch.compile took 48.20 s in total", ("Warming", "compiled in 48 s")),
        (
            "INFO [backends.py:399] Compiling a graph for compile range (1, 2048) takes 22.50 s",
            ("Warming", "compiling"),
        ),
        (
            "INFO [backends.py:296] Directly load the compiled graph(s) for compile range (1, 8192) from the "
            "cache",
            ("Warming", "loading compiled graphs from the cache"),
        ),
        ("INFO [cpu_model_runner.py:87] Warming up model for the compilation...", ("Warming", "warming up")),
        (
            "INFO [cpu_worker.py:260] Auto set (7.5/11.46) GiB for KV cache on node 0, with 9.0 GiB requested",
            ("Warming", "KV cache: 7.5 GiB"),
        ),
        (
            "INFO [kv_cache_utils.py:2327] GPU KV cache size: 460,496 tokens, Maximum concurrency for "
            "131,072 tokens "
            "per request: 3.51x",
            ("Warming", "KV cache: 460,496 tokens"),
        ),
        (
            "vllm serve: error: argument --dtype: invalid choice: 'bf17'",
            ("Failed", "argument --dtype: invalid choice: 'bf17'"),
        ),
        (
            "RuntimeError: Engine core initialization failed. See root cause above.",
            ("Failed", "the engine core did not start"),
        ),
        ("INFO [core.py:133] something else entirely", None),
        ("", None),
    ],
)
def test_lines_and_what_they_announce(line: str, said: tuple[str, str] | None) -> None:
    assert phase_of(line) == said


def test_a_phase_never_goes_back() -> None:
    slow = "Loading safetensors checkpoint shards:  20% Completed | 3/15 [00:01<00:02,  1.90it/s]"
    log = StartLog(phase="Warming", detail="compiling")
    assert log.feed(slow) == log


def test_a_slower_rank_still_counts_for_the_sizes() -> None:
    log = StartLog(phase="Ready").feed("INFO Model loading took 14.99 GiB memory and 4.1 seconds")
    assert (log.phase, log.detail, log.model_gib) == ("Ready", "", 14.99)


def test_of_a_bar_that_redraws_itself_the_last_drawing_counts() -> None:
    bar = (
        "\rCapturing CUDA graphs:  1%|  | 1/67 [00:00<?]\rCapturing CUDA graphs: 99%|██| 66/67 "
        "[00:02<00:00]\n"
    )
    assert StartLog().feed(bar).detail == "capturing CUDA graphs 66 of 67"


def test_a_failed_start_stays_failed() -> None:
    lines = (LOGS / "vllm-0.32.0-cpu-kv-too-small.log").read_text(encoding="utf-8").splitlines()
    assert printer(lines)[-1] == ("Failed", "the engine core did not start")
