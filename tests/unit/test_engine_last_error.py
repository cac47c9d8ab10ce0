"""What killed an engine: real logs of failed starts, and the lines that only GPUs write."""

from pathlib import Path

import pytest

from stoker.engine.last_error import MOST, last_error

LOGS = Path(__file__).parents[1] / "data/logs"

# Real starts of the CPU build, each broken on purpose: the log, the rule, what it says, its fix.
REAL = [
    (
        "unknown-option",
        "engine-option",
        "vLLM does not know --max-modle-len 5",
        "correct its name under engine, or the version",
    ),
    (
        "bad-value",
        "engine-option",
        "vLLM refuses dtype: invalid choice: 'bf17' (choose from 'auto', 'bfloat16', "
        "'float', 'float16', 'float32', 'half')",
        "correct it under engine",
    ),
    (
        "bad-json-option",
        "engine-option",
        "vLLM refuses compilation-config: mode Input should be 0, 1, 2 or 3",
        "correct it under engine",
    ),
    (
        "max-model-len",
        "engine-length",
        "max-model-len 100000 is above the model's 8192",
        "max-model-len: 8192 or less",
    ),
    (
        "batched-tokens",
        "engine-batch",
        "max-num-batched-tokens 16 is below max-num-seqs 64",
        "max-num-batched-tokens: 64 or more, or a smaller max-num-seqs",
    ),
    (
        "heads",
        "engine-heads",
        "tensor-parallel-size 2 does not divide the model's 9 attention heads",
        "a tensor-parallel-size that divides 9",
    ),
    (
        "kv-too-small",
        "engine-kv",
        "max-model-len 2048 needs 0.09 GiB of KV cache, and there are 0.01 GiB",
        "max-model-len: 128 or less, or more memory",
    ),
    (
        "kv-too-big",
        "engine-memory",
        "the KV cache is to take 500.0 GiB of memory, and 9.14 of 11.46 GiB are free",
        "a smaller memory, fewer replicas, or free some",
    ),
    (
        "host-memory",
        "engine-memory",
        "the machine is out of memory: 1073479680 bytes could not be had",
        "a smaller memory (KV cache), fewer replicas, or a smaller model",
    ),
    ("no-config", "engine-model", "/models/smollm2 is no model folder", "correct model.source"),
    ("broken-config", "engine-model", "/models/smollm2/config.json is broken", "copy the model again"),
    ("no-such-folder", "engine-model", "there is no model folder /models/none", "correct model.source"),
    (
        "offline-repo",
        "engine-offline",
        "a file of the model is not here, and the hub cannot be asked",
        "`stoker models pull` it first",
    ),
    (
        "architecture",
        "engine-architecture",
        "vLLM does not support the architecture FooForCausalLM",
        "another release, or another model",
    ),
    (
        "quantization",
        "engine-quantization",
        "vLLM does not know the quantization gguf_foo here",
        "another quantization, or a GPU",
    ),
    (
        "remote-code",
        "engine-code",
        "the model brings code of its own",
        "trust-remote-code: true under engine, if you trust its author",
    ),
    (
        "no-tokenizer",
        "engine-tokenizer",
        "the model's tokenizer is missing",
        "copy the model again, or give tokenizer under engine",
    ),
    ("broken-tokenizer", "engine-tokenizer", "the model's tokenizer cannot be read", "copy the model again"),
    (
        "chat-template",
        "engine-chat-template",
        "the chat template /models/none.jinja is not there",
        "correct chat-template under engine",
    ),
    (
        "lora",
        "engine-adapter",
        "the adapter a cannot be loaded: No adapter found for /models/none",
        "correct model.adapters",
    ),
    (
        "truncated-safetensors",
        "engine-weights",
        "a safetensors file cannot be read: Error while deserializing "
        "header: incomplete metadata, file not fully covered",
        "copy the model again",
    ),
    ("broken-safetensors", "engine-weights", "a safetensors file cannot be read", "copy the model again"),
    (
        "no-weights",
        "engine-weights",
        "/models/smollm2 has no weights",
        "copy the model again, or correct model.source",
    ),
    (
        "extra-tensor",
        "engine-weights",
        "the weights and config.json do not belong together (layers.0.mlp.extra_proj)",
        "a folder that holds one model, whole",
    ),
    ("port", "engine-port", "the engine's port is taken", "start it again: it gets another port"),
    (
        "import",
        "engine-import",
        "vLLM is not whole: No module named 'nonexistent_part_of_fastapi'",
        "install it again",
    ),
    (
        "cores",
        "engine-cores",
        "the engine's threads cannot be bound to their cores",
        "leave it out of engine.env, or correct it",
    ),
    (
        "worker-killed",
        "engine-killed",
        "a process of the engine ended without a word",
        "a smaller memory (KV cache), fewer replicas, or a smaller model",
    ),
]


