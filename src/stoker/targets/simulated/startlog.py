"""The lines that vLLM 0.32 writes while it starts, with its phases at a share of the simulated start-up time.

Source: vLLM 0.32, `logger.py` (format), `v1/engine/core.py`, `v1/core/kv_cache_utils.py`,
`model_executor/model_loader/default_loader.py`, `entrypoints/launchers/api_server/entry.py`.
"""

import contextlib
import os
import sys
import time
from collections.abc import Iterator

from stoker.targets.simulated.options import VERSION, Options

_SERVER, _CORE, _UVICORN = "APIServer", "EngineCore", ""


def _write(text: str) -> None:
    with contextlib.suppress(OSError):  # a full disk ends no engine
        sys.stderr.write(text)
        sys.stderr.flush()


def line(process: str, where: str, text: str, level: str = "INFO") -> None:
    """Writes one log line to stderr in vLLM's format; uvicorn's own lines have another."""
    if process == _UVICORN:
        _write(f"{level + ':':<9} {text}\n")
    else:
        stamp = time.strftime("%m-%d %H:%M:%S")
        head = f"({process} pid={os.getpid()}) {level} {stamp} [{where}] "
        _write("".join(f"{head}{part}\n" for part in text.split("\n")))


def starting(options: Options) -> Iterator[float]:
    """Writes the start-up's lines; yields the share of the start-up time that passes before the next ones."""
    seconds = options.simulation.start_seconds
    model, length = options.model, options.max_model_len
    line(_SERVER, "api_utils.py:341", f"vLLM server version {VERSION}, serving model {model}")
    line(_SERVER, "api_utils.py:286", f"non-default args: {options.given}")
    line(_SERVER, "model.py:733", "Resolved architecture: SimulatedForCausalLM")
    line(_SERVER, "model.py:2152", f"Using max model len {length}")
    yield 0.3
    line(_CORE, "core.py:133", f"Initializing a V1 LLM engine (v{VERSION}) with config: model={model!r}")
    yield 0.2
    line(_CORE, "model_runner.py:61", f"Starting to load model {model}...")
    yield 0.3
    line(_CORE, "default_loader.py:501", f"Loading weights took {0.3 * seconds:.2f} seconds")
    line(
        _CORE,
        "gpu_model_runner.py:5149",
        f"Model loading took 0.5 GiB memory and {0.3 * seconds:.6f} seconds",
    )
    yield 0.1
    tokens = options.simulation.kv_blocks * options.block_size
    room = f"Maximum concurrency for {length:,} tokens per request: {tokens / length:.2f}x"
    line(_CORE, "kv_cache_utils.py:2327", f"CPU KV cache size: {tokens:,} tokens, {room}")
    yield 0.1
    took = f"took {0.2 * seconds:.2f} s"
    line(_CORE, "core.py:402", f"init engine (profile, create kv cache, warmup model) {took}")


def ready(host: str, port: int) -> None:
    """Writes the lines around the moment from which the server answers."""
    line(_SERVER, "entry.py:140", f"Starting vLLM server on http://{host}:{port}")
    line(_UVICORN, "", f"Started server process [{os.getpid()}]")
    line(_UVICORN, "", "Waiting for application startup.")
    line(_UVICORN, "", "Application startup complete.")


def failed(message: str) -> None:
    """Writes a failed start as vLLM does: the engine's traceback, then the server's, which names no cause."""
    place = 'Traceback (most recent call last):\n  File "core.py", line 1481, in run_engine_core'
    line(_CORE, "core.py:1510", f"EngineCore failed to start.\n{place}\n{_error(message)}", "ERROR")
    summary = "Engine core initialization failed. See root cause above. Failed core proc(s): {}"
    _write(f"Traceback (most recent call last):\nRuntimeError: {summary}\n")


def died(why: str) -> None:
    """Writes an engine's last error before it dies in service."""
    line(_CORE, "core.py:1512", f"EngineCore encountered a fatal error.\n{_error(why)}", "ERROR")


def stopping(mode: str, timeout: float, running: int) -> None:
    """Writes what vLLM says on SIGTERM."""
    line(_SERVER, "launcher.py:259", "[shutdown] API server: shutdown triggered")
    detail = f"stopping engine client mode={mode} timeout={timeout:g}s"
    line(_SERVER, "launcher.py:273", f"[shutdown] API server: {detail}")
    if running:
        verb = "draining" if mode == "drain" else "aborting"
        line(_CORE, "core.py:1647", f"[shutdown] EngineCore: {verb} in-flight requests count={running}")


def _error(message: str) -> str:
    """The last line of a traceback: as given where it names an exception itself, else a RuntimeError."""
    head = message.partition(":")[0]
    named = head.isidentifier() and head.endswith(("Error", "Exception"))
    return message if named else f"RuntimeError: {message}"
