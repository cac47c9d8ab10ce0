"""The plan for one machine: the replicas' shares of cores or GPUs, and the engine options that are fastest
here."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from stoker.catalog.gpus import GpuType, by_device_name
from stoker.errors import DoesNotFit, UsageError
from stoker.model.shape import ModelShape
from stoker.planner.capability import gpu_warning
from stoker.planner.checks import at, check_model, check_tensor, placed, release_warning, template_warning
from stoker.planner.cpu import cpu_fit
from stoker.planner.group import Group
from stoker.planner.layout import Layout, divides
from stoker.planner.plan import Adapter, Hardware, Plan, Share
from stoker.planner.requested import added_options, ask_of, does_not_fit, reasons_of, unsure
from stoker.planner.search import choose
from stoker.spec.nouns import ServeSpec

LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # what `--max-lora-rank` of vLLM 0.32 takes


def plan_local(
    spec: ServeSpec,
    shape: ModelShape | None,
    offer: Hardware,
    model_dir: str,
    *,
    replicas: int | None = None,
    rebind: bool = True,
    before: tuple[Share, ...] = (),
    adapters: Mapping[str, Adapter] | None = None,
    group: Group | None = None,
) -> Plan:
    """Decides for this machine. `before` are the shares of a running fleet, kept where `rebind` is off.

    group is this machine's place, where the replica spreads over several.

    Raises: DoesNotFit, where memory or GPUs do not suffice; UsageError, for options that contradict the
    model.
    """
    count = spec.replicas.low if replicas is None else replicas
    if group is not None and count != 1:
        raise UsageError(
            f"a group of {group.nodes} nodes runs one replica, not {count}",
            at=at(spec, "replicas"),
            why="each replica over several hosts is a fleet of its own",
            fix="replicas: 1",
        )
    if spec.engine.kind == "simulated":
        return _simulated(spec, shape, offer, model_dir, count)
    assert shape is not None
    check_model(spec, shape)
    check_tensor(spec, shape, int(spec.engine.options.get("tensor-parallel-size", 1)))
    with placed(spec):
        if offer.gpus:
            return _on_gpus(spec, shape, offer, model_dir, count, adapters or {}, group)
        return _on_cpu(spec, shape, offer, model_dir, count, rebind, before, adapters or {}, group)


def _simulated(
    spec: ServeSpec, shape: ModelShape | None, offer: Hardware, model_dir: str, count: int
) -> Plan:
    shares = tuple(Share(str(n + 1)) for n in range(count))
    why = ("simulated engines: timings are set, nothing is computed",)
    return Plan(
        spec, shape, offer, model_dir, shares, dict(spec.engine.options), dict(spec.engine.env), reasons=why
    )


def _warnings(spec: ServeSpec, shape: ModelShape, offer: Hardware) -> tuple[str, ...]:
    out = []
    asked = spec.hardware
    if (
        asked.gpu
        and asked.gpu != "cpu"
        and not any(asked.gpu.split("-")[0] in g.name.lower() for g in offer.gpus)
    ):
        out.append(f"the file asks for {asked}; this machine has {offer}, and that is used here")
    out += release_warning(spec.engine.version, spec.engine.options, spec.engine.env)
    return (*out, *template_warning(spec, shape))


def _on_cpu(
    spec: ServeSpec,
    shape: ModelShape,
    offer: Hardware,
    model_dir: str,
    count: int,
    rebind: bool,
    before: tuple[Share, ...],
    adapters: Mapping[str, Adapter],
    group: Group | None,
) -> Plan:
    layout = _cpu_layout(spec, shape, group.nodes if group else 1)
    lora = _lora(adapters)
    shares, reasons = _split(offer.cores, count, rebind, before)
    dtype, why = _dtype(offer)
    options: dict[str, Any] = {"dtype": dtype, **_uncompiled(layout)}
    options |= {"tensor-parallel-size": layout.tensor} if layout.tensor > 1 else {}
    options |= {"pipeline-parallel-size": layout.pipeline} if layout.pipeline > 1 else {}
    fit = cpu_fit(
        spec, shape, options | lora | dict(spec.engine.options), offer.memory, max(1, count), layout
    )
    options["kv-cache-memory-bytes"] = int(fit.tightest.kv_cache)
    options["max-model-len"] = fit.settings.max_model_len
    chosen = {"dtype": why, **_UNCOMPILED}
    reasons += tuple(
        reason for name, reason in chosen.items() if name in options and name not in spec.engine.options
    )
    options |= lora
    env = _engine_env()
    if offer.preload:
        env["LD_PRELOAD"] = ":".join(offer.preload)
    return Plan(
        spec,
        shape,
        offer,
        model_dir,
        shares,
        options | dict(spec.engine.options),
        env | dict(spec.engine.env),
        fit,
        layout.strategy,
        layout.tensor,
        layout.pipeline,
        layout.nodes,
        adapters=adapters,
        reasons=reasons,
        warnings=_warnings(spec, shape, offer),
        group=group,
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


def _cpu_layout(spec: ServeSpec, shape: ModelShape, nodes: int) -> Layout:
    """Ranks of one replica, each a process: as the options say, or `hardware: cpu:2`, or the strategy; else
    one a node.

    Over several nodes a pipeline stage stands on each, and tensor parallel ranks within one.
    """
    options, asked = spec.engine.options, spec.hardware
    tensor, pipeline = (options.get(f"{name}-parallel-size") for name in ("tensor", "pipeline"))
    sized = tensor is not None or pipeline is not None
    count = int(pipeline or 1) * int(tensor or 1)
    if not sized:
        least = max(nodes, 2 if spec.strategy == "tensor-parallel" else 1)
        count = asked.count if asked.gpu == "cpu" and asked.count else least
    if count % nodes:
        raise UsageError(
            f"{count} rank{'s' * (count > 1)} cannot be spread over {nodes} nodes",
            at=at(spec, "engine.tensor-parallel-size"),
            why="each node has as many",
            fix=f"tensor-parallel-size: {nodes}, or pipeline-parallel-size: {nodes}",
        )
    if sized:
        return Layout(nodes, int(pipeline or 1), int(tensor or 1))
    if nodes > 1:
        return Layout(nodes, nodes, count // nodes)
    if spec.strategy == "multi-node":
        raise UsageError(
            "strategy multi-node needs more hosts than this one",
            at=at(spec, "strategy"),
            why="one node was named",
            fix="`stoker up --nnodes 2 --node-rank R --master-addr A` on each host",
        )
    if divides(shape, count) is None:
        return Layout(tensor=count)
    if count > shape.layers:
        raise UsageError(
            f"{count} ranks are more than the model's {shape.layers} layers",
            at=at(spec, "hardware"),
            why="each stage of a pipeline takes a layer at least",
            fix=f"hardware: cpu:{shape.layers}, or less",
        )
    return Layout(pipeline=count)


def _engine_env() -> dict[str, str]:
    return {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


def _lora(adapters: Mapping[str, Adapter]) -> dict[str, Any]:
    """Room for every adapter in one batch, at the smallest rank that vLLM takes and all of them fit in."""
    if not adapters:
        return {}
    rank = max(adapter.rank for adapter in adapters.values())
    fits = [choice for choice in LORA_RANKS if choice >= rank]
    if not fits:
        name = next(name for name, adapter in adapters.items() if adapter.rank == rank)
        raise UsageError(
            f"the adapter {name!r} has rank {rank}",
            why=f"vLLM takes {LORA_RANKS[-1]} at most",
            fix="merge it into the model's weights",
            rule="lora-rank",
        )
    return {"enable-lora": True, "max-loras": len(adapters), "max-lora-rank": fits[0]}


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


def _on_gpus(
    spec: ServeSpec,
    shape: ModelShape,
    offer: Hardware,
    model_dir: str,
    count: int,
    adapters: Mapping[str, Adapter],
    group: Group | None,
) -> Plan:
    if group is not None:
        return _group_on_gpus(spec, shape, offer, model_dir, adapters, group)
    least = int(spec.engine.options.get("tensor-parallel-size", spec.hardware.count or 1))
    if least * count > len(offer.gpus) and not _on_ray(spec):
        raise _too_few(spec, offer, count, least)
    kind = _kind(offer)
    ask = ask_of(spec, shape, kind, max(1 if _on_ray(spec) else least, len(offer.gpus) // max(1, count)), 1.0)
    choice = choose(shape, ask)
    if choice.fit is None:
        raise does_not_fit(spec, shape, ask, choice)
    layout = choice.fit.layout
    each, ray = layout.gpus, _on_ray(spec)
    if each * count > len(offer.gpus) and not ray:
        raise _too_few(spec, offer, count, each)
    shares = tuple(
        Share(str(n + 1), gpus=() if ray else tuple(g.index for g in offer.gpus[n * each : (n + 1) * each]))
        for n in range(count)
    )
    options = added_options(spec, shape, kind, choice, choice.fit) | _lora(adapters)
    if ray:
        options.pop("nnodes", None)  # Ray knows its nodes
    reasons = (
        *reasons_of(spec, shape, kind, choice, choice.fit),
        f"{each} GPU{'s' * (each > 1)} a replica, on {offer}",
    )
    return Plan(
        spec,
        shape,
        offer,
        model_dir,
        shares,
        options | dict(spec.engine.options),
        _engine_env() | dict(spec.engine.env),
        choice.fit,
        layout.strategy,
        layout.tensor,
        layout.pipeline,
        rejected=choice.rejected,
        adapters=adapters,
        reasons=reasons,
        warnings=(
            *_warnings(spec, shape, offer),
            *gpu_warning(spec, shape, kind, options),
            *unsure(shape, choice.fit),
        ),
    )


def _group_on_gpus(
    spec: ServeSpec,
    shape: ModelShape,
    offer: Hardware,
    model_dir: str,
    adapters: Mapping[str, Adapter],
    group: Group,
) -> Plan:
    """One replica over as many nodes as the group has, each like this one."""
    kind, per_node = _kind(offer), len(offer.gpus)
    count = spec.hardware.count or per_node * group.nodes
    asked = replace(spec, hardware=replace(spec.hardware, count=count), strategy="multi-node")
    ask = ask_of(asked, shape, kind, max(1, count // group.nodes), 1.0)
    choice = choose(shape, ask)
    if choice.fit is None or choice.fit.layout.nodes != group.nodes:
        raise does_not_fit(spec, shape, ask, choice)
    layout = choice.fit.layout
    here = layout.gpus // layout.nodes
    if here > per_node:
        raise _too_few(spec, offer, 1, here)
    share = Share("1", gpus=tuple(gpu.index for gpu in offer.gpus[:here]))
    options = (
        added_options(spec, shape, kind, choice, choice.fit) | _lora(adapters) | dict(spec.engine.options)
    )
    options.pop("nnodes", None)  # written with the node's own rank
    return Plan(
        spec,
        shape,
        offer,
        model_dir,
        (share,),
        options,
        _engine_env() | dict(spec.engine.env),
        choice.fit,
        layout.strategy,
        layout.tensor,
        layout.pipeline,
        layout.nodes,
        choice.rejected,
        adapters=adapters,
        reasons=reasons_of(spec, shape, kind, choice, choice.fit),
        warnings=(
            *_warnings(spec, shape, offer),
            *gpu_warning(spec, shape, kind, options),
            *unsure(shape, choice.fit),
        ),
        group=group,
    )


def _on_ray(spec: ServeSpec) -> bool:
    """Whether vLLM places the ranks on a Ray cluster, which knows its own GPUs."""
    return spec.engine.options.get("distributed-executor-backend") == "ray"


def _too_few(spec: ServeSpec, offer: Hardware, count: int, each: int) -> DoesNotFit:
    return DoesNotFit(
        f"{count} replica{'s' * (count > 1)} of {each} GPU{'s' * (each > 1)} need {each * count}",
        why=f"this machine has {offer}",
        fix=f"replicas: {max(0, len(offer.gpus) // each)}, or fewer GPUs a replica",
        at=at(spec, "replicas"),
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
