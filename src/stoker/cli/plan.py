"""`stoker plan`: what would run here, and why."""

import click

from stoker.cli.common import output_option, print_json, read_spec, spec_options
from stoker.operate.plan import plan
from stoker.planner.plan import Plan
from stoker.render.command import shown
from stoker.spec import dump
from stoker.ui.terminal import Story


@click.command("plan")
@click.argument("model", required=False)
@spec_options
@output_option("table", "json")
def command(
    model: str | None,
    file: str | None,
    sets: tuple[str, ...],
    target: str | None,
    namespace: str | None,
    output: str,
) -> None:
    """Decides without running: shares of cores or GPUs, memory, the engine's options, and the reasons."""
    story = Story()
    decided = plan(read_spec(model, file, sets, target, namespace), report=story)
    story.done()
    print_json(as_json(decided)) if output == "json" else click.echo(text(decided))


def as_json(plan: Plan) -> dict[str, object]:
    """The plan's stable fields; sizes are bytes."""
    return {
        "name": plan.spec.name,
        "spec": dump(plan.spec),
        "strategy": plan.strategy,
        "tensor_parallel_size": plan.tensor_parallel_size,
        "pipeline_parallel_size": plan.pipeline_parallel_size,
        "replicas": [
            {"name": s.name, "cores": s.cores, "gpus": s.gpus, "shared": s.shared} for s in plan.shares
        ],
        "memory": {name.replace(" ", "_").lower(): int(size) for name, size in plan.memory},
        "kv_cache_tokens": plan.kv_cache_tokens,
        "max_model_len": plan.max_model_len,
        "command": shown(plan),
        "env": dict(plan.env),
        "reasons": list(plan.reasons),
        "warnings": list(plan.warnings),
    }


def text(plan: Plan) -> str:
    """The plan as a person reads it."""
    lines = [
        f"{plan.spec.name}   {plan.spec.model.served_name} on {plan.hardware}, vLLM {plan.spec.engine.version}"
    ]
    rows = [
        ("strategy", plan.strategy.replace("-", " ")),
        ("replicas", f"{plan.replicas}: " + "; ".join(map(str, plan.shares))),
    ]
    if plan.memory:
        rows.append(
            ("memory", "  ".join(f"{name} {size}" for name, size in plan.memory) + "  a replica, estimated")
        )
    if plan.kv_cache_tokens and (length := plan.max_model_len):
        rows.append(
            (
                "holds",
                f"{plan.kv_cache_tokens:,} tokens: {plan.kv_cache_tokens / max(1, length):.1f} requests of {length:,} at once",
            )
        )
    rows += [("why", reason) for reason in plan.reasons]
    rows.append(("runs", shown(plan)))
    rows += [("with", f"{name}={value}") for name, value in plan.env.items()]
    rows += [("note", warning) for warning in plan.warnings]
    rows.append(
        (
            "next",
            f"`stoker up` starts {plan.replicas} engine{'s' * (plan.replicas != 1)} and the endpoint on port {plan.spec.endpoint.port}",
        )
    )
    last = ""
    for label, value in rows:
        lines.append(f"  {label if label != last else '':<10} {value}")
        last = label
    return "\n".join(lines)
