"""A plan of a model whose shape cannot be read from here: the file's own sizes are taken, and nothing is
weighed."""

from typing import Any

from stoker.catalog.machines import smallest_with
from stoker.errors import UsageError
from stoker.findings import Finding
from stoker.planner.plan import Hardware, Plan
from stoker.planner.requested import lora_options, place_of
from stoker.spec.nouns import ServeSpec
from stoker.spec.places import placed


def unsized(spec: ServeSpec, unread: Finding | None) -> Plan:
    """The layout that `hardware` and the engine's options state. `unread`: why the model could not be read.

    Raises: UsageError, where count and sizes contradict each other.
    """
    with placed(spec):
        return _simulated(spec) if spec.engine.kind == "simulated" else _as_stated(spec, unread)


def _simulated(spec: ServeSpec) -> Plan:
    """Engines that compute nothing need nothing."""
    return Plan(
        spec,
        None,
        Hardware(gpu_type=None, per_node=1),
        str(spec.model.source),
        (),
        dict(spec.engine.options),
        dict(spec.engine.env),
        reasons=("simulated engines: timings are set, nothing is computed",),
    )


def _as_stated(spec: ServeSpec, unread: Finding | None) -> Plan:
    place = place_of(spec)
    options = lora_options(spec) | dict(spec.engine.options)
    tensor, pipeline = _sizes(spec, options, place.per_node)
    count = tensor * pipeline
    nodes = _nodes(spec, count, pipeline, place.per_node)
    box = place.machine or smallest_with(place.gpu.key, count // nodes)
    sizes = {"tensor-parallel-size": tensor, "pipeline-parallel-size": pipeline}
    chosen = {name: size for name, size in sizes.items() if size > 1} | options
    seen = f"{unread.what}: {unread.why}" if unread else "it cannot be read from here"
    return Plan(
        spec,
        None,
        Hardware(gpu_type=place.gpu, machine=box, per_node=count // nodes),
        str(spec.model.source),
        (),
        chosen,
        dict(spec.engine.env),
        strategy="multi-node" if nodes > 1 else "tensor-parallel" if count > 1 else "single-gpu",
        tensor_parallel_size=tensor,
        pipeline_parallel_size=pipeline,
        nodes=nodes,
        reasons=("the sizes are the file's own: the model was not read",),
        warnings=(f"memory was not weighed ({seen})",),
    )


def _sizes(spec: ServeSpec, options: dict[str, Any], per_node: int) -> tuple[int, int]:
    """Tensor and pipeline parallel sizes: each as it is given, else what the count leaves for it.

    Raises: UsageError, where they are not the count that `hardware` asks for.
    """
    tensor, pipeline = _size(options, "tensor-parallel-size"), _size(options, "pipeline-parallel-size")
    count = spec.hardware.count or (tensor or 1) * (pipeline or 1)
    tensor = tensor or (count // pipeline if pipeline else min(count, per_node))
    pipeline = pipeline or max(1, count // tensor)
    if tensor * pipeline != count:
        raise UsageError(
            f"hardware asks for {count} GPUs a replica, the engine's options for {tensor * pipeline}",
            at="hardware",
            why="tensor-parallel-size times pipeline-parallel-size is the number of GPUs",
            fix=f"count: {tensor * pipeline}",
        )
    return tensor, pipeline


def _nodes(spec: ServeSpec, count: int, pipeline: int, per_node: int) -> int:
    """Nodes of a replica of `count` GPUs. Raises: UsageError, where they do not have as many each."""
    nodes = -(-count // per_node)
    if spec.strategy == "multi-node":
        nodes = max(nodes, pipeline if pipeline > 1 else 2)
    if count % nodes:
        raise UsageError(
            f"{count} GPUs do not spread over {nodes} nodes",
            at="hardware",
            why=f"a node has {per_node}",
            fix="a count that the nodes share evenly",
        )
    return nodes


def _size(options: dict[str, Any], name: str) -> int | None:
    return int(options[name]) if options.get(name) is not None else None
