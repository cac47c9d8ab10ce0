"""Takes a model's weights to a served, observed vLLM fleet: here in one command, on a cluster from the same
file.

    import stoker

    with stoker.up(stoker.load("model: demo:smollm2-135m-instruct")) as fleet:
        print(fleet.url)

Everything here is loaded when it is first used: importing `stoker` costs nothing.
"""

TYPE_CHECKING = False  # which type checkers take for true; the module `typing` would be most of the import

if TYPE_CHECKING:
    from stoker.errors import (
        DoesNotFit,
        EngineFailed,
        EnvironmentFailed,
        FleetDiffers,
        Interrupted,
        MissingDependency,
        NoSuchFleet,
        PortTaken,
        SpecError,
        StateBroken,
        StateMoved,
        StokerError,
        TimedOut,
        Unreachable,
        UsageError,
        WeightsFailed,
    )
    from stoker.events import Event, Progress
    from stoker.findings import Finding
    from stoker.fleet.state import FleetState, Replica
    from stoker.fleet.target import Endpoint
    from stoker.operate.fleet import Fleet
    from stoker.operate.front import connect, up
    from stoker.operate.plan import plan
    from stoker.planner.explain import explain
    from stoker.planner.plan import Plan
    from stoker.spec.loader import load
    from stoker.spec.nouns import ServeSpec

_HOMES = {
    **dict.fromkeys(("load",), "stoker.spec.loader"),
    **dict.fromkeys(("ServeSpec",), "stoker.spec.nouns"),
    **dict.fromkeys(("plan",), "stoker.operate.plan"),
    **dict.fromkeys(("explain",), "stoker.planner.explain"),
    **dict.fromkeys(("Plan",), "stoker.planner.plan"),
    **dict.fromkeys(("Fleet",), "stoker.operate.fleet"),
    **dict.fromkeys(("connect", "up"), "stoker.operate.front"),
    **dict.fromkeys(("FleetState", "Replica"), "stoker.fleet.state"),
    **dict.fromkeys(("Endpoint",), "stoker.fleet.target"),
    **dict.fromkeys(("Event", "Progress"), "stoker.events"),
    **dict.fromkeys(("Finding",), "stoker.findings"),
    **dict.fromkeys(
        (
            "DoesNotFit",
            "EngineFailed",
            "FleetDiffers",
            "Interrupted",
            "MissingDependency",
            "UsageError",
            "NoSuchFleet",
            "PortTaken",
            "SpecError",
            "StateBroken",
            "StateMoved",
            "StokerError",
            "TimedOut",
            "Unreachable",
            "WeightsFailed",
            "EnvironmentFailed",
        ),
        "stoker.errors",
    ),
}

__version__ = "0.1.0"

__all__ = [
    "DoesNotFit",
    "Endpoint",
    "EngineFailed",
    "EnvironmentFailed",
    "Event",
    "Finding",
    "Fleet",
    "FleetDiffers",
    "FleetState",
    "Interrupted",
    "MissingDependency",
    "NoSuchFleet",
    "Plan",
    "PortTaken",
    "Progress",
    "Replica",
    "ServeSpec",
    "SpecError",
    "StateBroken",
    "StateMoved",
    "StokerError",
    "TimedOut",
    "Unreachable",
    "UsageError",
    "WeightsFailed",
    "connect",
    "explain",
    "load",
    "plan",
    "up",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'stoker' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
