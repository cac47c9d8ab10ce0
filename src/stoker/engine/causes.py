"""What an engine dies of: lines of vLLM, PyTorch and the kernel, each with its reason and its fix.

Source: vLLM 0.32, `raise` in config/, platforms/, v1/, model_executor/; real logs under tests/data/logs.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cause:
    """A rule over one line. In `what` and `fix`, {1} is the pattern's first group, {0} the matched text.

    The first cause in the table that matches any line counts, so that the specific ones come first.
    """

    rule: str
    pattern: re.Pattern[str]
    what: str
    why: str
    fix: str


def _causes(*rows: tuple[str, str, str, str, str]) -> tuple[Cause, ...]:
    return tuple(Cause(rule, re.compile(pattern), what, why, fix) for rule, pattern, what, why, fix in rows)


_OPTIONS = _causes(
    (
        "engine-option",
        r"error: unrecognized arguments: (.*)",
        "vLLM does not know {1}",
        "this release has no such option",
        "correct its name under engine, or the version",
    ),
    (
        "engine-option",
        r"error: argument --([\w.-]+)[^:]*: (.*)",
        "vLLM refuses {1}: {2}",
        "the value does not fit the option",
        "correct it under engine",
    ),
    (
        "engine-length",
        r"max_model_len \((\d+)\) is greater than the derived max_model_len \([^=]*=(\d+)",
        "max-model-len {1} is above the model's {2}",
        "the model was not made for longer texts",
        "max-model-len: {2} or less",
    ),
    (
        "engine-batch",
        r"max_num_batched_tokens \((\d+)\) must be greater than or equal to max_num_seqs \((\d+)\)",
        "max-num-batched-tokens {1} is below max-num-seqs {2}",
        "each running request takes a token of every step",
        "max-num-batched-tokens: {2} or more, or a smaller max-num-seqs",
    ),
    (
        "engine-heads",
        r"attention heads \((\d+)\) must be divisible by tensor parallel size \((\d+)\)",
        "tensor-parallel-size {2} does not divide the model's {1} attention heads",
        "each rank takes the same number of heads",
        "a tensor-parallel-size that divides {1}",
    ),
    (
        "engine-gpus",
        r"World size \((\d+)\) is larger than the number of available GPUs \((\d+)\)",
        "{1} GPUs are asked for and {2} are here",
        "each rank takes a GPU",
        "a smaller tensor-parallel-size",
    ),
    (
        "engine-chat-template",
        r"supplied chat template (?:string )?\((.{1,200}?)\).*(?:doesn't exist|not)",
        "the chat template {1} is not there",
        "vLLM takes a file's path, or the template itself in one line",
        "correct chat-template under engine",
    ),
    (
        "engine-chat-template",
        r"jinja2\.exceptions\.\w+: (.*)",
        "the chat template is broken: {1}",
        "Jinja cannot read it",
        "correct it, or give another as chat-template under engine",
    ),
    (
        "engine-adapter",
        r"Loading lora (\S+) failed: (.*?)['\"]?(?:, please check.*)?$",
        "the adapter {1} cannot be loaded: {2}",
        "vLLM wants adapter_config.json and its weights in one folder",
        "correct model.adapters",
    ),
    (
        "engine-adapter",
        r"LoRA rank (\d+) is greater than max_lora_rank (\d+)",
        "an adapter has rank {1}, and the engine takes {2}",
        "its place is reserved at the start",
        "max-lora-rank: {1}, under engine",
    ),
)

_MEMORY = _causes(
    (
        "engine-kv",
        r"max seq len \((\d+)\), \(([\d.]+) GiB .* memory \(([\d.]+) GiB\).*maximum model length is (\d+)",
        "max-model-len {1} needs {2} GiB of KV cache, and there are {3} GiB",
        "a request of that length must fit into the cache",
        "max-model-len: {4} or less, or more memory",
    ),
    (
        "engine-kv",
        r"max seq len \((\d+)\)[, (]*(?:([\d.]+ GiB) .*)?.*is larger than the (?:available|maximum)",
        "max-model-len {1} needs more KV cache than there is",
        "a request of that length must fit into the cache",
        "a smaller max-model-len, or more memory",
    ),
    (
        "engine-kv",
        r"No available memory for the cache blocks|Cannot auto-fit max_model_len",
        "no memory is left for the KV cache",
        "weights and activations take all that the engine may use",
        "a higher gpu-memory-utilization, a smaller max-num-batched-tokens, quantization, or more GPUs",
    ),
    (
        "engine-memory",
        r"\(([\d.]+)/([\d.]+) GiB\) on kv cache.*requested memory for kv \(([\d.]+)",
        "the KV cache is to take {3} GiB of memory, and {1} of {2} GiB are free",
        "the machine's memory does not suffice",
        "a smaller memory, fewer replicas, or free some",
    ),
    (
        "engine-memory",
        r"on node \d+ \(([\d.]+)/([\d.]+) GiB\) on startup is less than .* \(([\d.]+), ([\d.]+) GiB\)",
        "the engine is to take {4} GiB of memory, and {1} of {2} GiB are free",
        "gpu-memory-utilization {3} counts for a CPU's memory too",
        "a smaller memory, fewer replicas, or free some",
    ),
    (
        "engine-gpu-memory",
        r"Free memory on device \S+ \(([\d.]+)/([\d.]+) GiB\).* less than .* \(([\d.]+), ([\d.]+) GiB\)",
        "{1} of the GPU's {2} GiB are free, and the engine is to take {4} GiB",
        "another process holds the rest (`nvidia-smi` lists them)",
        "free the GPU, or lower gpu-memory-utilization ({3})",
    ),
    (
        "engine-gpu-memory",
        r"CUDA out of memory\. Tried to allocate ([\d.]+ \w+)",
        "the GPU is out of memory: {1} could not be had",
        "weights, activations and KV cache do not fit",
        "a smaller max-num-seqs, max-num-batched-tokens or max-model-len, quantization, or more GPUs",
    ),
    (
        "engine-gpu-memory",
        r"CUDA out of memory|torch\S*\.OutOfMemoryError|not enough GPU memory",
        "the GPU is out of memory",
        "weights, activations and KV cache do not fit",
        "a smaller max-num-seqs, max-num-batched-tokens or max-model-len, quantization, or more GPUs",
    ),
    (
        "engine-memory",
        r"(?:can't allocate|not enough) memory: you tried to allocate (\d+) bytes",
        "the machine is out of memory: {1} bytes could not be had",
        "weights, activations and KV cache do not fit",
        "a smaller memory (KV cache), fewer replicas, or a smaller model",
    ),
)

_MODEL = _causes(
    (
        "engine-code",
        r"trust_remote_code=True|contains custom code which must be executed",
        "the model brings code of its own",
        "it runs with your rights, so that it is off unless you allow it",
        "trust-remote-code: true under engine, if you trust its author",
    ),
    (
        "engine-architecture",
        r"Model architectures \[?'?([^'\]]*)'?\]? (?:are not supported|failed to be inspected)",
        "vLLM does not support the architecture {1}",
        "this release has no such model",
        "another release, or another model",
    ),
    (
        "engine-architecture",
        r"model type `([^`]+)` but Transformers does not recognize this",
        "Transformers does not know the model type {1}",
        "the model is newer than the engine",
        "a newer version of vLLM",
    ),
    (
        "engine-gated",
        r"(40[13]) Client Error|GatedRepoError|Access to model \S+ is restricted|RepositoryNotFoundError",
        "the hub refuses the model",
        "it is gated or private, or its name is wrong",
        "accept its licence on the hub and set model.token",
    ),
    (
        "engine-offline",
        r"LocalEntryNotFoundError|outgoing traffic has been disabled|couldn't connect to '?https://hugg",
        "a file of the model is not here, and the hub cannot be asked",
        "the engine runs offline",
        "`stoker models pull` it first",
    ),
    (
        "engine-model",
        r"Repo id must be in the form .*: '([^']+)'",
        "there is no model folder {1}",
        "no such folder, and a repository's name looks otherwise",
        "correct model.source",
    ),
    (
        "engine-model",
        r"Invalid repository ID or local directory specified: '([^']+)'",
        "{1} is no model folder",
        "it has no config.json",
        "correct model.source",
    ),
    (
        "engine-model",
        r"config file at '([^']+)' is not a valid JSON",
        "{1} is broken",
        "it is not valid JSON",
        "copy the model again",
    ),
    (
        "engine-model",
        r"(\S+) does not appear to have a file named (\S+?)\.?(?:\s|$)",
        "{1} has no {2}",
        "the model's folder is not whole",
        "copy the model again",
    ),
    (
        "engine-weights",
        r"Cannot find any model weights with `([^`]+)`",
        "{1} has no weights",
        "it holds no *.safetensors",
        "copy the model again, or correct model.source",
    ),
    (
        "engine-weights",
        r"SafetensorError: (.*)",
        "a safetensors file cannot be read: {1}",
        "it is cut off or broken",
        "copy the model again",
    ),
    (
        "engine-weights",
        r"parse_safetensors_file_metadata",
        "a safetensors file cannot be read",
        "its header is broken",
        "copy the model again",
    ),
    (
        "engine-weights",
        r"no module or parameter named '([^']+)'|Following weights were not initialized.*?'([^']+)'",
        "the weights and config.json do not belong together ({1}{2})",
        "a tensor is there that the model has not, or lacks",
        "a folder that holds one model, whole",
    ),
    (
        "engine-weights",
        r"Attempted to load weight (.*) into parameter (.*)|size mismatch for (\S+)",
        "the weights and config.json do not belong together ({0})",
        "a tensor has another shape than the model's",
        "a folder that holds one model, whole",
    ),
    (
        "engine-tokenizer",
        r"Couldn't instantiate the backend tokenizer|Can't load tokenizer|[Tt]okenizer class \S+ does not",
        "the model's tokenizer is missing",
        "vLLM wants tokenizer.json and tokenizer_config.json",
        "copy the model again, or give tokenizer under engine",
    ),
    (
        "engine-quantization",
        r"Unknown quantization method: (\S+?)\. ",
        "vLLM does not know the quantization {1} here",
        "this release has none of that name for this device",
        "another quantization, or a GPU",
    ),
    (
        "engine-quantization",
        r"(\S+) quantization is currently not supported in (\S+?)\.?$",
        "{2} does not run the quantization {1}",
        "vLLM has no kernels for it there",
        "another quantization, or a GPU",
    ),
    (
        "engine-quantization",
        r"quantization method (\S+) is not supported for the current GPU.*: (\d+).*: (\d+)",
        "this GPU does not run the quantization {1}",
        "it needs compute capability {2}, and this is {3}",
        "another quantization, or a newer GPU",
    ),
    (
        "engine-quantization",
        r"Quantization method specified in the model config \((\S+)\) does not match.*\((\S+)\)",
        "the model is quantized as {1}, and {2} is asked for",
        "a model is quantized once",
        "leave quantization out",
    ),
    (
        "engine-dtype",
        r"Bfloat16 is only supported on GPUs.*Your (.*) GPU has compute capability ([\d.]+)",
        "{1} has no bfloat16",
        "that takes compute capability 8.0, and it has {2}",
        "dtype: half, under engine",
    ),
    (
        "engine-dtype",
        r"(\S+) is not supported for quantization method (\S+)\.|does not support float16. Reason: (.*)",
        "the dtype does not fit the model: {0}",
        "vLLM has no kernels for both together",
        "another dtype under engine",
    ),
)

_MACHINE = _causes(
    (
        "engine-driver",
        r"NVIDIA driver on your system is too old|CUDA driver version is insufficient|PTX was compiled with",
        "the NVIDIA driver is too old",
        "vLLM is built for a newer CUDA",
        "update the driver",
    ),
    (
        "engine-driver",
        r"no kernel image is available for execution",
        "this GPU is not among those vLLM is built for",
        "it is too old, or too new",
        "another release of vLLM, or another GPU",
    ),
    (
        "engine-gpus",
        r"Found no NVIDIA driver|No CUDA GPUs are available|Failed to infer device type",
        "the engine sees no GPU",
        "no driver, none visible to it (CUDA_VISIBLE_DEVICES), or a build for CPUs",
        "`stoker doctor` says what is here",
    ),
    (
        "engine-nccl",
        r"NCCL error.*|ncclSystemError.*|ncclUnhandledCudaError.*",
        "the GPUs cannot talk to each other: {0}",
        "NCCL failed",
        "shared memory (/dev/shm) of 1 GiB or more; engine.env: {NCCL_DEBUG: INFO} says more",
    ),
    (
        "engine-shm",
        r"Bus error|exit code: -7\b|No space left on device.*/dev/shm|/dev/shm.*No space left",
        "shared memory is full",
        "the ranks share /dev/shm, and it is too small",
        "shared memory of 1 GiB or more",
    ),
    (
        "engine-disk",
        r"(?:No space left on device|Disk quota exceeded).*",
        "the disk is full: {0}",
        "the engine writes caches and logs",
        "free some space",
    ),
    (
        "engine-port",
        r"[Aa]ddress already in use",
        "the engine's port is taken",
        "another process was there first",
        "start it again: it gets another port",
    ),
    (
        "engine-cores",
        r"libgomp: Thread creation failed|OMP: Error #\d+: .*|sched_setaffinity.*Invalid argument",
        "the engine's threads cannot be bound to their cores",
        "VLLM_CPU_OMP_THREADS_BIND names cores that are not here",
        "leave it out of engine.env, or correct it",
    ),
    (
        "engine-cpu",
        r"[Ii]llegal instruction|exit code: -4\b|SIGILL",
        "the CPU lacks an instruction that vLLM uses",
        "the CPU build needs AVX2, better AVX-512",
        "`stoker doctor` says what works here",
    ),
    (
        "engine-killed",
        r"exit code: -9\b|\bSIGKILL\b|^Killed$",
        "a process of the engine was killed",
        "mostly by the kernel, as the machine is out of memory (`dmesg` says so)",
        "a smaller memory (KV cache), fewer replicas, or a smaller model",
    ),
    (
        "engine-crash",
        r"Segmentation fault|exit code: -11\b|SIGSEGV",
        "a process of the engine crashed",
        "a bug in native code, or parts that do not belong together",
        "another release; the log has the stack",
    ),
    (
        "engine-crash",
        r"CUDA error: (.*)|(illegal memory access) was encountered",
        "the GPU failed: {1}{2}",
        "a bug in a kernel, or a GPU that is not well",
        "another release or attention-backend; `nvidia-smi` shows the GPU",
    ),
    (
        "engine-files",
        r"Too many open files",
        "the engine has too many open files",
        "the limit is low (`ulimit -n`)",
        "raise the limit",
    ),
    (
        "engine-import",
        r"(?:ModuleNotFound|Import)Error: (.*)|PackageNotFoundError: (.*)|(operator .* does not exist)",
        "vLLM is not whole: {1}{2}{3}",
        "a package is missing, or does not belong to this vLLM",
        "install it again",
    ),
    (
        "engine-memory",
        r"^MemoryError|Cannot allocate memory",
        "the machine is out of memory",
        "the engine asked for more than there is",
        "a smaller memory (KV cache), fewer replicas, or a smaller model",
    ),
    (
        "engine-tokenizer",
        r"File .\S*tokenization_\w+\.py",
        "the model's tokenizer cannot be read",
        "tokenizer.json or tokenizer_config.json is broken",
        "copy the model again",
    ),
)

CAUSES = (*_OPTIONS, *_MEMORY, *_MODEL, *_MACHINE)

# Where a process went without a word: what the others say of it.
SILENT = _causes(
    (
        "engine-killed",
        r"'\w+': -9\b",
        "a process of the engine was killed",
        "mostly by the kernel, as the machine is out of memory (`dmesg` says so)",
        "a smaller memory (KV cache), fewer replicas, or a smaller model",
    ),
    (
        "engine-cpu",
        r"'\w+': -4\b",
        "the CPU lacks an instruction that vLLM uses",
        "the CPU build needs AVX2, better AVX-512",
        "`stoker doctor` says what works here",
    ),
    (
        "engine-crash",
        r"'\w+': -(?:6|7|11)\b",
        "a process of the engine crashed",
        "a bug in native code, or parts that do not belong together",
        "another release; the log has the stack",
    ),
    (
        "engine-killed",
        r"WorkerProc initialization failed|died unexpectedly|Failed core proc\(s\): \{'",
        "a process of the engine ended without a word",
        "killed, mostly by the kernel as the machine is out of memory, or crashed (`dmesg` says which)",
        "a smaller memory (KV cache), fewer replicas, or a smaller model",
    ),
)
