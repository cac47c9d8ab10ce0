"""Deaths of engines as they were recorded: what the engine said, the rule it is, and the values that are told."""

from pathlib import Path

LOGS = Path(__file__).parents[1] / "data/logs"

# Real starts of the CPU build, each broken on purpose: the log, the rule, what is told of it.
REAL: list[tuple[str, str, tuple[str, ...]]] = [
    ("unknown-option", "engine-option", ("--max-modle-len 5",)),
    ("bad-value", "engine-option", ("dtype", "bf17")),
    ("bad-json-option", "engine-option", ("compilation-config", "0, 1, 2 or 3")),
    ("max-model-len", "engine-length", ("100000", "8192")),
    ("batched-tokens", "engine-batch", ("16", "64")),
    ("heads", "engine-heads", ("2", "9")),
    ("kv-too-small", "engine-kv", ("2048", "0.09 GiB", "0.01 GiB", "128")),
    ("kv-too-big", "engine-memory", ("500.0 GiB", "9.14", "11.46 GiB")),
    ("host-memory", "engine-memory", ("1073479680",)),
    ("no-config", "engine-model", ("/models/smollm2",)),
    ("broken-config", "engine-model", ("/models/smollm2/config.json",)),
    ("no-such-folder", "engine-model", ("/models/none",)),
    ("offline-repo", "engine-offline", ("stoker models pull",)),
    ("architecture", "engine-architecture", ("FooForCausalLM",)),
    ("quantization", "engine-quantization", ("gguf_foo",)),
    ("remote-code", "engine-code", ("trust-remote-code",)),
    ("no-tokenizer", "engine-tokenizer", ("missing",)),
    ("broken-tokenizer", "engine-tokenizer", ("cannot be read",)),
    ("chat-template", "engine-chat-template", ("/models/none.jinja",)),
    ("lora", "engine-adapter", ("adapter a ", "/models/none")),
    ("truncated-safetensors", "engine-weights", ("incomplete metadata",)),
    ("broken-safetensors", "engine-weights", ("cannot be read",)),
    ("no-weights", "engine-weights", ("/models/smollm2", "no weights")),
    ("extra-tensor", "engine-weights", ("layers.0.mlp.extra_proj",)),
    ("port", "engine-port", ("port",)),
    ("import", "engine-import", ("nonexistent_part_of_fastapi",)),
    ("cores", "engine-cores", ("cores",)),
    ("worker-killed", "engine-killed", ("without a word",)),
]

