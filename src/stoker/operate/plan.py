"""`plan`: what `up` would run, decided without running it."""

from stoker.events import Report, silent
from stoker.operate.prepare import check_target, prepare
from stoker.planner.plan import Hardware, Plan
from stoker.spec import load
from stoker.spec.nouns import ServeSpec


def plan(spec: ServeSpec | None = None, *, offer: Hardware | None = None, report: Report = silent) -> Plan:
    """The plan for this machine, or for other hardware on offer. Stages the weights, as their shape is needed.

    Raises: DoesNotFit, Mistake, WeightsFailed, MissingPart.
    """
    from stoker.targets.local import machine

    spec = spec or load("")
    check_target(spec)
    return prepare(spec, offer or machine.offer(), report)
