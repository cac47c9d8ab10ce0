"""The causes that a state carries: made where a log was read, each with its rank and what was seen."""

from collections.abc import Iterator

from stoker.catalog.rules import ranks, rule
from stoker.findings import Finding
from stoker.fleet.state import Evidence, FleetState, Replica, Service

ENDED = ("Failed", "Pending")  # phases of what has ended, and is given up or waits to be started again


def causes(state: FleetState) -> Iterator[tuple[int, Finding, Evidence]]:
    """Of each replica and service that has failed, or waits to be started again: rank, cause, what was
    seen."""
    for replica in state.replicas:
        if (cause := _of_replica(replica)) is not None:
            yield _rank(cause), cause, _seen(replica, f"replica {replica.name}", cause, state.at)
    for service in state.services:
        if (cause := _of_service(service)) is not None:
            yield _rank(cause), cause, _seen(service, service.role, cause, state.at)


def _seen(one: Replica | Service, name: str, cause: Finding, at: float) -> Evidence:
    """What it says of itself beside the cause, and how often it was started again."""
    words = one.last_error if one.last_error != cause.what else ""
    text = " ".join(filter(None, (one.detail, words, cause.at if cause.at.startswith("/") else "")))
    return Evidence("log", name, one.phase, text or cause.what, one.restarts or 1, at)


def told(one: Replica | Service) -> bool:
    """Whether its cause is known, so that what it says of itself needs no rule."""
    return (_of_replica(one) if isinstance(one, Replica) else _of_service(one)) is not None


def _of_replica(one: Replica) -> Finding | None:
    """Why it has failed; of a state that an older Stoker wrote, its sentence as it is."""
    if one.phase not in ENDED:
        return None  # it is on its way again
    words = one.last_error or one.detail
    if one.cause is None and one.phase == "Failed" and words:
        return rule("why-engine").finding(words=words)
    return one.cause


def _of_service(one: Service) -> Finding | None:
    words = one.last_error or one.detail
    if one.phase not in (*ENDED, "Loading"):  # a copy that is stuck still is one that loads
        return None
    if one.cause is None and one.phase == "Failed":
        return rule("why-service").finding(role=one.role, words=words)
    return one.cause


def _rank(cause: Finding) -> int:
    """Its place among all rules; that of a rule which this release does not know comes last."""
    return ranks().get(cause.rule, len(ranks()) + 1000)
