"""What names and addresses look like: of hosts, images, labels, objects of a cluster, environment
variables."""

import ipaddress
import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema

_LABEL = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
LABEL_KEY = rf"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?{_LABEL}$"
LABEL_VALUE = rf"^({_LABEL})?$"
OBJECT = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
IMAGE = r"^[A-Za-z0-9][A-Za-z0-9._/:@-]*$"
SERVED = r"^[\w./:@-]+$"
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,255}")
ORIGIN = r"^(\*|[a-z][a-z0-9+.-]*://[A-Za-z0-9._:\[\]*-]+)$"
MOST_HOSTS = 16
_HOST_PART = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def one_line(text: str) -> str:
    """Text without ends of lines, blanks around it, or a length that no name has. Raises: ValueError."""
    if not text or len(text) > 4096 or text != text.strip() or not text.isprintable():
        raise ValueError("expected one line of text, without blanks around it")
    return text


def read_host(text: str) -> str:
    """An address of IPv4 or IPv6 (brackets around it are taken off), or a host's name. Raises: ValueError."""
    inner = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if _is_address(inner) and (inner == text or ":" in inner):
        return inner
    if inner == text and is_host_name(text):
        return text
    raise ValueError(
        "expected an address such as 127.0.0.1, 0.0.0.0 or ::1, or a host's name such as localhost"
    )


def read_hosts(value: Any) -> str:
    """One address or name, or several: a list, or text with commas. Raises: ValueError."""
    given = value.split(",") if isinstance(value, str) else value
    if not isinstance(given, list | tuple) or not all(isinstance(one, str) for one in given):
        raise ValueError("expected an address, or a list of addresses")
    if not 1 <= len(given) <= MOST_HOSTS:
        raise ValueError(f"expected 1 to {MOST_HOSTS} addresses")
    found = [_plain(read_host(one.strip())) for one in given]
    if len(set(found)) < len(found):
        raise ValueError("expected each address once")
    return ",".join(found)


def _plain(host: str) -> str:
    """An address in its short form, as an operating system shows it."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host


def is_host_name(text: str) -> bool:
    """Whether text is a name as DNS has them: its last part is no number, which would be half an address."""
    parts = text.removesuffix(".").split(".")
    return (
        len(text) <= 253
        and all(_HOST_PART.fullmatch(part) for part in parts)
        and not parts[-1].isdigit()
        and not re.fullmatch(r"0[xX][0-9a-fA-F]*", parts[-1])
    )


def _host_name(text: str) -> str:
    if not is_host_name(text):
        raise ValueError("expected a host's name such as models.example.com")
    return text


def _web_address(text: str) -> str:
    match = re.fullmatch(r"https?://([^/?#@\s]+?)(?::([0-9]{1,5}))?(/[^?#\s]*)?", text)
    if not match or not is_host_name(match[1]) or int(match[2] or 1) not in range(1, 65536):
        raise ValueError("expected an address such as http://prometheus.monitoring:9090")
    return text.rstrip("/")


def _network(text: str) -> str:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError("expected a network such as 10.129.0.0/23") from None
    return text


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


Line = Annotated[str, AfterValidator(one_line)]
Hosts = Annotated[
    str,
    PlainValidator(read_hosts),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
HostName = Annotated[str, AfterValidator(_host_name)]
WebAddress = Annotated[str, Field(max_length=512), AfterValidator(_web_address)]
Network = Annotated[str, Field(pattern=r"^[0-9a-fA-F:.]+/\d{1,3}$"), AfterValidator(_network)]
Named = Annotated[str, Field(pattern=OBJECT, max_length=253)]
Image = Annotated[str, Field(pattern=IMAGE, max_length=512)]
Served = Annotated[str, Field(pattern=SERVED, max_length=256)]
Origin = Annotated[str, Field(pattern=ORIGIN, max_length=300)]
Labels = dict[
    Annotated[str, Field(pattern=LABEL_KEY, max_length=317)], Annotated[str, Field(pattern=LABEL_VALUE)]
]
