"""The plan for hardware that a spec asks for: the layout is chosen, the price looked up, nothing is run."""

from dataclasses import dataclass
from typing import Any

from stoker.catalog.gpus import GpuType, gpu
from stoker.catalog.machines import Machine, machine, most_in_one, smallest_with
from stoker.errors import DoesNotFit, UsageError
from stoker.model.shape import ModelShape
from stoker.planner.capability import check_gpu, gpu_warning, lesser_dtype
from stoker.planner.checks import check_model, check_tensor, release_warning, template_warning
from stoker.planner.fit import Fit
from stoker.planner.layout import Layout, divides
from stoker.planner.media import check_batch
from stoker.planner.plan import Hardware, Plan
from stoker.planner.reasons import reasons_of
from stoker.planner.search import Choice, Request, candidates, choose, remedies
from stoker.planner.settings import GIB
from stoker.spec.nouns import ServeSpec
from stoker.spec.places import any_of, placed
from stoker.units import Bytes

OPENLY = "nothing says that it fits"


@dataclass(frozen=True, slots=True)
class Place:
    """GPUs and the machine type that holds them, if the spec names one or the catalog has one."""

    gpu: GpuType
    machine: Machine | None
    per_node: int


def plan_asked(spec: ServeSpec, shape: ModelShape, model: str, *, concurrency: float = 1.0) -> Plan:
    """Decides for the spec's `hardware`. `model` is what the command line names.

    Raises: UsageError, for fields that contradict the model or each other; DoesNotFit, naming the nearest
    that does.
    """
    with placed(spec):
        place = place_of(spec)
        check_model(spec, shape)
        ask = ask_of(spec, shape, place.gpu, place.per_node, concurrency)
        choice = choose(shape, ask)
        if choice.fit is None:
            raise does_not_fit(spec, shape, ask, choice)
        return _decided(spec, shape, model, place, choice, choice.fit)


def place_of(spec: ServeSpec) -> Place:
    """The GPU and machine that the spec's `hardware` names. Raises: UsageError."""
    hardware = spec.hardware
    named = machine(hardware.machine, "hardware.machine") if hardware.machine else None
    if hardware.gpu is None and named is None:
        raise UsageError(
            "the plan needs hardware",
            at="hardware",
            why="neither a GPU nor a machine type is named",
            fix="hardware: l4, or --gpu l4",
            rule="hardware-missing",
        )
    found = gpu(hardware.gpu or (named.gpu if named else ""), any_of("hardware.gpu", "hardware"))
    if named is not None and named.gpu != found.key:
        raise UsageError(
            f"machine {named} has no {found}",
            at="hardware.machine",
            why=f"it has {named.gpus} x {named.gpu}",
            fix=f"gpu: {named.gpu}, or another machine",
        )
    return Place(found, named, named.gpus if named else most_in_one(found.key))


def ask_of(spec: ServeSpec, shape: ModelShape, kind: GpuType, per_node: int, concurrency: float) -> Request:
    """What the spec asks of a layout. Raises: UsageError, where it contradicts itself or the model."""
    options = dict(spec.engine.options)
    tensor, pipeline = _size(options, "tensor-parallel-size"), _size(options, "pipeline-parallel-size")
    options |= lora_options(spec)
    lesser = lesser_dtype(spec, shape, kind)
    if "dtype" not in options and lesser:
        options["dtype"] = lesser
    check_gpu(spec, shape, kind, options)
    if tensor is not None:
        check_tensor(spec, shape, tensor)
    ask = Request(
        kind,
        per_node,
        spec.engine.version,
        options,
        spec.hardware.count,
        tensor,
        pipeline,
        spec.strategy,
        concurrency,
    )
    _check_counts(spec, shape, ask)
    check_batch(shape, options, ask.settings(shape, Layout()).max_num_batched_tokens)
    return ask


def lora_options(spec: ServeSpec) -> dict[str, Any]:
    """Room for the adapters that the spec names, before any is staged: of rank 16, vLLM's default, unless it
    says."""
    count = len(spec.model.adapters)
    return {"enable-lora": True, "max-loras": count} if count else {}


def _size(options: dict[str, Any], name: str) -> int | None:
    return int(options[name]) if options.get(name) is not None else None


def _check_counts(spec: ServeSpec, shape: ModelShape, ask: Request) -> None:
    """Raises: UsageError, where count, strategy and sizes contradict each other or the model."""
    count = ask.count
    pinned = ask.tensor * (ask.pipeline or 1) if ask.tensor else None
    if count and pinned and (count != pinned if ask.pipeline else count % pinned):
        raise UsageError(
            f"hardware asks for {count} GPUs a replica, the engine's options for {pinned}",
            at="hardware",
            why="tensor-parallel-size times pipeline-parallel-size is the number of GPUs",
            fix=f"count: {pinned}",
        )
    count = count or pinned
    wrong = {
        "single-gpu": count is not None and count != 1,
        "tensor-parallel": count is not None and (count < 2 or count > ask.per_node),
        "multi-node": count == 1,
    }
    if spec.strategy and wrong[spec.strategy]:
        fits = {
            "single-gpu": "count: 1",
            "tensor-parallel": f"count: 2 to {ask.per_node}",
            "multi-node": "count: 2 or more",
        }
        raise UsageError(
            f"strategy {spec.strategy} does not go with {count} x {ask.gpu}",
            at="strategy",
            why=f"a node has {ask.per_node} of them",
            fix=f"{fits[spec.strategy]}, or leave the strategy out",
        )
    if next(candidates(shape, ask), None) is None:
        size = ask.tensor or ask.count or 1
        raise UsageError(
            f"{count or size} x {ask.gpu} cannot be laid out",
            at="hardware",
            why=divides(shape, size, ask.sharding) or f"{shape.layers} layers, {ask.per_node} GPUs a node",
            fix="another count",
            rule="layout",
        )


