"""Where an endpoint listens: one address or name, or several with commas between them; and where a client
here asks.

`0.0.0.0` is every address of IPv4, `::` every one of IPv6 and none of IPv4, as nginx and uvicorn have it.
"""

import ipaddress

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def split(hosts: str) -> tuple[str, ...]:
    """Each address or name."""
    return tuple(hosts.split(","))


def loopback(hosts: str) -> bool:
    """Whether only this machine can reach all of them; of another name than localhost nobody knows that."""
    return all(_loopback(host) for host in split(hosts))


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def reached(hosts: str) -> str:
    """Where a client on this machine asks: at a loopback address, if it listens on one."""
    all_of = [_ANY.get(host, host) for host in split(hosts)]
    return next((host for host in all_of if _loopback(host)), all_of[0])


def bracketed(host: str) -> str:
    """As a URL and a Host header have it."""
    return f"[{host}]" if ":" in host else host


def url(hosts: str, port: int) -> str:
    """The base URL for a client on this machine."""
    return f"http://{bracketed(reached(hosts))}:{port}"
