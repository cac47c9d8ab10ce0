"""What is checked in about vLLM is what the installed vLLM says of itself."""

import importlib.util
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest

from stoker.catalog import releases, vllm
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


def checked_in(part: releases.Kind) -> Any:
    return dict(releases.facts(part, said()["release"]))


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


@pytest.mark.parametrize("part", [one for one in get_args(releases.Kind) if one != "options"])
def test_what_is_beside_its_options(part: releases.Kind) -> None:
    assert said()[part] == checked_in(part)


SERVED = """
import os
os.environ |= {"VLLM_SERVER_DEV_MODE": "1", "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1"}
import json
from typing import get_args
from vllm.entrypoints.launchers.app import build_app
from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.reasoning import ReasoningParserManager
from vllm.tasks import SupportedTask
from vllm.tool_parsers import ToolParserManager
from vllm.utils.argparse_utils import FlexibleArgumentParser
args = make_arg_parser(FlexibleArgumentParser()).parse_args([])
paths = [route.path for route in build_app(args, get_args(SupportedTask), None).routes]
tool, reasoning = ToolParserManager.list_registered(), ReasoningParserManager.list_registered()
print(json.dumps([sorted(paths), sorted(tool), sorted(reasoning)]))
"""


def test_what_runs_is_among_what_was_read() -> None:
    """Read from the sources: routes and parsers; held against the application and the registries."""
    done = subprocess.run(
        [sys.executable, "-c", SERVED], capture_output=True, text=True, timeout=400, check=True
    )
    paths, tool, reasoning = json.loads(done.stdout.splitlines()[-1])
    assert set(paths) <= set(checked_in("routes"))
    assert tool == sorted(checked_in("tool_parsers"))
    assert reasoning == sorted(checked_in("reasoning_parsers"))


def test_metrics_of_a_running_engine() -> None:
    """The checked-in page is of an engine with --enable-mfu-metrics."""
    page = (ROOT / "tests/data/metrics/vllm-0.32.txt").read_text(encoding="utf-8")
    typed = re.findall(r"^# TYPE (vllm:\S+) (\S+)$", page, re.M)
    found = {name: kind for name, kind in typed if not name.endswith("_created")}
    release = vllm.release("0.32.0")
    behind = {name for name, feature in release.features.items() if feature == "enable-mfu-metrics"}
    assert found == {n: k for n, k in release.families.items() if n in release.metrics or n in behind}


def test_vllm_takes_every_option_as_it_is_written() -> None:
    options = [o for o in vllm.release(said()["release"]).options.values() if o.name not in PARTICULAR]
    written = [(o, value) for o in options for value in values(o)]
    assert [(o.name, value, why) for o, value in written if (why := o.check(value))] == []
    argv = json.dumps([o.argv(value) for o, value in written])
    done = subprocess.run(
        [sys.executable, "-c", PARSE], input=argv, capture_output=True, text=True, timeout=400, check=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == {}
