"""What users do, each step as the command that they would type: how long it took, and what it said last."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.gpu.engines import ENV
from benchmarks.gpu.folder import write

UP = 180.0  # seconds that a first start may take, alone: it imports, compiles and captures
SHORT = 60.0
LAST = 12  # lines of a step's output that are kept


def steps(out: Path, config: dict[str, Any], seconds: float, *, dry: bool) -> Iterator[dict[str, Any]]:
    """Every step in turn, while there is time; on a simulated fleet in a dry run."""
    home = out / "home"
    home.mkdir(exist_ok=True)
    spec = _spec(out, config, dry=dry)
    end = time.monotonic() + seconds
    for name, words, most in _commands(spec, out, dry=dry):
        left = end - time.monotonic()
        if left < 5 and name != "down":
            yield {"name": name, "ok": False, "error": "not begun: no time is left"}
            continue
        yield _step(name, words, min(most, max(left, 20.0)), out)


def _commands(spec: Path, out: Path, *, dry: bool) -> list[tuple[str, list[str], float]]:
    file, name = ["-f", str(spec)], ["--name", "gpu-run"]
    up = ["up", *file, "-d", "-y", "--timeout", f"{int(UP)}s"]
    chat = ["chat", *name, "-p", "max_tokens=8", "Hello!"]
    return [
        ("doctor", ["doctor"], SHORT),
        ("plan", ["plan", *file, "-o", "json"], SHORT),
        ("up", up, UP + 10),
        ("first chat", chat, SHORT),
        ("second chat", chat, SHORT),
        ("scale to 0", ["scale", "0", *name], SHORT),
        ("scale to 1", ["scale", "1", *name], UP),
        ("down", ["down", *name, "--now"], SHORT),
    ]


def _spec(out: Path, config: dict[str, Any], *, dry: bool) -> Path:
    """A stoker.yaml: a folder with everything that an engine loads, or simulated engines."""
    folder = out / "models" / "users"
    if not dry:
        write(folder, config)
    real = f"model: {folder}\nengine: {{max-model-len: 8K}}\n"
    text = f"name: gpu-run\nendpoint: {{port: {_free_port()}, page_port: {_free_port()}}}\n"
    text += "engine: {kind: simulated}\n" if dry else real
    spec = out / "stoker.yaml"
    spec.write_text(text, encoding="utf-8")
    return spec


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _step(name: str, words: list[str], seconds: float, out: Path) -> dict[str, Any]:
    began = time.monotonic()
    log = out / "logs" / f"users-{name.replace(' ', '-')}.log"
    argv = [sys.executable, "-m", "stoker", *words]
    env = os.environ | ENV | {"STOKER_HOME": str(out / "home"), "NO_COLOR": "1"}
    env["VLLM_CACHE_ROOT"] = str(out / "cache" / "users")  # its own, so that the first start is a cold one
    env.pop("VLLM_ENABLE_V1_MULTIPROCESSING")
    try:
        with log.open("w", encoding="utf-8") as said:
            code = subprocess.run(
                argv,
                stdout=said,
                stderr=said,
                stdin=subprocess.DEVNULL,
                env=env,
                timeout=seconds,
                check=False,
            ).returncode
        error = "" if code == 0 else f"exit code {code}"
    except subprocess.TimeoutExpired:
        error = f"cut after {seconds:.0f} s"
    told = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST:]
    row = {"name": name, "command": " ".join(["stoker", *words]), "seconds": time.monotonic() - began}
    return row | {"ok": not error, "error": error, "said": told}