@pytest.mark.parametrize(("name", "rule", "what", "fix"), REAL, ids=[row[0] for row in REAL])
def test_a_real_failed_start(name: str, rule: str, what: str, fix: str) -> None:
    lines = (LOGS / f"vllm-0.32.0-cpu-{name}.log").read_text(encoding="utf-8").splitlines()
    found = last_error(lines)
    assert (found.rule, found.what, found.fix) == (rule, what, fix)
    assert found.why


def test_every_log_here_has_its_row() -> None:
    there = {path.stem.removeprefix("vllm-0.32.0-cpu-") for path in LOGS.glob("vllm-0.32.0-cpu-*.log")}
    assert there - {"start"} == {row[0] for row in REAL}


# Lines as vLLM's, PyTorch's and NCCL's sources write them; no GPU was here to provoke them.
LINES = [
    (
        "ValueError: To serve at least one request with the models's max seq len (131072), (16.00 GiB KV "
        "cache is needed, "
        "which is larger than the available KV cache memory (9.50 GiB). Try increasing",
        "engine-kv",
        "max-model-len 131072 needs more KV cache than there is",
    ),
    (
        "ValueError: The model's max seq len (40960) is larger than the maximum number of tokens that can be "
        "stored in "
        "KV cache (21504). Try",
        "engine-kv",
        "max-model-len 40960 needs more KV cache than there is",
    ),
    (
        "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization`",
        "engine-kv",
        "no memory is left for the KV cache",
    ),
    (
        "ValueError: Free memory on device cuda:0 (3.1/22.05 GiB) on startup is less than desired GPU memory "
        "utilization "
        "(0.92, 20.28 GiB). Decrease GPU",
        "engine-gpu-memory",
        "3.1 of the GPU's 22.05 GiB are free, and the engine is to take 20.28 GiB",
    ),
    (
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 448.00 MiB. GPU 0 has a total",
        "engine-gpu-memory",
        "the GPU is out of memory: 448.00 MiB could not be had",
    ),
    (
        "ValueError: Available memory on node 0 (2.0/11.46 GiB) on startup is less than desired CPU memory "
        "utilization "
        "(0.92, 10.54 GiB).",
        "engine-memory",
        "the engine is to take 10.54 GiB of memory, and 2.0 of 11.46 GiB are free",
    ),
    (
        "ValueError: World size (4) is larger than the number of available GPUs (1) in this node.",
        "engine-gpus",
        "4 GPUs are asked for and 1 are here",
    ),
    (
        "huggingface_hub.errors.GatedRepoError: 401 Client Error. (Request ID: x)",
        "engine-gated",
        "the hub refuses the model",
    ),
    (
        "OSError: org/model does not appear to have a file named config.json. Checkout",
        "engine-model",
        "org/model has no config.json",
    ),
    (
        "ValueError: The checkpoint you are trying to load has model type `qwen9` but Transformers does not "
        "recognize this "
        "architecture.",
        "engine-architecture",
        "Transformers does not know the model type qwen9",
    ),
    (
        "ValueError: Following weights were not initialized from checkpoint: {'model.norm.weight'}",
        "engine-weights",
        "the weights and config.json do not belong together (model.norm.weight)",
    ),
    (
        "AssertionError: Attempted to load weight (torch.Size([5])) into parameter (torch.Size([4]))",
        "engine-weights",
        "the weights and config.json do not belong together (Attempted to load weight (torch.Size([5])) into "
        "parameter "
        "(torch.Size([4])))",
    ),
    (
        "ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0. Your Tesla "
        "T4 GPU has "
        "compute capability 7.5. You can use",
        "engine-dtype",
        "Tesla T4 has no bfloat16",
    ),
    (
        "ValueError: The quantization method fp8 is not supported for the current GPU. Minimum capability: "
        "89. Current "
        "capability: 75.",
        "engine-quantization",
        "this GPU does not run the quantization fp8",
    ),
    (
        "ValueError: awq_marlin quantization is currently not supported in cpu.",
        "engine-quantization",
        "cpu does not run the quantization awq_marlin",
    ),
    (
        "RuntimeError: NCCL error: unhandled system error (run with NCCL_DEBUG=INFO for details)",
        "engine-nccl",
        "the GPUs cannot talk to each other: NCCL error: unhandled system error (run with NCCL_DEBUG=INFO "
        "for details)",
    ),
    (
        "(EngineCore pid=9) ERROR 10-02 09:00:00 [x.py:1] Worker proc VllmWorker-1 died unexpectedly (exit "
        "code: -7), "
        "shutting down executor.",
        "engine-shm",
        "shared memory is full",
    ),
    (
        "RuntimeError: The NVIDIA driver on your system is too old (found version 12020).",
        "engine-driver",
        "the NVIDIA driver is too old",
    ),
    (
        "torch.AcceleratorError: CUDA error: the provided PTX was compiled with an unsupported toolchain.",
        "engine-driver",
        "the NVIDIA driver is too old",
    ),
    (
        "torch.AcceleratorError: CUDA error: no kernel image is available for execution on the device",
        "engine-driver",
        "this GPU is not among those vLLM is built for",
    ),
    (
        "torch.AcceleratorError: CUDA error: an illegal memory access was encountered",
        "engine-crash",
        "the GPU failed: an illegal memory access was encountered",
    ),
    (
        "RuntimeError: Failed to infer device type, please set the environment variable",
        "engine-gpus",
        "the engine sees no GPU",
    ),
    ("Fatal Python error: Illegal instruction", "engine-cpu", "the CPU lacks an instruction that vLLM uses"),
    ("Fatal Python error: Segmentation fault", "engine-crash", "a process of the engine crashed"),
    (
        "(EngineCore pid=9) ERROR 10-02 09:00:00 [x.py:1] Worker proc VllmWorker-1 died unexpectedly (exit "
        "code: -9), "
        "shutting down executor.",
        "engine-killed",
        "a process of the engine was killed",
    ),
    (
        "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): "
        "{'EngineCore': -9}",
        "engine-killed",
        "a process of the engine was killed",
    ),
    (
        "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): "
        "{'EngineCore': -4}",
        "engine-cpu",
        "the CPU lacks an instruction that vLLM uses",
    ),
    (
        "RuntimeError: operator torchvision::nms does not exist",
        "engine-import",
        "vLLM is not whole: operator torchvision::nms does not exist",
    ),
    (
        "OSError: [Errno 28] No space left on device: '/root/.cache/vllm'",
        "engine-disk",
        "the disk is full: No space left on device: '/root/.cache/vllm'",
    ),
    ("MemoryError", "engine-memory", "the machine is out of memory"),
    (
        "jinja2.exceptions.TemplateSyntaxError: unexpected '}'",
        "engine-chat-template",
        "the chat template is broken: unexpected '}'",
    ),
    (
        "ValueError: LoRA rank 64 is greater than max_lora_rank 16.",
        "engine-adapter",
        "an adapter has rank 64, and the engine takes 16",
    ),
    ("torch.OutOfMemoryError: HIP out of memory.", "engine-gpu-memory", "the GPU is out of memory"),
    (
        "OSError: Can't load the configuration of '/models/gemma-ft'. If you were trying to load it from",
        "engine-model",
        "/models/gemma-ft is no model folder",
    ),
    (
        "ValueError: Quantization method specified in the model config (awq) does not match the quantization "
        "method "
        "specified in the `quantization` argument (gptq).",
        "engine-quantization",
        "the model is quantized as awq, and gptq is asked for",
    ),
    (
        "ValueError: torch.bfloat16 is not supported for quantization method awq. Supported dtypes: "
        "[torch.float16]",
        "engine-dtype",
        "the dtype does not fit the model: torch.bfloat16 is not supported for quantization method awq.",
    ),
    ("OSError: [Errno 24] Too many open files", "engine-files", "the engine has too many open files"),
    (
        "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): "
        "{'EngineCore': -6}",
        "engine-crash",
        "a process of the engine crashed",
    ),
    (
        "torch.distributed.DistBackendError: NCCL error: unhandled system error",
        "engine-nccl",
        "the GPUs cannot talk to each other: NCCL error: unhandled system error",
    ),
    (
        "Access to model google/gemma-3-27b-it is restricted and you are not in the authorized list.",
        "engine-gated",
        "the hub refuses the model",
    ),
    (
        "vllm serve: error: unrecognized arguments: --no-such-flag",
        "engine-option",
        "vLLM does not know --no-such-flag",
    ),
    (
        "Total number of attention heads (32) must be divisible by tensor parallel size (3).",
        "engine-heads",
        "tensor-parallel-size 3 does not divide the model's 32 attention heads",
    ),
]


