"""What this machine offers: cores, memory, GPUs, and the CPU features that choose the engine's options."""

import contextlib
import os
import platform
import sys
from pathlib import Path

import psutil

from stoker.planner.plan import Gpu, Hardware
from stoker.system.run import run
from stoker.units import Bytes

_FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def offer() -> Hardware:
    """Looks at this machine now."""
    memory = psutil.virtual_memory()
    return Hardware(
        cores=cores(),
        memory=Bytes(min(memory.total, _cgroup_memory() or memory.total)),
        memory_free=Bytes(memory.available),
        gpus=gpus(),
        features=cpu_features(),
        preload=_faster_libraries(),
        system=f"{platform.system()} {platform.machine()}",
    )


def cores() -> tuple[int, ...]:
    """The CPUs this process may use, one thread of each core where the system tells, all of them
    otherwise."""
    allowed = (
        sorted(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else list(range(os.cpu_count() or 1))
    )
    firsts = []
    for cpu in allowed:
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        first = cpu
        with contextlib.suppress(OSError, ValueError):
            first = min(s for s in _ranges(siblings.read_text()) if s in allowed)
        if first == cpu:
            firsts.append(cpu)
    return tuple(firsts)


def _ranges(text: str) -> list[int]:
    out: list[int] = []
    for part in text.strip().split(","):
        low, _, high = part.partition("-")
        out += range(int(low), int(high or low) + 1)
    return out


def cpu_features() -> frozenset[str]:
    """The CPU's flags that matter here; empty where the system does not say."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("flags"):
                flags = line.split()
                return frozenset(feature for feature in _FEATURES if feature in flags)
    return frozenset()


def _cgroup_memory() -> int | None:
    with contextlib.suppress(OSError, ValueError):
        return int(Path("/sys/fs/cgroup/memory.max").read_text())
    return None


def _faster_libraries() -> tuple[str, ...]:
    """Intel's OpenMP runtime of this environment and the system's tcmalloc, which vLLM advises: those that
    are here."""
    if platform.machine() != "x86_64":
        return ()
    openmp = Path(sys.prefix, "lib", "libiomp5.so")
    allocators = (
        folder / name
        for name in ("libtcmalloc_minimal.so.4", "libtcmalloc.so.4")
        for folder in map(Path, ("/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib"))
    )
    allocator = next((path for path in allocators if path.exists()), None)
    return tuple(str(path) for path in (allocator, openmp) if path is not None and path.exists())


def gpus() -> tuple[Gpu, ...]:
    """The NVIDIA GPUs, by `nvidia-smi`; none where it is missing or fails. CUDA_VISIBLE_DEVICES narrows
    them."""
    result = run(
        ("nvidia-smi", "--query-gpu=index,name,memory.total", "--format=csv,noheader,nounits"), seconds=10
    )
    if result is None or result.code != 0:
        return ()
    rows = [line.split(", ") for line in result.out.splitlines() if line.count(", ") == 2]
    found = tuple(
        Gpu(int(index), name, Bytes(int(mib) * 1024**2)) for index, name, mib in rows if mib.strip().isdigit()
    )
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return found
    wanted = {int(part) for part in visible.split(",") if part.strip().isdigit()}
    return tuple(gpu for gpu in found if gpu.index in wanted)
