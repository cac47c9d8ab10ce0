"""What is checked in about vLLM is what the installed vLLM says of itself."""

import importlib.util
import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from stoker.catalog import vllm

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(
        importlib.util.find_spec("vllm") is None, reason="vLLM is not installed in this environment"
    ),
]


@cache
def said() -> dict[str, Any]:
    argv = [sys.executable, str(ROOT / "tools/read_vllm.py"), "-"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    read: dict[str, Any] = json.loads(done.stdout)
    if read["release"] not in vllm.KNOWN:
        pytest.skip(f"the installed vLLM {read['release']} is not in the catalog")
    return read


def checked_in(part: str) -> Any:
    path = ROOT / f"src/stoker/catalog/data/vllm-{said()['release']}.json"
    return json.loads(path.read_text(encoding="utf-8"))[part]


def test_options() -> None:
    assert said()["options"] == checked_in("options")


def test_routes() -> None:
    assert said()["routes"] == checked_in("routes")