@pytest.mark.parametrize(
    ("line", "rule", "what"), LINES, ids=[f"{rule}-{n}" for n, (_, rule, _) in enumerate(LINES)]
)
def test_a_line_and_its_cause(line: str, rule: str, what: str) -> None:
    echo = "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}"
    found = last_error([line, "Traceback (most recent call last):", echo])
    assert (found.rule, found.what) == (rule, what)
    assert found.why
    assert found.fix


HEAD = "(EngineCore pid=9) ERROR 10-02 09:00:00 [core.py:1] "


def test_an_unknown_cause_is_the_innermost_error() -> None:
    log = f"""\
(Worker pid=11) ERROR 10-02 09:00:00 [x.py:1] Traceback (most recent call last):
(Worker pid=11) ERROR 10-02 09:00:00 [x.py:1]   File "attention.py", line 3, in forward
(Worker pid=11) ERROR 10-02 09:00:00 [x.py:1] AssertionError: the head dim is odd
{HEAD}Traceback (most recent call last):
{HEAD}RuntimeError: Worker failed with error 'the head dim is odd', please check the stack trace above
Traceback (most recent call last):
RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {{}}
"""
    found = last_error(log.splitlines())
    assert (found.rule, found.what) == ("engine-error", "AssertionError: the head dim is odd")


