"""Real vLLM with the demo model, asked as the simulated engine is."""

import os
import subprocess
import sys
from pathlib import Path

import psutil

from stoker.weights.demo import demo_folder
from tests.conftest import free_port
from tests.support.contract import LEN
from tests.support.engine import Engine, wait

START = 300.0  # seconds that it may take to start on a busy machine


class RealEngine(Engine):
    """A running `vllm serve`; few KV blocks, no compilation."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.log = folder / "vllm.log"
        self.connections, self.answers = [], []
        self.port = free_port()
        model = demo_folder("smollm2-135m-instruct", folder / "cache", lambda event: None)
        argv = [sys.executable, str(Path(sys.executable).with_name("vllm")), "serve", str(model), *_FIXED]
        offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*argv, "--port", str(self.port), *options],
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **offline},
            )
        wait(self._ready, START)

    def _ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()[-2000:]
        return "Application startup complete" in self.log.read_text()

    def kill_core(self) -> None:
        """The engine's core dies; the API server lives on."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        [core] = [child for child in children if "EngineCore" in child.name()]
        core.kill()

    def close(self) -> None:
        """Ends it and its children, however it goes."""
        with_children = [self.process.pid, *_children(self.process.pid)]
        super().close()
        for pid in with_children:
            if psutil.pid_exists(pid):
                psutil.Process(pid).kill()


_FIXED = (
    "--host",
    "127.0.0.1",
    "--served-model-name",
    "demo",
    "--max-model-len",
    str(LEN),
    "--enforce-eager",
    "--kv-cache-memory-bytes",
    "300000000",
)


def _children(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
