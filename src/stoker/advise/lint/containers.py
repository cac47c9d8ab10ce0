"""Rules over containers of any kind: images that move, privileges, keys in plain sight."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from stoker.advise.lint.devices import is_device
from stoker.advise.lint.images import moves
from stoker.advise.lint.kinds import Pods
from stoker.advise.lint.reading import Manifest, Path
from stoker.advise.lint.values import listed, table, text
from stoker.findings import Finding

# Names of variables that hold a secret itself: neither its name, its path nor a count of tokens.
_SECRET = re.compile(
    r"(?:^|_)(?:TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS|API_?KEY|ACCESS_?KEY|SECRET_?KEY|PRIVATE_?KEY|AUTH_?KEY"
    r"|LICENSE_?KEY|MASTER_?KEY)$|^KEY$",
    re.I,
)
# Values that are none: references, files, words that stand for nothing.
_HARMLESS = re.compile(
    r"[$\x00]|\{\{|^/|^<.*>$|^(?:true|false|none|null|empty|dummy|fake|test|changeme|yes|no|on|off|insert.*|not-?needed|x+|-|\d{1,4}"
    r"|your[-_ ].*|replace.*|\*+|todo|unused|no-?key|sk-(?:no-key|fake|dummy|x+|123).*)$",
    re.I,
)
_ASSIGNED = re.compile(r"(?:^|[\s;&])([A-Z][A-Z0-9_]{2,60})=(\S{6,300})")
KEYS = ("api-key", "hf-token")


def rules(one: Manifest, pod: Pods, at: Path, container: Mapping[str, Any]) -> Iterator[Finding]:
    """All findings about one container."""
    image = text(container.get("image"))
    if moves(image):
        yield one.finding("image-tag", (*at, "image"), image=image)
    installs = one.kind == "DaemonSet"  # drivers and the like
    if table(container.get("securityContext")).get("privileged") is True and not installs:
        where = (*at, "securityContext", "privileged")
        yield one.finding("privileged", where, container=container.get("name"))
    for index, entry in enumerate(listed(container.get("env"))):
        name, value = text(table(entry).get("name")), text(table(entry).get("value"))
        if value and is_secret(name, value):
            yield one.finding("secret-value", (*at, "env", index), variable=name)
    for key in ("command", "args"):
        said = " ".join(map(str, listed(container.get(key))))
        for match in _ASSIGNED.finditer(said):
            if is_secret(match[1], match[2].strip("\"'")):
                yield one.finding("secret-value", (*at, key), variable=match[1])
    yield from _devices(one, at, container)


def is_secret(name: str, value: str) -> bool:
    """Whether a variable holds a key as it is."""
    return bool(_SECRET.search(name)) and not _HARMLESS.search(value)


def _devices(one: Manifest, at: Path, container: Mapping[str, Any]) -> Iterator[Finding]:
    """Devices cannot be lent out twice: what is asked for and what is allowed are one figure."""
    resources = table(container.get("resources"))
    asked, most = table(resources.get("requests")), table(resources.get("limits"))
    for name in filter(is_device, asked):
        if str(asked[name]) != str(most.get(name)) and "$" not in f"{asked[name]}{most.get(name)}":
            said = {"resource": name, "asked": asked[name], "most": most.get(name, "none")}
            yield one.finding("device-request", (*at, "resources", "requests", name), **said)
