"""The programs of an engine's pod in a folder, as its ConfigMap mounts them, and how the probe and the
preStop run."""

import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from tests.golden.cases import CASES
from tests.support.manifests import one, rendered

SCRIPTS = Path(__file__).resolve().parents[2] / "src/stoker/render/manifests/scripts"


def module(name: str) -> ModuleType:
    """One of the programs, here."""
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


stoker_ask = module("stoker_ask")


@dataclass(frozen=True)
class Programs:
    """etc: where they are mounted; shared: the folder of the container in which they and the engine meet."""

    etc: Path
    shared: Path

    @property
    def env(self) -> dict[str, str]:
        """What the container's processes have in common."""
        return {
            **os.environ,
            "PYTHONPATH": str(self.etc),
            "STOKER_WITNESS": str(self.shared),
            "STOKER_CANARY": "3600",
        }

    def start(self, *argv: str) -> "subprocess.Popen[str]":
        """A program by its file's name."""
        words = [sys.executable, str(self.etc / argv[0]), *argv[1:]]
        return subprocess.Popen(
            words, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def run(self, *argv: str) -> tuple[int, str]:
        """The same, until its end: exit code, and what it said."""
        with self.start(*argv) as process:
            said, _ = process.communicate(timeout=60)
        return process.returncode, said


def programs(folder: Path) -> Programs:
    """Writes them there."""
    etc = folder / "etc"
    etc.mkdir()
    for name, text in one(rendered(*CASES["api-key"]), "ConfigMap")["data"].items():
        (etc / name).write_text(text)
    return Programs(etc, folder / "w")