# Lines as vLLM's, PyTorch's and NCCL's sources write them; no GPU was here to provoke them.
LINES: list[tuple[str, tuple[str, ...], str]] = [
    (
        "engine-kv",
        ("131072",),
        "ValueError: To serve at least one request with the models's max seq len (131072), (16.00 GiB KV cache is needed, which is larger than the available KV cache memory (9.50 GiB). Try increasing",
    ),
    (
        "engine-kv",
        ("40960",),
        "ValueError: The model's max seq len (40960) is larger than the maximum number of tokens that can be stored in KV cache (21504). Try",
    ),
    (
        "engine-kv",
        ("no memory",),
        "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization`",
    ),
    (
        "engine-gpu-memory",
        ("3.1", "22.05", "20.28 GiB"),
        "ValueError: Free memory on device cuda:0 (3.1/22.05 GiB) on startup is less than desired GPU memory utilization (0.92, 20.28 GiB). Decrease GPU",
    ),
    (
        "engine-gpu-memory",
        ("448.00 MiB",),
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 448.00 MiB. GPU 0 has a total",
    ),
    (
        "engine-memory",
        ("10.54 GiB", "2.0", "11.46 GiB"),
        "ValueError: Available memory on node 0 (2.0/11.46 GiB) on startup is less than desired CPU memory utilization (0.92, 10.54 GiB).",
    ),
    (
        "engine-gpus",
        ("4 GPUs", "1 are"),
        "ValueError: World size (4) is larger than the number of available GPUs (1) in this node.",
    ),
    ("engine-gated", ("hub",), "huggingface_hub.errors.GatedRepoError: 401 Client Error. (Request ID: x)"),
    (
        "engine-model",
        ("org/model", "config.json"),
        "OSError: org/model does not appear to have a file named config.json. Checkout",
    ),
    (
        "engine-architecture",
        ("qwen9",),
        "ValueError: The checkpoint you are trying to load has model type `qwen9` but Transformers does not recognize this architecture.",
    ),
    (
        "engine-weights",
        ("model.norm.weight",),
        "ValueError: Following weights were not initialized from checkpoint: {'model.norm.weight'}",
    ),
    (
        "engine-weights",
        ("torch.Size([5])",),
        "AssertionError: Attempted to load weight (torch.Size([5])) into parameter (torch.Size([4]))",
    ),
    (
        "engine-dtype",
        ("Tesla T4", "bfloat16"),
        "ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0. Your Tesla T4 GPU has compute capability 7.5. You can use",
    ),
    (
        "engine-quantization",
        ("fp8", "GPU"),
        "ValueError: The quantization method fp8 is not supported for the current GPU. Minimum capability: 89. Current capability: 75.",
    ),
    (
        "engine-quantization",
        ("cpu", "awq_marlin"),
        "ValueError: awq_marlin quantization is currently not supported in cpu.",
    ),
    (
        "engine-nccl",
        ("unhandled system error",),
        "RuntimeError: NCCL error: unhandled system error (run with NCCL_DEBUG=INFO for details)",
    ),
    (
        "engine-shm",
        ("shared memory",),
        "(EngineCore pid=9) ERROR 10-02 09:00:00 [x.py:1] Worker proc VllmWorker-1 died unexpectedly (exit code: -7), shutting down executor.",
    ),
    (
        "engine-driver",
        ("driver",),
        "RuntimeError: The NVIDIA driver on your system is too old (found version 12020).",
    ),
    (
        "engine-driver",
        ("driver",),
        "torch.AcceleratorError: CUDA error: the provided PTX was compiled with an unsupported toolchain.",
    ),
    (
        "engine-driver",
        ("built for",),
        "torch.AcceleratorError: CUDA error: no kernel image is available for execution on the device",
    ),
    (
        "engine-crash",
        ("illegal memory access",),
        "torch.AcceleratorError: CUDA error: an illegal memory access was encountered",
    ),
    (
        "engine-gpus",
        ("no GPU",),
        "RuntimeError: Failed to infer device type, please set the environment variable",
    ),
    ("engine-cpu", ("instruction",), "Fatal Python error: Illegal instruction"),
    ("engine-crash", ("crashed",), "Fatal Python error: Segmentation fault"),
    (
        "engine-killed",
        ("killed",),
        "(EngineCore pid=9) ERROR 10-02 09:00:00 [x.py:1] Worker proc VllmWorker-1 died unexpectedly (exit code: -9), shutting down executor.",
    ),
    (
        "engine-killed",
        ("killed",),
        "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {'EngineCore': -9}",
    ),
    (
        "engine-cpu",
        ("instruction",),
        "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {'EngineCore': -4}",
    ),
    ("engine-import", ("torchvision::nms",), "RuntimeError: operator torchvision::nms does not exist"),
    (
        "engine-disk",
        ("No space left on device", "/root/.cache/vllm"),
        "OSError: [Errno 28] No space left on device: '/root/.cache/vllm'",
    ),
    ("engine-memory", ("out of memory",), "MemoryError"),
    ("engine-chat-template", ("unexpected '}'",), "jinja2.exceptions.TemplateSyntaxError: unexpected '}'"),
    ("engine-adapter", ("64", "16"), "ValueError: LoRA rank 64 is greater than max_lora_rank 16."),
    ("engine-gpu-memory", ("GPU",), "torch.OutOfMemoryError: HIP out of memory."),
    (
        "engine-model",
        ("/models/gemma-ft",),
        "OSError: Can't load the configuration of '/models/gemma-ft'. If you were trying to load it from",
    ),
    (
        "engine-quantization",
        ("awq", "gptq"),
        "ValueError: Quantization method specified in the model config (awq) does not match the quantization method specified in the `quantization` argument (gptq).",
    ),
    (
        "engine-dtype",
        ("torch.bfloat16", "awq"),
        "ValueError: torch.bfloat16 is not supported for quantization method awq. Supported dtypes: [torch.float16]",
    ),
    ("engine-files", ("open files",), "OSError: [Errno 24] Too many open files"),
    (
        "engine-crash",
        ("crashed",),
        "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {'EngineCore': -6}",
    ),
    (
        "engine-nccl",
        ("unhandled system error",),
        "torch.distributed.DistBackendError: NCCL error: unhandled system error",
    ),
    (
        "engine-gated",
        ("hub",),
        "Access to model google/gemma-3-27b-it is restricted and you are not in the authorized list.",
    ),
    ("engine-option", ("--no-such-flag",), "vllm serve: error: unrecognized arguments: --no-such-flag"),
    (
        "engine-heads",
        ("3", "32"),
        "Total number of attention heads (32) must be divisible by tensor parallel size (3).",
    ),
]
