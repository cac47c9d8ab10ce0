"""The plan on CPUs: each replica's cores, its ranks, and the engine options that are fastest here."""

from typing import Any

from stoker.errors import UsageError
from stoker.planner.cpu import cpu_fit
from stoker.planner.layout import Layout, divides
from stoker.planner.plan import Hardware, Plan, Share
from stoker.planner.request import PlanRequest, engine_env
from stoker.planner.requested import openly
from stoker.spec.nouns import ServeSpec


def plan_cpu(request: PlanRequest) -> Plan:
    """Decides for the cores of one machine. Raises: DoesNotFit, UsageError."""
    offer, asked = request.offer, request.options
    layout = _layout(request)
    lora = request.lora()
    shares, reasons = _shares(request)
    dtype, why = _dtype(offer)
    options: dict[str, Any] = {"dtype": dtype, **_uncompiled(layout)}
    options |= {"tensor-parallel-size": layout.tensor} if layout.tensor > 1 else {}
    options |= {"pipeline-parallel-size": layout.pipeline} if layout.pipeline > 1 else {}
    fit = cpu_fit(
        request.spec,
        request.shape,
        options | lora | dict(asked),
        offer,
        request.most,
        layout,
    )
    options["kv-cache-memory-bytes"] = int(fit.tightest.kv_cache)
    options["max-model-len"] = fit.settings.max_model_len
    chosen = {"dtype": why, **_UNCOMPILED}
    reasons += tuple(why for name, why in chosen.items() if name in options and name not in asked)
    env = engine_env()
    if offer.preload:
        env["LD_PRELOAD"] = ":".join(offer.preload)
    return request.plan(
        shares,
        options | lora,
        env,
        fit=fit,
        strategy=layout.strategy,
        tensor_parallel_size=layout.tensor,
        pipeline_parallel_size=layout.pipeline,
        nodes=layout.nodes,
        reasons=reasons,
        warnings=(*(() if request.shape.known else (openly(request.shape),)), *request.warnings()),
        group=request.group,
    )


_UNCOMPILED = {
    "enforce-eager": "enforce-eager: compiling for a CPU takes minutes at each start",
    "compilation-config": "compilation-config: eager as well; with enforce-eager vLLM skips the warm-up that "
    "a pipeline needs",
}


def _uncompiled(layout: Layout) -> dict[str, Any]:
    """The options that keep vLLM from compiling. A pipeline's stages get their buffers in the warm-up."""
    if layout.pipeline > 1:
        return {"compilation-config": {"mode": 2, "backend": "eager"}}
    return {"enforce-eager": True}


def _layout(request: PlanRequest) -> Layout:
    """Ranks of one replica, each a process: as the options say, or `hardware: cpu:2`, or the strategy; else
    one a node.

    Over several nodes a pipeline stage stands on each, and tensor parallel ranks within one.
    """
    nodes = request.group.nodes if request.group else 1
    tensor, pipeline = (request.options.get(f"{name}-parallel-size") for name in ("tensor", "pipeline"))
    if tensor is not None or pipeline is not None:
        _check_spread(int(pipeline or 1) * int(tensor or 1), nodes)
        return Layout(nodes, int(pipeline or 1), int(tensor or 1))
    count = _ranks(request.spec, nodes)
    _check_spread(count, nodes)
    if nodes > 1:
        return Layout(nodes, nodes, count // nodes)
    return _one_node(request, count)


def _ranks(spec: ServeSpec, nodes: int) -> int:
    """Ranks that the file asks for where no size is given: by its hardware, or its strategy."""
    if spec.hardware.gpu == "cpu" and spec.hardware.count:
        return spec.hardware.count
    return max(nodes, 2 if spec.strategy == "tensor-parallel" else 1)


def _check_spread(count: int, nodes: int) -> None:
    """Raises: UsageError, for ranks of which no node has as many as another."""
    if count % nodes:
        raise UsageError(
            f"{count} rank{'s' * (count > 1)} cannot be spread over {nodes} nodes",
            at="engine.tensor-parallel-size",
            why="each node has as many",
            fix=f"tensor-parallel-size: {nodes}, or pipeline-parallel-size: {nodes}",
        )


def _one_node(request: PlanRequest, count: int) -> Layout:
    """Tensor parallel ranks where they divide the model, else stages. Raises: UsageError."""
    if request.spec.strategy == "multi-node":
        raise UsageError(
            "strategy multi-node needs more hosts than this one",
            at="strategy",
            why="one node was named",
            fix="`stoker up --nnodes 2 --node-rank R --master-addr A` on each host",
        )
    if divides(request.shape, count) is None:
        return Layout(tensor=count)
    if count > request.shape.layers:
        raise UsageError(
            f"{count} ranks are more than the model's {request.shape.layers} layers",
            at="hardware",
            why="each stage of a pipeline takes a layer at least",
            fix=f"hardware: cpu:{request.shape.layers}, or less",
        )
    return Layout(pipeline=count)


def _shares(request: PlanRequest) -> tuple[tuple[Share, ...], tuple[str, ...]]:
    """The cores of the replicas there are, out of a split among as many as there may be."""
    offer, most = request.offer, request.most
    if most <= request.count:
        return _split(offer.cores, request.count, request.rebind, request.before)
    shares, reasons = _split(offer.cores, most, True, ())
    runs = f"shared out for {most} replicas, of which {request.count} run"
    return shares[: request.count], (*reasons, runs)


def _split(
    cores: tuple[int, ...], count: int, rebind: bool, before: tuple[Share, ...]
) -> tuple[tuple[Share, ...], tuple[str, ...]]:
    """Each replica's cores. Where there are more replicas than cores, all are shared."""
    names = [str(n + 1) for n in range(count)]
    if before and not rebind:
        kept = {share.name: share for share in before}
        shares = tuple(kept.get(name) or Share(name, cores, shared=True) for name in names)
        return shares, ("cores are shared: running replicas keep theirs (--no-rebind)",)
    if count > len(cores):
        return tuple(Share(name, cores, shared=True) for name in names), (
            f"{count} replicas share {len(cores)} cores: there are more replicas than cores",
        )
    each, more = divmod(len(cores), max(1, count))
    out, at = [], 0
    for index, name in enumerate(names):
        size = each + (index < more)
        out.append(Share(name, cores[at : at + size]))
        at += size
    why = f"{len(cores)} cores, {each}{f' or {each + 1}' if more else ''} a replica, threads bound to them"
    return tuple(out), (why,)


def _dtype(offer: Hardware) -> tuple[str, str]:
    for flag, name in (("amx_bf16", "AMX"), ("avx512_bf16", "AVX512-BF16")):
        if flag in offer.features:
            return "bfloat16", f"bfloat16: this CPU multiplies it in hardware ({name})"
    return "float32", "float32: faster than bfloat16 on a CPU without AVX512-BF16 or AMX"
