"""The plan for one machine: the replicas' shares of cores or GPUs, and the engine options that are fastest
here."""

from collections.abc import Mapping

from stoker.errors import UsageError
from stoker.model.shape import ModelShape
from stoker.planner.checks import check_model, check_tensor
from stoker.planner.group import Group
from stoker.planner.local_cpu import plan_cpu
from stoker.planner.local_gpu import plan_gpus
from stoker.planner.plan import Adapter, Hardware, Plan, Share
from stoker.planner.request import PlanRequest
from stoker.spec.nouns import ServeSpec
from stoker.spec.places import placed


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
    count = first_count(spec) if replicas is None else replicas
    with placed(spec):
        if group is not None and count != 1:
            raise UsageError(
                f"a group of {group.nodes} nodes runs one replica, not {count}",
                at="replicas",
                why="each replica over several hosts is a fleet of its own",
                fix="replicas: 1",
            )
        if spec.engine.kind == "simulated":
            return _simulated(spec, shape, offer, model_dir, count)
        assert shape is not None
        check_model(spec, shape)
        check_tensor(spec, shape, int(spec.engine.options.get("tensor-parallel-size", 1)))
        request = PlanRequest(spec, shape, offer, model_dir, count, adapters or {}, group, rebind, before)
        return plan_gpus(request) if offer.gpus else plan_cpu(request)


def first_count(spec: ServeSpec) -> int:
    """Replicas of a fleet that is new: the fewest. One that may go to 0 begins with one, so that it is seen
    to serve."""
    return max(spec.replicas.low, int(spec.scales))


def _simulated(
    spec: ServeSpec, shape: ModelShape | None, offer: Hardware, model_dir: str, count: int
) -> Plan:
    shares = tuple(Share(str(n + 1)) for n in range(count))
    why = ("simulated engines: timings are set, nothing is computed",)
    return Plan(
        spec, shape, offer, model_dir, shares, dict(spec.engine.options), dict(spec.engine.env), reasons=why
    )
