"""`plan`: what would run, decided without running it: on this machine, or on hardware that is only asked
for."""

from collections.abc import Sequence
from dataclasses import replace

from stoker import weights
from stoker.bounds import shown
from stoker.errors import DoesNotFit, UsageError, WeightsFailed
from stoker.events import Report, silent
from stoker.model.shape import ModelShape, check_weights, read_shape
from stoker.operate import measured
from stoker.operate.prepare import prepare
from stoker.planner.plan import Hardware, Plan
from stoker.planner.requested import plan_asked
from stoker.planner.unknown_shape import unsized
from stoker.spec import load
from stoker.spec.nouns import HardwareSpec, ServeSpec
from stoker.system import keys


def plan(
    spec: ServeSpec | None = None,
    *,
    offer: Hardware | None = None,
    asked: bool | None = None,
    concurrency: float = 1.0,
    report: Report = silent,
) -> Plan:
    """The plan of a spec.

    For this machine, or for other hardware on `offer`, the weights are staged, as `up` will need them. With
    `asked`, and always for a cluster, the plan is for the spec's own `hardware`, and only config.json and the
    safetensors headers are read. concurrency: requests of the longest length that are to run at once.

    Raises: DoesNotFit, UsageError, WeightsFailed, MissingDependency.
    """
    spec = spec or load("")
    if asked is None:
        asked = spec.target == "kubernetes" and offer is None
    if asked:
        return plan_asked(spec, peeked(spec), str(spec.model.source), concurrency=concurrency)
    from stoker.targets.local import machine

    decided = prepare(spec, offer or machine.offer(), report)
    return replace(decided, measured=measured.of(decided))


def plan_cluster(spec: ServeSpec) -> Plan:
    """The plan for a cluster. Where the model cannot be read from here, the file's own sizes are taken as
    they are.

    Raises: DoesNotFit, UsageError, WeightsFailed.
    """
    if spec.engine.kind == "simulated":
        return unsized(spec, None)
    try:
        shape = peeked(spec)
    except (WeightsFailed, UsageError) as error:
        refused = _the_clusters(spec) and error.finding.rule in ("hub-gated", "hub-missing")
        if not (refused or isinstance(error, WeightsFailed)):
            raise
        if not spec.hardware.count and "tensor-parallel-size" not in spec.engine.options:
            raise
        return unsized(spec, error.finding)
    return plan_asked(spec, shape, str(spec.model.source))


def _the_clusters(spec: ServeSpec) -> bool:
    """Whether only the cluster has the hub's token: from here the model is asked for without."""
    token = spec.model.token
    return token is not None and token.kind == "secret" and spec.target == "kubernetes"


def peeked(spec: ServeSpec) -> ModelShape:
    """The model's shape, without its weights."""
    ref = None if _the_clusters(spec) else spec.model.token
    token = keys.read(ref, "model.token") if ref else None
    files = weights.peek(spec.model, token)
    shape = read_shape(files)
    check_weights(files, shape, str(spec.model.source))
    return shape


MOST_GPUS = 1024  # as `hardware.count` takes


def compare(
    spec: ServeSpec, names: Sequence[str], *, concurrency: float = 1.0
) -> tuple[tuple[str, Plan | DoesNotFit], ...]:
    """The same model on several GPUs, each with the smallest layout that serves it, or why none does."""
    shape = peeked(spec)
    out: list[tuple[str, Plan | DoesNotFit]] = []
    for name in names:
        gpu, colon, count = name.partition(":")
        if colon and not (count.isascii() and count.isdigit() and 1 <= int(count[:9]) <= MOST_GPUS):
            raise UsageError(
                f"{shown(name)} is no hardware",
                why=f"expected a name and 1 to {MOST_GPUS:,} GPUs",
                fix="l4:4",
            )
        hardware = HardwareSpec(gpu, int(count) if colon else spec.hardware.count)
        try:
            found: Plan | DoesNotFit = plan_asked(
                replace(spec, hardware=hardware), shape, str(spec.model.source), concurrency=concurrency
            )
        except DoesNotFit as error:
            found = error
        out.append((name, found))
    return tuple(out)
