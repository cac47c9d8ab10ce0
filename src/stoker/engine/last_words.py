"""A dead engine's last words: the one line that matters, why it happened, and the fix."""

import re
from collections.abc import Sequence

from stoker.findings import Finding

# Noise at the end of every failed start of vLLM; the cause stands above it.
_NOISE = re.compile(
    r"Engine core initialization failed|See root cause above|Failed core proc|WorkerProc initialization failed"
    r"|EngineCore failed to start|WorkerProc failed to start|resource_tracker|leaked (?:shared_memory|semaphore)"
)
_PREFIX = re.compile(r"^\s*(?:\([^)]*pid=\d+\)\s*)?(?:(?:ERROR|WARNING|INFO|CRITICAL|DEBUG)\s+\d\d-\d\d \d\d:\d\d:\d\d\s+)?(?:\[[^\]]*\]\s*)?")
_EXCEPTION = re.compile(r"^[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt|Failure)\b(?:: .*)?$")

# rule, pattern, what (None: the line itself), why, fix
_RULES: tuple[tuple[str, str, str | None, str, str], ...] = (
    ("engine-option", r"error: unrecognized arguments: (.*)", r"vLLM does not know the option \1", "this release has no such option", "check `version` and the option's name under engine"),
    ("engine-option", r"error: argument ([^:]+): (.*)", r"vLLM refuses \1: \2", "the value does not fit the option", "correct it under engine"),
    ("engine-length", r"User-specified max_model_len \((\d+)\) is greater than the derived max_model_len \(.*?(\d+)", r"max-model-len \1 is above the model's \2", "the model was not made for longer texts", r"max-model-len: \2, or less"),
    ("engine-kv", r"max seq len \(?(\d+)\)?.*larger than the (?:maximum|available)|To serve at least one request with the models's max seq len \((\d+)\)", r"max-model-len \1\2 needs more KV cache than there is", "one request of that length does not fit into the cache", "a smaller max-model-len, or more `memory`"),
    ("engine-kv", r"No available memory for the cache blocks", "no memory is left for the KV cache", "weights and activations take all of it", "a smaller model or length, a higher gpu-memory-utilization, or more GPUs"),
    ("engine-memory", r"Free memory on device .*?\(([\d.]+/[\d.]+ GiB)\).*less than desired", r"the GPU has too little free memory (\1)", "another process holds it", "free the GPU, or lower gpu-memory-utilization"),
    ("engine-memory", r"(?:CUDA out of memory|torch\.OutOfMemoryError)[^\n]*", None, "the GPU's memory does not suffice", "a smaller max-num-seqs, max-num-batched-tokens or max-model-len, quantization, or more GPUs"),
    ("engine-memory", r"(?:Cannot allocate memory|DefaultCPUAllocator: (?:can't|not enough memory)|MemoryError|not enough memory)[^\n]*", None, "the machine's memory does not suffice", "fewer replicas, less `memory`, or a smaller model"),
    ("engine-heads", r"Total number of attention heads \((\d+)\) must be divisible by tensor parallel size \((\d+)\)", r"tensor parallel size \2 does not divide the model's \1 heads", "each rank takes the same number of heads", r"a tensor-parallel-size that divides \1"),
    ("engine-architecture", r"Model architectures \[([^\]]*)\] (?:are not supported|failed to be inspected)", r"vLLM does not support the architecture \1", "this release has no such model", "another release or model"),
    ("engine-model", r"(?:Invalid repository ID or local directory specified|does not appear to have a file named config\.json|Can't load the configuration of)[^\n]*", None, "the model's folder is not whole", "check model.source"),
    ("engine-gated", r"(?:401 Client Error|GatedRepoError|Access to model [^\n]* is restricted)[^\n]*", None, "the model is gated or private", "accept its licence on the hub and set model.token"),
    ("engine-weights", r"SafetensorError: ([^\n]*)", r"a safetensors file cannot be read: \1", "it is truncated or broken", "copy the weights again"),
    ("engine-weights", r"(?:Following weights were not initialized from checkpoint|There is no module or parameter named)[^\n]*", None, "the weights do not belong to this config.json", "check that the folder holds one model"),
    ("engine-tokenizer", r"(?:Can't load tokenizer for|Couldn't instantiate the backend tokenizer)[^\n]*", None, "tokenizer files are missing or broken", "add tokenizer.json and tokenizer_config.json"),
    ("engine-dtype", r"Bfloat16 is only supported on GPUs with compute capability[^\n]*", None, "this GPU is too old for bfloat16", "dtype: half"),
    ("engine-quantization", r"(?:Unknown quantization method|quantization is (?:currently )?not supported|method specified in the model config)[^\n]*", None, "the quantization does not fit this release or device", "another quantization or GPU"),
    ("engine-code", r"trust_remote_code=True|requires you to execute the configuration file", "the model brings code of its own", "running it is off unless you allow it", "trust-remote-code: true, if you trust its author"),
    ("engine-nccl", r"(?:NCCL error|ncclSystemError|ncclUnhandled)[^\n]*", None, "the GPUs could not talk to each other", "/dev/shm of 1 GiB or more; NCCL_DEBUG=INFO under engine.env says more"),
    ("engine-driver", r"(?:NVIDIA driver on your system is too old|CUDA driver version is insufficient)[^\n]*", None, "the driver is older than vLLM's CUDA", "update the NVIDIA driver"),
    ("engine-port", r"\[Errno 98\][^\n]*|[Aa]ddress already in use[^\n]*", None, "another process took the port first", "start again"),
    ("engine-cpu", r"[Ii]llegal instruction", "the CPU lacks an instruction that vLLM uses", "the CPU build needs AVX2 or AVX-512", "`stoker doctor` says what works here"),
    ("engine-import", r"(?:ModuleNotFoundError|ImportError): ([^\n]*)", r"vLLM cannot be imported: \1", "the installation is not whole", "`make clean up` installs again"),
)  # fmt: skip


def last_words(lines: Sequence[str]) -> Finding:
    """The cause of an engine's death out of its log's last lines. `what` is empty where nothing is found."""
    clean = [_PREFIX.sub("", line).rstrip() for line in lines]
    for rule, pattern, what, why, fix in _RULES:
        compiled = re.compile(pattern)
        for line in clean:
            if (match := compiled.search(line)) is not None and not _NOISE.search(line):
                text = match.expand(what) if what is not None else match[0]
                return Finding(text.strip(), why, match.expand(fix) if "\\" in fix else fix, rule=rule)
    causes = [line.strip() for line in clean if _EXCEPTION.match(line.strip()) and not _NOISE.search(line)]
    if causes:
        return Finding(causes[0], "the engine's own last error", "see the log", rule="engine-error")
    return Finding("", rule="engine-unknown")
