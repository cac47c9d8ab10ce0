"""The command line: vLLM's own where it matters, and `--simulate`. The rest is ignored: checked before."""

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from stoker.engine.scheduler import Policy, SchedulerLimits
from stoker.targets.simulated.faults import ControlFile, Simulation, parse
from stoker.units import Tokens

VERSION = "0.32.0"
CONTROL = "STOKER_SIMULATE_FILE"  # stands for `--simulate-file`: a fleet writes the command line itself
_DEFAULT_MAX_LEN = 8192
BATCHED_TOKENS = 2048  # of a step, unless it is said otherwise


@dataclass(frozen=True, slots=True)
class Options:
    """What the process was asked to serve, and how. `given` is what vLLM calls its non-default arguments.

    tools, parser: whether it can choose tools by itself, and read their calls. pooling: it serves embeddings
    instead of chats. developing: it has vLLM's routes for administration.
    """

    model: str
    names: tuple[str, ...]
    host: str | None
    port: int
    max_model_len: int
    max_num_seqs: int
    max_num_batched_tokens: int | None
    scheduling_policy: Policy
    prefix_caching: bool
    block_size: int
    loras: tuple[tuple[str, str], ...]
    shutdown_timeout: float
    request_id_headers: bool
    api_key: str | None
    tools: bool
    parser: bool
    pooling: bool
    developing: bool
    simulation: Simulation
    control: ControlFile | None
    given: dict[str, Any] = field(default_factory=dict)

    @property
    def limits(self) -> SchedulerLimits:
        """What the scheduler of an engine with a profile is told; its first block is never given out, as in
        vLLM. Raises: ValueError, for what vLLM refuses too."""
        tokens = self.max_num_batched_tokens
        return SchedulerLimits(
            num_gpu_blocks=self.simulation.kv_blocks + 1,
            max_model_len=self.max_model_len,
            max_num_batched_tokens=max(BATCHED_TOKENS, self.max_num_seqs) if tokens is None else tokens,
            max_num_seqs=self.max_num_seqs,
            block_size=self.block_size,
            policy=self.scheduling_policy,
            enable_prefix_caching=self.prefix_caching,
        )

    @property
    def fingerprint(self) -> str:
        """What answers carry as `system_fingerprint`: the release, and eight digits out of the
        configuration."""
        return f"vllm-{VERSION}-{sha256(f'{self.model} {self.max_model_len}'.encode()).hexdigest()[:8]}"


def read(argv: Sequence[str], environ: dict[str, str] | None = None) -> Options:
    """Reads the command line, `VLLM_API_KEY` and `STOKER_SIMULATE_FILE`. Exits with 2 and argparse's message
    where it cannot."""
    environ = dict(os.environ) if environ is None else environ
    parser = _parser()
    args, _ = parser.parse_known_args([_dashed(word) for word in argv if word != "serve" or argv[0] != word])
    model = args.model_tag or args.model or "simulated"
    try:
        base = parse(args.simulate)
        file = (args.simulate_file or environ.get(CONTROL, "")).replace("{pid}", str(os.getpid()))
        control = ControlFile(Path(file), base) if file else None
        simulation = (control and control.poll()) or base
        loras = tuple(_lora(text) for text in args.lora_modules)
        max_model_len = _max_len(args.max_model_len, model)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    return Options(
        model=model,
        names=tuple(args.served_model_name or [model]),
        host=args.host,
        port=args.port,
        max_model_len=max_model_len,
        max_num_seqs=args.max_num_seqs,
        max_num_batched_tokens=args.max_num_batched_tokens,
        scheduling_policy=args.scheduling_policy,
        prefix_caching=args.enable_prefix_caching,
        block_size=args.block_size,
        loras=loras,
        shutdown_timeout=args.shutdown_timeout,
        request_id_headers=args.enable_request_id_headers,
        api_key=environ.get("VLLM_API_KEY") or None,
        tools=args.enable_auto_tool_choice and args.tool_call_parser is not None,
        parser=args.tool_call_parser is not None,
        pooling=args.runner == "pooling",
        developing=environ.get("VLLM_SERVER_DEV_MODE") == "1",
        simulation=simulation,
        control=control,
        given=_given(args, parser),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m stoker.targets.simulated", allow_abbrev=False)
    parser.add_argument("model_tag", nargs="?", metavar="MODEL")
    parser.add_argument("--model")
    parser.add_argument("--host")
    parser.add_argument("--port", type=int, default=8000, help="0: the system chooses, the log says which")
    parser.add_argument("--served-model-name", nargs="+")
    parser.add_argument("--max-model-len")
    parser.add_argument("--max-num-seqs", type=int, default=256)
    parser.add_argument("--max-num-batched-tokens", type=int)
    parser.add_argument("--scheduling-policy", choices=("fcfs", "priority"), default="fcfs")
    parser.add_argument("--enable-prefix-caching", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--block-size", type=int, default=16)
    parser.add_argument("--lora-modules", nargs="+", default=[], metavar="NAME=PATH")
    parser.add_argument("--chat-template")
    parser.add_argument("--shutdown-timeout", type=float, default=0.0)
    parser.add_argument("--enable-request-id-headers", action="store_true")
    parser.add_argument(
        "--disable-access-log-for-endpoints", metavar="PATHS", help="it logs no request at all"
    )
    parser.add_argument("--enable-auto-tool-choice", action="store_true")
    parser.add_argument("--tool-call-parser")
    parser.add_argument("--runner", default="auto")
    parser.add_argument("--simulate", default="{}", metavar="JSON", help="timings, size and faults")
    parser.add_argument("--simulate-file", metavar="PATH", help="the same, read again whenever it changes")
    return parser


def _dashed(word: str) -> str:
    """vLLM takes `--max_model_len` for `--max-model-len`."""
    name, equals, value = word.partition("=")
    return name.replace("_", "-") + equals + value if word.startswith("--") else word


def _max_len(text: str | None, model: str) -> int:
    """Tokens a sequence may hold: as asked, else the model's own, else 8192."""
    if text is not None and text not in ("auto", "-1"):
        return int(Tokens.parse(text))
    try:
        config = json.loads((Path(model) / "config.json").read_text())
        return int(config["max_position_embeddings"])
    except (OSError, ValueError, KeyError, TypeError):
        return _DEFAULT_MAX_LEN


def _lora(text: str) -> tuple[str, str]:
    """`name=path`, or vLLM's JSON form with `name` and `path`."""
    if text.startswith("{"):
        data = json.loads(text)
        return str(data["name"]), str(data["path"])
    name, equals, path = text.partition("=")
    if not equals:
        raise ValueError(f"{text!r} is no adapter: expected NAME=PATH")
    return name, path


def _given(args: argparse.Namespace, parser: argparse.ArgumentParser) -> dict[str, Any]:
    ours = ("simulate", "simulate_file")
    items = ((name, value) for name, value in vars(args).items() if name not in ours)
    return {name: value for name, value in items if value != parser.get_default(name)}
