"""Can the endpoint listen where it is asked to? Said before anything starts."""

import errno

from stoker.errors import PortTaken, UsageError
from stoker.planner.plan import Plan
from stoker.render.processes import page_port
from stoker.spec.addresses import split
from stoker.spec.places import placed
from stoker.system.proc import bind_error, own_addresses, port_owner


def check_place(plan: Plan, *, ours: bool = False) -> None:
    """Raises: PortTaken; UsageError, for an address that is not this machine's. ours: a gateway of ours may
    hold the port."""
    with placed(plan.spec):
        _check(plan, ours)


def _check(plan: Plan, ours: bool) -> None:
    endpoint = plan.spec.endpoint
    for host in split(endpoint.host):
        error = bind_error(host, endpoint.port)
        if error is not None and not (ours and error.errno == errno.EADDRINUSE):
            raise _refused("endpoint.port", host, endpoint.port, error)
    if endpoint.page and not ours:
        port = page_port(plan)
        if (error := bind_error("127.0.0.1", port)) is not None:
            raise _refused("endpoint.page_port", "127.0.0.1", port, error)


def _refused(field: str, host: str, port: int, error: OSError) -> UsageError:
    why = error.strerror or str(error)
    if error.errno == errno.EADDRINUSE:
        return PortTaken(
            f"port {port} is taken",
            why=f"{port_owner(port) or 'another process'} listens there",
            fix=f"--set {field}=N, or stop it",
            at=field,
            rule="port-taken",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return UsageError(
            f"port {port} may not be used",
            why=f"{why}: the system keeps low ports for itself",
            fix=f"--set {field}=8000, or any above 1023",
            at=field,
            rule="port-refused",
        )
    return UsageError(
        f"endpoint.host {host} is no address of this machine",
        why=why,
        fix=f"one of {', '.join(own_addresses())}; 0.0.0.0 is all of IPv4, :: all of IPv6",
        at="endpoint.host",
        rule="endpoint-address",
    )
