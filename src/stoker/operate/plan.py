"""`plan`: what would run, decided without running it: on this machine, or on hardware that is only asked
for."""

from collections.abc import Sequence
from dataclasses import replace

from stoker.bounds import shown
from stoker.errors import DoesNotFit, StokerError, UsageError
from stoker.events import Report, silent
from stoker.model.shape import ModelShape
from stoker.operate import measured
from stoker.operate.adapters import with_ranks
from stoker.operate.carried import Carried, with_files
from stoker.operate.peeking import peeked, unreadable
from stoker.operate.prepare import prepare
from stoker.planner.plan import Hardware, Plan
from stoker.planner.requested import plan_asked
from stoker.planner.unknown_shape import unsized
from stoker.spec import load
from stoker.spec.nouns import HardwareSpec, ServeSpec


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
    safetensors headers are read, or the catalog where the hub cannot be asked: a warning says so.
    concurrency: requests of the longest length that are to run at once.

    Raises: DoesNotFit, UsageError, WeightsFailed, MissingDependency.
    """
    spec = spec or load("")
    if asked is None:
        asked = spec.target == "kubernetes" and offer is None
    if asked:
        found, carried = with_files(spec) if spec.target == "kubernetes" else (spec, Carried())
        found, ranks = with_ranks(found)
        shape, notes = peeked(spec)
        decided = _planned(found, shape, (*notes, *carried.notes, *ranks), concurrency)
        return replace(decided, spec=spec, files=carried.texts)
    from stoker.targets.local import machine

    decided = prepare(spec, offer or machine.offer(), report)
    return replace(decided, measured=measured.of(decided))


def plan_cluster(spec: ServeSpec) -> Plan:
    """The plan for a cluster, with the files that its options name. Where the model cannot be read from here,
    the file's own sizes are taken as they are.

    Raises: DoesNotFit, UsageError, WeightsFailed.
    """
    if spec.engine.kind == "simulated":
        return unsized(spec, None)
    found, carried = with_files(spec)
    found, notes = with_ranks(found)
    decided = _for_cluster(found)
    said = (*decided.warnings, *carried.notes, *notes)
    return replace(decided, spec=spec, files=carried.texts, warnings=said)


def _for_cluster(spec: ServeSpec) -> Plan:
    try:
        shape, notes = peeked(spec)
    except StokerError as error:
        stated = spec.hardware.count or "tensor-parallel-size" in spec.engine.options
        if not (unreadable(spec, error) and stated):
            raise
        return unsized(spec, error.finding)
    return _planned(spec, shape, notes)


def _planned(spec: ServeSpec, shape: ModelShape, notes: tuple[str, ...], concurrency: float = 1.0) -> Plan:
    decided = plan_asked(spec, shape, str(spec.model.source), concurrency=concurrency)
    return replace(decided, warnings=(*notes, *decided.warnings))


MOST_GPUS = 1024  # as `hardware.count` takes


def compare(
    spec: ServeSpec, names: Sequence[str], *, concurrency: float = 1.0
) -> tuple[tuple[str, Plan | DoesNotFit], ...]:
    """The same model on several GPUs, each with the smallest layout that serves it, or why none does."""
    shape, notes = peeked(spec)
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
            found: Plan | DoesNotFit = _planned(replace(spec, hardware=hardware), shape, notes, concurrency)
        except DoesNotFit as error:
            found = error
        out.append((name, found))
    return tuple(out)