def test_of_a_chain_the_last_error_counts() -> None:
    log = """\
Traceback (most recent call last):
KeyError: 'rope'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
vllm.exceptions.ConfigError: no rope in the config
Traceback (most recent call last):
ValueError: something later
"""
    assert last_error(log.splitlines()).what == "vllm.exceptions.ConfigError: no rope in the config"


def test_code_in_a_traceback_is_no_message() -> None:
    log = [
        "Traceback (most recent call last):",
        '  File "kv_cache_utils.py", line 1010, in check',
        '    raise ValueError("No available memory for the cache blocks. "',
        "ZeroDivisionError: division by zero",
    ]
    assert last_error(log).what == "ZeroDivisionError: division by zero"


def test_warnings_do_not_kill() -> None:
    log = [
        "(APIServer pid=1) WARNING 10-02 09:00:00 [x.py:1] like `OSError: [Errno 24] Too many open files`",
        "(APIServer pid=1) INFO 10-02 09:00:00 [x.py:1] ImportError: triton is not here, never mind",
        "x.py:254: UserWarning: resource_tracker: There appear to be 1 leaked shared_memory objects",
        "ValueError: it is this",
    ]
    assert last_error(log).what == "ValueError: it is this"


def test_only_the_last_run_counts() -> None:
    start = "(APIServer pid=1) INFO 10-02 09:00:00 [x.py:1] non-default args: {}"
    log = [start, "ValueError: of the first run", start, "ValueError: of the second run"]
    assert last_error(log).what == "ValueError: of the second run"


@pytest.mark.parametrize("lines", [[], [""], ["INFO:     Application startup complete."]])
def test_without_a_word_there_is_no_cause(lines: list[str]) -> None:
    assert (last_error(lines).what, last_error(lines).rule) == ("", "engine-unknown")


def test_a_start_that_went_well_has_no_cause() -> None:
    lines = (LOGS / "vllm-0.32.0-cpu-start.log").read_text(encoding="utf-8").splitlines()
    assert last_error(lines).what == ""


def test_a_long_line_is_cut() -> None:
    assert len(last_error([f"ValueError: {'x' * 100_000}"]).what) == MOST
