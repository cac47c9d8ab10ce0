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
from stoker.units import Tokens

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
    done = subprocess.run(argv, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    read: dict[str, Any] = json.loads(done.stdout)
    if read["release"] not in vllm.KNOWN:
        pytest.skip(f"the installed vLLM {read['release']} is not in the catalog")
    return read


def checked_in(part: str) -> Any:
    path = ROOT / f"src/stoker/catalog/data/vllm-{said()['release']}.json"
    return json.loads(path.read_text(encoding="utf-8"))[part]


PARSE = """
import json, sys
from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser = make_arg_parser(FlexibleArgumentParser())
refused = {}
def error(message): raise ValueError(message)
parser.error = error
for argv in json.load(sys.stdin):
    try:
        parser.parse_args(list(argv))
    except ValueError as why:
        refused[" ".join(argv)] = str(why)
print(json.dumps(refused))
"""
SAMPLES = {
    "int": [1],
    "float": [0.5],
    "str": ["text"],
    "tokens": [1024, "32K", Tokens(32768)],
    "bool": [True, False],
}
# Their text is checked by more than its kind.
PARTICULAR = {"config", "lora-modules", "middleware"}


def values(option: vllm.Option) -> list[Any]:
    ones: list[Any] = [{}] if option.dotted else [["*"]] if option.kind == "json" else SAMPLES[option.kind]
    ones = list(option.choices) or ones
    return [*ones, ones] if option.many else ones


def test_options() -> None:
    assert said()["options"] == checked_in("options")


@pytest.mark.parametrize("part", ["quantizations", "not_in_float16"])
def test_what_it_computes(part: str) -> None:
    assert said()[part] == checked_in(part)


def test_routes() -> None:
    assert said()["routes"] == checked_in("routes")


def test_vllm_takes_every_option_as_it_is_written() -> None:
    options = [o for o in vllm.release(said()["release"]).options.values() if o.name not in PARTICULAR]
    written = [(o, value) for o in options for value in values(o)]
    assert [(o.name, value, why) for o, value in written if (why := o.check(value))] == []
    argv = json.dumps([o.argv(value) for o, value in written])
    done = subprocess.run(
        [sys.executable, "-c", PARSE], input=argv, capture_output=True, text=True, timeout=400, check=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == {}
