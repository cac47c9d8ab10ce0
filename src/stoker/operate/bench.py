"""What a test of a fleet takes along: its spec, its plan and what it costs."""

from contextlib import suppress

from stoker.errors import StokerError
from stoker.operate.fleet import Fleet
from stoker.operate.plan import plan
from stoker.planner.plan import Plan
from stoker.spec import dump
from stoker.spec.nouns import ServeSpec
from stoker.traffic.run import Environment


def environment(fleet: Fleet, price: float | None) -> Environment:
    """What is known of a fleet. price: dollars an hour of all of it, over what its plan says."""
    try:
        spec = fleet.spec
    except StokerError:
        return Environment(price=price)
    decided = _planned(spec)
    if price is None:
        price = _price(fleet, spec, decided)
    engine = f"vLLM {spec.engine.version}" if spec.engine.kind == "vllm" else spec.engine.kind
    return Environment(engine=engine, spec=dump(spec), plan=_told(decided), price=price)


def _told(decided: Plan | None) -> dict[str, object]:
    """The plan as a run keeps it."""
    if decided is None:
        return {}
    return {"strategy": decided.strategy, "cost_per_hour": decided.cost_per_hour}


def _planned(spec: ServeSpec) -> Plan | None:
    """A cluster's plan, where it can be made from here."""
    if spec.target == "kubernetes":
        with suppress(StokerError):
            return plan(spec)
    return None


def _price(fleet: Fleet, spec: ServeSpec, decided: Plan | None) -> float | None:
    """Dollars an hour of the replicas that are ready now."""
    each = decided.cost_per_hour if decided is not None else None
    if each is None and spec.hardware.price is not None:
        each = spec.hardware.price * (spec.hardware.count or 1)
    if each is None:
        return None
    with suppress(StokerError):
        return each * fleet.status().ready
    return None