def does_not_fit(spec: ServeSpec, shape: ModelShape, ask: Request, choice: Choice) -> DoesNotFit:
    """The error, with what would make it fit."""
    what = f"{ask.count or (choice.rejected[-1].layout.gpus if choice.rejected else 1)} x {ask.gpu}"
    found = remedies(shape, ask, choice.rejected)
    last = choice.rejected[-1]
    return DoesNotFit(
        f"{spec.model.served_name} does not fit on {what}",
        at="hardware",
        why=f"{last.layout}: {last.why}",
        fix="; or ".join(f"{r.fix} ({r.gives})" for r in found) or "a smaller model",
        rule="fit-gpus",
    )


def _decided(spec: ServeSpec, shape: ModelShape, model: str, place: Place, choice: Choice, fit: Fit) -> Plan:
    layout = fit.layout
    options = (
        added_options(spec, shape, place.gpu, choice, fit) | lora_options(spec) | dict(spec.engine.options)
    )
    box = place.machine or smallest_with(place.gpu.key, layout.gpus // layout.nodes, _host_memory(fit))
    hardware = Hardware(gpu_type=place.gpu, machine=box, per_node=layout.gpus // layout.nodes)
    absent = release_warning(spec.engine.version, options, spec.engine.env)
    return Plan(
        spec,
        shape,
        hardware,
        model,
        (),
        options,
        dict(spec.engine.env),
        fit,
        layout.strategy,
        layout.tensor,
        layout.pipeline,
        layout.nodes,
        choice.rejected,
        _cost(spec, layout, box),
        reasons=reasons_of(spec, shape, place.gpu, choice, fit),
        warnings=(
            *unsure(shape, fit),
            *template_warning(spec, shape),
            *absent,
            *gpu_warning(spec, shape, place.gpu, options),
            *_over_pcie(layout, place.gpu),
            *_idle(layout, box),
        ),
    )


def _host_memory(fit: Fit) -> Bytes:
    """What a node's host should have: its weights pass through it, and the engine's processes stand beside
    them."""
    ranks = fit.layout.gpus // fit.layout.nodes
    return Bytes(int(1.1 * ranks * fit.tightest.size("weights")) + 8 * GIB)


def _idle(layout: Layout, box: Machine | None) -> tuple[str, ...]:
    """What is paid for and not used."""
    used = layout.gpus // layout.nodes
    if box is None or box.gpus == used:
        return ()
    return (f"one replica uses {used} of the {box.gpus} GPUs of {box}: the price is the whole machine's",)


def added_options(
    spec: ServeSpec, shape: ModelShape, kind: GpuType, choice: Choice, fit: Fit
) -> dict[str, Any]:
    """What the plan adds to the user's options."""
    out: dict[str, Any] = {}
    if fit.layout.tensor > 1:
        out["tensor-parallel-size"] = fit.layout.tensor
    if fit.layout.pipeline > 1:
        out["pipeline-parallel-size"] = fit.layout.pipeline
    if fit.layout.nodes > 1:
        out["nnodes"] = fit.layout.nodes
    out |= fit.chosen
    lesser = lesser_dtype(spec, shape, kind)
    return out | ({"dtype": lesser} if lesser else {})


def _over_pcie(layout: Layout, kind: GpuType) -> tuple[str, ...]:
    """What tensor parallelism is up against where GPUs have no NVLink."""
    if layout.tensor == 1 or kind.interconnect != "pcie" or not kind.sources:
        return ()
    rate = f"{kind.interconnect_bandwidth / 1e9:.0f} GB/s"
    return (
        f"{kind} has no NVLink: tensor parallel ranks speak over PCIe ({rate}), which costs time a layer",
    )


def _cost(spec: ServeSpec, layout: Layout, box: Machine | None) -> float | None:
    """Dollars an hour for one replica: the spec's price a GPU, else the whole machine's for each node."""
    if spec.hardware.price is not None:
        return round(spec.hardware.price * layout.gpus, 4)
    return round(box.price * layout.nodes, 4) if box is not None and box.price is not None else None


def openly(shape: ModelShape) -> str:
    """What is said first of a model whose figures are an estimate."""
    why = shape.doubt or "config.json has the size of its state under names that are not known here"
    return f"{why}: its figures are an estimate, weights +-{shape.band:.0%}, and {OPENLY}"


def unsure(shape: ModelShape, fit: Fit) -> tuple[str, ...]:
    """What is estimated from less than it should be."""
    out: tuple[str, ...] = (openly(shape),) if not shape.known else ()
    quantization = fit.settings.quantization
    if quantization is not None and not quantization.known:
        out += (f"the quantization {quantization.method} is not known: one byte a parameter is assumed",)
    return out
