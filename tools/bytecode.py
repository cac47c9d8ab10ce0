"""Compiles what serving imports, on all cores, so that no process start pays for it.

A third of the installed Python code is ever imported by a fleet and its page. The rest is left to Python,
which
compiles a file the first time it is imported: 7 s instead of 21 s of two cores.
Run by the Python whose packages these are: bytecode.py FOLDER.
"""

import compileall
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

ANYWHERE = frozenset({"tests", "testing", "benchmarks", "distutils", "f2py", "_incubating"})
# Imported by nothing that serves text, or by one model's folder in hundreds: seen with vLLM 0.32 and Gradio
# 6.31.
UNUSED = (
    "anthropic",
    "dns",
    "gguf",
    "huggingface_hub/cli",
    "lark",
    "llvmlite",
    "mistral_common",
    "numba",
    "openai/resources",
    "openai/types/admin",
    "openai/types/beta",
    "openai/types/realtime",
    "pip",
    "pygments/lexers",
    "sentry_sdk",
    "setuptools",
    "supervisor",
    "sympy/combinatorics",
    "sympy/parsing",
    "sympy/physics",
    "sympy/stats",
    "sympy/vector",
    "torch/_vendor",
    "torch/distributed/checkpoint",
    "torch/distributed/elastic",
    "torch/distributed/pipelining",
    "torchgen",
    "transformers/exporters",
    "transformers/models",
    "transformers/pipelines",
    "vllm/benchmarks",
    "vllm/distributed/kv_transfer",
    "vllm/model_executor/models",
    "vllm/models",
    "vllm/v1/kv_offload",
)


def worth_it(folder: str) -> bool:
    """Whether the files of a folder (relative to site-packages) are compiled now."""
    if ANYWHERE.intersection(folder.split("/")):
        return False
    return not any(folder == unused or folder.startswith(unused + "/") for unused in UNUSED)


def sources(root: Path) -> Iterator[str]:
    """The files to compile."""
    for folder, below, files in os.walk(root):
        below[:] = [name for name in below if name != "__pycache__"]
        if worth_it(Path(folder).relative_to(root).as_posix()):
            yield from (os.path.join(folder, name) for name in files if name.endswith(".py"))


def main(root: Path) -> None:
    """Compiles; a file that does not compile is its package's business, as it is to pip and uv."""
    with ProcessPoolExecutor() as pool:
        files = list(sources(root))
        list(pool.map(partial(compileall.compile_file, quiet=2), files, chunksize=40))
    sys.stdout.write(f"compiled {len(files)} files\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
