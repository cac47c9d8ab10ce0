"""Engines started one after another, each in a process of its own; and what the plan says of each before."""

import importlib.metadata
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.gpu.cases import EVERY, Case
from stoker.catalog import vllm
from stoker.catalog.gpus import by_device_name, gpu
from stoker.model.files import ModelFiles
from stoker.model.shape import read_shape
from stoker.planner.fit import weigh
from stoker.planner.layout import Layout
from stoker.planner.settings import resolve
from stoker.units import Bytes

FALLBACK = "h100-80gb"  # what is planned for where no GPU is here and none is named
ENV = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "PYTHONUNBUFFERED": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
}


def machine() -> dict[str, Any]:
    """The GPU that is here, its memory in bytes, and the installed vLLM; empty where there is none."""
    asked = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=True).stdout
        name, memory, driver = (part.strip() for part in said.splitlines()[0].split(","))
        found: dict[str, Any] = {"gpu": name, "memory": int(memory) * 1024**2, "driver": driver}
    except (OSError, subprocess.SubprocessError, IndexError, ValueError):
        found = {}
    return found | {"vllm": installed()}


def installed() -> str:
    """The release of vLLM that is installed here; the catalog's own where there is none."""
    try:
        return importlib.metadata.version("vllm").partition("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return vllm.DEFAULT


def planned(case: Case, asked: str, here: dict[str, Any]) -> dict[str, Any]:
    """The plan's figures for one engine, in bytes, each with its band. `here` is the machine."""
    kind = gpu(asked) if asked else by_device_name(here.get("gpu", "")) or gpu(FALLBACK)
    total = Bytes(here.get("memory") or kind.memory)
    shape = read_shape(ModelFiles(case.config, {}))
    options = EVERY | case.options
    settings = resolve(options, shape, installed(), device_memory=total, device=kind.key)
    fit = weigh(shape, total, Layout(), settings)
    memory = fit.tightest
    found: dict[str, Any] = {item.name: (item.size, item.band) for item in memory.items}
    found |= {"kv_cache": (memory.kv_cache, memory.band), "runner": settings.runner, "gpu": kind.key}
    found |= {"blocks": fit.held.blocks, "tokens": fit.held.tokens, "groups": len(fit.groups)}
    return found | {"block_size": min((p.block for g in fit.groups for p in g.kinds), default=0)}


def measured(case: Case, out: Path, seconds: float) -> dict[str, Any]:
    """Starts the engine, lets it answer twice, and reads its bytes; `error` says why where it did not
    come."""
    folder = out / "models" / case.name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(case.config), encoding="utf-8")
    job, result = folder / "job.json", folder / "result.json"
    result.unlink(missing_ok=True)
    arguments = {name.replace("-", "_"): value for name, value in (EVERY | case.options).items()}
    job.write_text(json.dumps({"model": str(folder), **arguments}), encoding="utf-8")
    worker = [sys.executable, str(Path(__file__).with_name("measure.py")), str(job), str(result)]
    with (out / "logs" / f"{case.name}.log").open("w", encoding="utf-8") as log:
        env = os.environ | ENV | {"VLLM_CACHE_ROOT": str(out / "cache" / "engines")}  # cold the first time
        child = subprocess.Popen(worker, stdout=log, stderr=log, env=env, start_new_session=True)
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            return {"ok": False, "error": f"cut after {seconds:.0f} s"}
    if not result.exists():
        return {"ok": False, "error": f"ended with {child.returncode} before it was ready: see its log"}
    found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    return found
