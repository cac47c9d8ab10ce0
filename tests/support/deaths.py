"""Deaths of engines as they were recorded: what the engine said, the rule it is, and the values that are told."""

import tomllib
from pathlib import Path

DATA = Path(__file__).parents[1] / "data"
LOGS = DATA / "logs"

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

# Lines as their sources write them; no GPU was here to provoke them.
LINES: list[tuple[str, tuple[str, ...], str]] = [
    (row["rule"], tuple(row["told"]), row["said"])
    for row in tomllib.loads((DATA / "deaths.toml").read_text(encoding="utf-8"))["line"]
]

ECHO = "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}"


def death(line: str) -> str:
    """The log of an engine that died of a line; of one that begins with `@name|`, in a function, or a file, of
    that name."""
    name, _, said = line.removeprefix("@").partition("|") if line.startswith("@") else ("", "", line)
    up = "INFO:     Application startup complete.\n" if name == "serving" else ""
    frame = f'  File "{name}", line 1, in f' if name.endswith(".py") else f'  File "x.py", line 1, in {name}'
    frames = f"Traceback (most recent call last):\n{frame}\n" if name else ""
    return f"{up}{frames}{said}\nTraceback (most recent call last):\n{ECHO}\n"
