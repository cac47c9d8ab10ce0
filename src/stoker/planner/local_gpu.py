"""The plan on the GPUs of one machine, or of the nodes of a group: the layout, and each replica's GPUs."""

from dataclasses import replace

from stoker.catalog.gpus import GpuType, by_device_name
from stoker.errors import DoesNotFit
from stoker.planner.capability import gpu_warning
from stoker.planner.plan import Hardware, Plan, Share
from stoker.planner.reasons import reasons_of
from stoker.planner.request import PlanRequest, engine_env
from stoker.planner.requested import added_options, ask_of, does_not_fit, unsure
from stoker.planner.search import Choice, choose


def plan_gpus(request: PlanRequest) -> Plan:
    """Decides for the GPUs of one machine. Raises: DoesNotFit, UsageError."""
    if request.group is not None:
        return _plan_group(request, request.group.nodes)
    spec, shape, offer, count = request.spec, request.shape, request.offer, request.count
    kind, ray = _kind(offer), _on_ray(request)
    least = int(request.options.get("tensor-parallel-size", spec.hardware.count or 1))
    if least * count > len(offer.gpus) and not ray:
        raise _too_few(offer, count, least)
    most = max(count, min(request.most, len(offer.gpus) // least))
    ask = ask_of(spec, shape, kind, max(1 if ray else least, len(offer.gpus) // max(1, most)), 1.0)
    choice = choose(shape, ask)
    if choice.fit is None:
        raise does_not_fit(spec, shape, ask, choice)
    each = choice.fit.layout.gpus
    if each * count > len(offer.gpus) and not ray:
        raise _too_few(offer, count, each)
    shares = tuple(
        Share(str(n + 1), gpus=() if ray else tuple(g.index for g in offer.gpus[n * each : (n + 1) * each]))
        for n in range(count)
    )
    here = f"{each} GPU{'s' * (each > 1)} a replica, on {offer}"
    return _decided(request, kind, choice, shares, (here,), nnodes=not ray, nodes=1)


def _plan_group(request: PlanRequest, nodes: int) -> Plan:
    """One replica over as many nodes as the group has, each like this one."""
    spec, offer = request.spec, request.offer
    kind, per_node = _kind(offer), len(offer.gpus)
    count = spec.hardware.count or per_node * nodes
    asked = replace(spec, hardware=replace(spec.hardware, count=count), strategy="multi-node")
    ask = ask_of(asked, request.shape, kind, max(1, count // nodes), 1.0)
    choice = choose(request.shape, ask)
    if choice.fit is None or choice.fit.layout.nodes != nodes:
        raise does_not_fit(spec, request.shape, ask, choice)
    here = choice.fit.layout.gpus // nodes
    if here > per_node:
        raise _too_few(offer, 1, here)
    share = Share("1", gpus=tuple(gpu.index for gpu in offer.gpus[:here]))
    return _decided(request, kind, choice, (share,), (), nnodes=False, nodes=nodes)


def _decided(
    request: PlanRequest,
    kind: GpuType,
    choice: Choice,
    shares: tuple[Share, ...],
    here: tuple[str, ...],
    *,
    nnodes: bool,
    nodes: int,
) -> Plan:
    """nnodes: whether the option is the plan's to write; Ray knows its nodes, a group writes each node's."""
    spec, shape, fit = request.spec, request.shape, choice.fit
    assert fit is not None
    options = added_options(spec, shape, kind, choice, fit) | request.lora()
    if not nnodes:
        options.pop("nnodes", None)
    return request.plan(
        shares,
        options,
        engine_env(),
        fit=fit,
        strategy=fit.layout.strategy,
        tensor_parallel_size=fit.layout.tensor,
        pipeline_parallel_size=fit.layout.pipeline,
        nodes=nodes,
        rejected=choice.rejected,
        reasons=(*reasons_of(spec, shape, kind, choice, fit), *here),
        warnings=(
            *unsure(shape, fit),
            *request.warnings(),
            *gpu_warning(spec, shape, kind, options),
        ),
        group=request.group,
    )


def _on_ray(request: PlanRequest) -> bool:
    """Whether vLLM places the ranks on a Ray cluster, which knows its own GPUs."""
    return request.options.get("distributed-executor-backend") == "ray"


def _too_few(offer: Hardware, count: int, each: int) -> DoesNotFit:
    return DoesNotFit(
        f"{count} replica{'s' * (count > 1)} of {each} GPU{'s' * (each > 1)} need {each * count}",
        why=f"this machine has {offer}",
        fix=f"replicas: {max(0, len(offer.gpus) // each)}, or fewer GPUs a replica",
        at="replicas",
        rule="fit-gpus",
    )


def _kind(offer: Hardware) -> GpuType:
    """The catalog's GPU of that name, with the memory that is really here; a nameless one where it has
    none."""
    here = min(offer.gpus, key=lambda gpu: gpu.memory)
    found = by_device_name(here.name)
    if found is None:
        return GpuType(
            here.name, here.name, (), "nvidia", here.memory, 0, {"bf16": 0, "fp16": 0}, "pcie", 0, "", (), ""
        )
    return replace(found, memory=min(found.memory, here.memory))
