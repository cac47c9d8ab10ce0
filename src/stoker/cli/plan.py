"""`stoker plan`: what would run, here or on hardware that is only asked for, and why."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click

from stoker.cli.common import SpecOptions, output_option, read_spec, spec_options
from stoker.cli.plan_json import as_json
from stoker.cli.printing import print_json
from stoker.cli.typed import program, source_words
from stoker.errors import DoesNotFit, UsageError
from stoker.operate.plan import compare, plan
from stoker.planner.explain import explain
from stoker.planner.plan import Plan
from stoker.render.command import shown
from stoker.spec.nouns import ServeSpec
from stoker.spec.overrides import Flag
from stoker.ui.terminal import ProgressPrinter

# vLLM's own options that bear on memory, under their own names
_OPTIONS = {
    "max-model-len": "Longest request, prompt and answer together.",
    "gpu-memory-utilization": "Share of a GPU's memory that vLLM may use.",
    "tensor-parallel-size": "Ranks that share each layer.",
    "pipeline-parallel-size": "Stages that hold the layers in turn.",
    "dtype": "Dtype of weights and activations.",
    "quantization": "How weights are quantized as they are loaded.",
    "kv-cache-dtype": "Dtype of the KV cache.",
    "kv-cache-memory-bytes": "Size of the KV cache, instead of what is left.",
    "max-num-batched-tokens": "Tokens of one batch.",
    "max-num-seqs": "Requests of one batch.",
    "block-size": "Tokens of one KV block.",
}
_SHORT = {"tensor-parallel-size": ("-tp",), "pipeline-parallel-size": ("-pp",), "quantization": ("-q",)}


def _finite(value: float) -> float:
    """NaN is in no range, and passes every one."""
    if not math.isfinite(value):
        raise click.BadParameter(f"{value} is no number of requests")
    return value


def _engine_options(function: Callable[..., Any]) -> Callable[..., Any]:
    function = click.option("--enforce-eager", is_flag=True, help="vLLM's: no CUDA graphs.")(function)
    for name, text in reversed(_OPTIONS.items()):
        function = click.option(f"--{name}", *_SHORT.get(name, ()), help=f"vLLM's: {text}")(function)
    return function


@click.command("plan")
@click.argument("model", required=False)
@click.option(
    "--model", "named", metavar="MODEL", help="The model: a folder, its config.json, hf://org/repo."
)
@click.option("--gpu", help="Plan for this GPU, wherever it is: `l4`, `h100-80gb`, `nvidia-l4`.")
@click.option("--gpus", metavar="N", help="GPUs a replica. Default: the fewest that serve the model.")
@click.option("--machine", help="Plan for this machine type, such as `g2-standard-48`.")
@click.option("--engine-version", metavar="V", help="vLLM's release. Default: the file's.")
@click.option(
    "--concurrency",
    type=click.FloatRange(min=0, max=1_000_000, min_open=True),
    default=1.0,
    callback=lambda _context, _option, value: _finite(value),
    help="Requests of the longest length at once. Default: 1.",
)
@click.option("--compare", "compared", metavar="GPU,GPU", help="Several GPUs side by side.")
@_engine_options
@spec_options
@output_option("table", "json")
def command(
    model: str | None,
    named: str | None,
    gpu: str | None,
    gpus: str | None,
    machine: str | None,
    engine_version: str | None,
    concurrency: float,
    compared: str | None,
    enforce_eager: bool,
    asked: SpecOptions,
    output: str,
    **engine: str | None,
) -> None:
    """Decides without running: how the model spreads over GPUs, memory, what it holds, the price, and why.

    With --gpu, --machine or --compare the plan is for that hardware, and no weights are read.
    """
    if model and named:
        raise UsageError("a model is named twice", why=f"{model} and --model {named}", fix="name one")
    model = model or named
    if gpu and not gpus:
        gpu, _, gpus = gpu.partition(":")
    engine["enforce_eager"] = "true" if enforce_eager else None
    release = _flags({"version": engine_version}, "engine", {"version": "--engine-version"})
    sets = (*asked.sets, *_hardware(gpu, gpus, machine), *release, *_flags(engine, "engine", {}))
    spec = read_spec(model, replace(asked, sets=sets))
    if compared:
        return _compare(spec, compared, concurrency, output)
    elsewhere = bool(gpu or machine or (gpus and spec.hardware.gpu)) or spec.target == "kubernetes"
    printer = ProgressPrinter()
    decided = plan(spec, asked=elsewhere, concurrency=concurrency, report=printer)
    printer.done()
    if output == "json":
        return print_json(as_json(decided))
    return click.echo(text(decided, elsewhere, source_words(model, asked.file)))


def _hardware(gpu: str | None, gpus: str | None, machine: str | None) -> tuple[str, ...]:
    """The hardware that is asked for, as fields; the file's count and price are of other hardware."""
    others = (Flag("--gpu" if gpu else "--machine", "hardware", ""),) if gpu or machine else ()
    named = {"gpu": gpu, "count": gpus or None, "machine": machine}
    return (*others, *_flags(named, "hardware", {"count": "--gpus"}))


