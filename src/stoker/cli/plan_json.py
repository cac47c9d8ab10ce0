"""A plan as `-o json` has it."""

from stoker.planner.fit import Fit
from stoker.planner.items import MemoryItem
from stoker.planner.plan import Plan
from stoker.planner.startup import StartPhase, startup
from stoker.render.command import option_words, shown
from stoker.spec import dump


def as_json(plan: Plan) -> dict[str, object]:
    """What was decided. memory, kv_cache_tokens and the like are null where nothing is computed (simulated
    engines)."""
    return {**_chosen(plan), **_held(plan), **_run(plan)}


def _chosen(plan: Plan) -> dict[str, object]:
    """The spec, and how its replicas spread over hardware."""
    return {
        "name": plan.spec.name,
        "spec": dump(plan.spec),
        "strategy": plan.strategy,
        "tensor_parallel_size": plan.tensor_parallel_size,
        "pipeline_parallel_size": plan.pipeline_parallel_size,
        "nodes": plan.nodes,
        "gpus_per_replica": plan.gpus_per_replica,
        "gpu": plan.hardware.gpu_type.key if plan.hardware.gpu_type else None,
        "machine": str(plan.hardware.machine) if plan.hardware.machine else None,
        "replicas": _replicas(plan),
    }


def _held(plan: Plan) -> dict[str, object]:
    """What the model takes of a rank's memory, and the requests that the rest holds."""
    return {
        "parameters": plan.shape.parameters if plan.shape else None,
        "memory": _memory(plan),
        "memory_items": [_item(one) for one in (plan.memory.items if plan.memory else ())],
        "kv_cache_tokens": plan.kv_cache_tokens,
        "kv_cache_blocks": plan.kv_cache_blocks,
        "max_concurrency": plan.max_concurrency and round(plan.max_concurrency, 4),
        "max_model_len": plan.max_model_len,
    }


def _run(plan: Plan) -> dict[str, object]:
    """What is run, at which price, and why so and not otherwise."""
    return {
        "vllm_args": list(option_words(plan)),
        "command": shown(plan),
        "env": dict(plan.env),
        "cost_per_hour": plan.cost_per_hour,
        "reasons": list(plan.reasons),
        "rejected": [_rejected(one) for one in plan.rejected],
        "measured": plan.measured,
        "startup": [_phase(one) for one in startup(plan)],
        "warnings": list(plan.warnings),
    }


def _phase(one: StartPhase) -> dict[str, object]:
    return {"phase": one.name, "seconds": round(one.seconds, 1), "known": one.known, "source": one.source}


def _item(item: MemoryItem) -> dict[str, object]:
    return {
        "name": item.name,
        "bytes": int(item.size),
        "band": int(item.band),
        "formula": item.formula,
        "source": item.source,
    }


def _rejected(one: Fit) -> dict[str, object]:
    return {
        "tensor_parallel_size": one.layout.tensor,
        "pipeline_parallel_size": one.layout.pipeline,
        "nodes": one.layout.nodes,
        "why": one.why,
    }


def _replicas(plan: Plan) -> list[dict[str, object]]:
    if plan.hardware.gpu_type is not None:
        return [{"name": str(n + 1), "cores": (), "gpus": (), "shared": False} for n in range(plan.replicas)]
    return [{"name": s.name, "cores": s.cores, "gpus": s.gpus, "shared": s.shared} for s in plan.shares]


def _memory(plan: Plan) -> dict[str, int] | None:
    """One rank's bytes: the parts and `kv_cache` add up to `usable`, unless the options set the cache's
    size."""
    memory = plan.memory
    if memory is None or plan.fit is None:
        return None
    graphs = memory.size("cuda_graphs") if plan.fit.settings.graphs_counted else 0
    parts = {name: int(memory.size(name)) for name in ("weights", "activations")}
    return {
        "total": int(memory.total),
        "usable": int(memory.usable),
        **parts,
        "cuda_graphs": int(graphs),
        "other": int(memory.size("other")),
        **({"lora": int(memory.size("lora"))} if memory.size("lora") else {}),
        "kv_cache": int(memory.kv_cache),
        "kv_cache_band": int(memory.band),
    }
