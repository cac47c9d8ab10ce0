"""What this machine is, and which engine fits it. Facts are gathered in one place; the choice is a function
of them."""

from __future__ import annotations

import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 14)
FLAVOURS = ("cpu", "cuda", "none")
# What vLLM's AVX2 kernels are compiled for. It carries no others for older x86, where they stop with an
# illegal
# instruction.
NEEDED_FLAGS = frozenset({"avx2", "fma", "f16c"})
GLIBC = (2, 31)  # the newest that a wheel in locks/cpu.txt and cuda.txt asks for (llguidance)
DRIVER = 580  # the oldest NVIDIA driver that runs CUDA 13, which locks/cuda.txt brings
WITHOUT = "planning, clusters and the simulated engine work"


@dataclass(frozen=True)
class Facts:
    """`gpu` is the first NVIDIA GPU's name, None where none answers; `glibc` is None on another C library."""

    system: str
    machine: str
    flags: frozenset[str] = frozenset()
    glibc: tuple[int, ...] | None = None
    gpu: str | None = None
    driver: int = 0


@dataclass(frozen=True)
class Choice:
    """A flavour, and why it is the one."""

    flavour: str
    why: str


def python_problem(version: tuple[int, ...]) -> str | None:
    """Why this Python will not do, or None."""
    found = ".".join(str(part) for part in version[:2])
    if tuple(version[:2]) < OLDEST:
        return f"Python {found} is too old: Stoker needs 3.11 or newer"
    if tuple(version[:2]) > NEWEST:
        return f"Python {found} is newer than the engine's wheels: 3.11 to 3.14 will do"
    return None


def python_fix(system: str) -> str:
    """The command that installs a Python that will do."""
    if system == "Darwin":
        return "brew install python@3.12, then make up PYTHON=python3.12"
    return (
        "sudo apt-get install python3.11 python3.11-venv, then make up PYTHON=python3.11\n"
        "(Ubuntu before 22.04: sudo add-apt-repository ppa:deadsnakes/ppa first; anywhere: uv python install "
        "3.12,\n"
        "then make up PYTHON=$(uv python find 3.12))"
    )


def choose(facts: Facts) -> Choice:
    """The engine that fits: an NVIDIA GPU's, else the CPU's, else none."""
    gpu = gpu_problem(facts)
    if facts.gpu and not gpu:
        return Choice("cuda", f"vLLM on {facts.gpu}")
    cpu = cpu_problem(facts)
    if cpu is None:
        kernels = "AVX-512" if "avx512f" in facts.flags else "AVX2"
        return Choice(
            "cpu", f"vLLM on this CPU ({kernels})" + (f"; not on the GPU: {gpu}" if facts.gpu else "")
        )
    return Choice("none", f"none: {gpu if facts.gpu else cpu}; {WITHOUT}")


def gpu_problem(facts: Facts) -> str | None:
    """Why the CUDA engine does not run here, or None. A GPU that is not there yet is none."""
    if facts.system != "Linux":
        return f"vLLM's CUDA build is for Linux, this is {facts.system}"
    if facts.glibc is None or facts.glibc < GLIBC:
        return _c_library(facts)
    if facts.gpu and facts.driver < DRIVER:
        return f"its driver {facts.driver} is older than {DRIVER}, which CUDA 13 needs"
    return None


def cpu_problem(facts: Facts) -> str | None:
    """Why the CPU engine does not run here, or None."""
    if facts.system != "Linux" or facts.machine != "x86_64":
        return f"vLLM's CPU build is for x86-64 Linux, this is {facts.system} on {facts.machine}"
    lacking = sorted(NEEDED_FLAGS - facts.flags)
    if lacking:
        return f"vLLM needs a CPU with {', '.join(lacking)}"
    return _c_library(facts) if facts.glibc is None or facts.glibc < GLIBC else None


def _c_library(facts: Facts) -> str:
    found = "another C library" if facts.glibc is None else "glibc " + ".".join(map(str, facts.glibc))
    return f"the engine's wheels need glibc {'.'.join(map(str, GLIBC))} or newer, this is {found}"


def look() -> Facts:
    """The facts, gathered now."""
    name, version = platform.libc_ver()
    gpu, driver = _gpu()
    return Facts(
        system=platform.system(),
        machine=platform.machine(),
        flags=_cpu_flags(),
        glibc=tuple(int(part) for part in version.split(".")[:2]) if name == "glibc" else None,
        gpu=gpu,
        driver=driver,
    )


def _gpu() -> tuple[str | None, int]:
    argv = ["nvidia-smi", "--query-gpu=driver_version,name", "--format=csv,noheader"]
    try:
        done = subprocess.run(
            argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None, 0
    return read_gpu(done.stdout.decode("utf-8", "replace")) if done.returncode == 0 else (None, 0)


def read_gpu(answer: str) -> tuple[str | None, int]:
    """The first GPU's name and the driver's major version, out of nvidia-smi's `driver, name` lines."""
    driver, comma, name = (answer.splitlines() or [""])[0].partition(", ")
    major = driver.split(".")[0]
    return (name.strip(), int(major)) if comma and major.isdigit() else (None, 0)


def _cpu_flags() -> frozenset[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line for line in lines if line.startswith("flags")), "").split())