def _flags(values: dict[str, str | None], table: str, labels: dict[str, str]) -> tuple[str, ...]:
    """The options that were given, as fields of a table of the file."""
    return tuple(
        Flag(labels.get(name, f"--{name}"), f"{table}.{name}", value)
        for name, value in ((name.replace("_", "-"), value) for name, value in values.items())
        if value is not None
    )


FIELDS = {
    "name": "the fleet's name",
    "spec": "the spec, whole",
    "strategy": "`single-gpu`, `tensor-parallel` or `multi-node`",
    "tensor_parallel_size": "ranks that share each layer",
    "pipeline_parallel_size": "stages that hold the layers in turn",
    "nodes": "hosts of one replica",
    "gpus_per_replica": "ranks of one replica: GPUs, or processes on a CPU",
    "gpu": "the catalog's name of the GPU that was asked; null for what is here",
    "machine": "the machine type that holds a node's GPUs, if the catalog has one",
    "replicas": "list of {name, cores, gpus, shared}: what each replica gets here",
    "parameters": "of the model, all of them",
    "memory": "bytes of one rank: {total, usable, weights, activations, cuda_graphs, other, lora, kv_cache, "
    "kv_cache_band}; lora stands "
    "where there are adapters; "
    "usable is the sum of the parts and kv_cache, unless an option sets the cache's size; kv_cache_band is "
    "how far "
    "kv_cache may be off, either way",
    "memory_items": "list of {name, bytes, band, formula, source}",
    "kv_cache_tokens": "tokens that the KV cache holds, as vLLM's log counts them",
    "kv_cache_blocks": "its blocks",
    "max_concurrency": "requests of max_model_len at once",
    "max_model_len": "tokens of the longest request; null where vLLM decides it",
    "vllm_args": "list of words: vLLM's options",
    "command": "the engine's plain command line: `vllm serve …`, or the simulated engine's",
    "env": "environment of the engine",
    "cost_per_hour": "dollars for one replica; null where no page at hand states the price",
    "reasons": "list of sentences",
    "rejected": "list of {tensor_parallel_size, pipeline_parallel_size, nodes, why}: smaller layouts that do "
    "not do",
    "measured": "what vLLM printed at the last start of this plan here (GiB of one rank, tokens), with its "
    "date; or null",
    "startup": "list of {phase, seconds, known, source}: a replica's start until its first token; known is "
    "`measured`, at the last start of this plan here, or `default`; empty where nothing is computed",
    "warnings": "list of sentences",
}


def text(plan: Plan, asked: bool = False, words: str = "") -> str:
    """The plan as a person reads it, and what comes next; `words` lead a verb to the same model or file."""
    count, me = plan.replicas, program()
    if asked:
        following = f"`{me} plan{words} --compare l4,a100-80gb,h100-80gb` shows other GPUs"
    else:
        following = (
            f"`{me} up{words}` starts {count} engine{'s' * (count != 1)} and the endpoint on port "
            f"{plan.spec.endpoint.port}"
        )
    return f"{explain(plan, shown(plan))}\n  {'next':<10} {following}"


def _compare(spec: ServeSpec, names: str, concurrency: float, output: str) -> None:
    asked = [name.strip() for name in names.split(",") if name.strip()]
    if not asked:
        raise UsageError(
            "--compare names no GPU",
            why="expected names with commas between them",
            fix="--compare l4,h100-80gb",
        )
    found = compare(spec, asked, concurrency=concurrency)
    if output == "json":
        print_json(
            [
                as_json(one)
                if isinstance(one, Plan)
                else {"gpu": name, "fits": False, "why": one.finding.why}
                for name, one in found
            ]
        )
        return
    rows: list[tuple[str, ...]] = [
        ("GPU", "STRATEGY", "WEIGHTS", "KV CACHE", "HOLDS", "AT ONCE", "$/H REPLICA")
    ]
    rows += [_row(name, one) for name, one in found]
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    first = next((one for _, one in found if isinstance(one, Plan)), None)
    if first is not None and first.shape is not None:
        click.echo(
            f"{spec.name}   {spec.model.served_name}, {first.shape.parameters / 1e9:.1f} B, vLLM "
            f"{spec.engine.version}"
        )
    for row in rows:
        click.echo(
            "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )
    for note in first.warnings if first is not None else ():
        if note.startswith("the shape is"):
            click.echo(f"  note: {note}")
    if first is None:
        raise next(one for _, one in found if isinstance(one, DoesNotFit))


def _row(name: str, one: Plan | DoesNotFit) -> tuple[str, ...]:
    if isinstance(one, DoesNotFit):
        return (name, "does not fit", "", "", "", "", one.finding.why)
    assert one.memory is not None
    cost = f"{one.cost_per_hour:.2f}" if one.cost_per_hour is not None else "unknown"
    length = one.fit.settings.max_model_len if one.fit else 0
    return (
        f"{one.gpus_per_replica} x {name.partition(':')[0]}",
        str(one.fit.layout) if one.fit else "",
        str(one.memory.size("weights")),
        str(one.memory.kv_cache),
        f"{one.kv_cache_tokens:,} tokens",
        f"{one.max_concurrency:.1f} of {length:,}",
        cost,
    )
