"""Dashboards: metric names that a release of vLLM does not have any more, and what they are called now.

Grafana's JSON and Cloud Monitoring's alike: every string of the file is read, since queries stand in many
places.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from stoker.bounds import read_json
from stoker.catalog import vllm
from stoker.catalog.changes import changes
from stoker.catalog.rules import rule
from stoker.findings import Finding

_NAME = re.compile(r"(?<![\w:])vllm:[a-zA-Z_][a-zA-Z0-9_]*")
_PARTS = ("_bucket", "_sum", "_count", "_total", "_created")


def is_dashboard(text: str) -> bool:
    """Whether a JSON file is a dashboard of either kind, and no Kubernetes object."""
    if not text.lstrip().startswith("{"):
        return False
    try:
        body = read_json(text)
    except ValueError:
        return False
    body = body.get("dashboard", body) if isinstance(body, dict) else {}
    layouts = ("panels", "rows", "mosaicLayout", "gridLayout", "rowLayout", "columnLayout")
    return isinstance(body, dict) and "apiVersion" not in body and any(key in body for key in layouts)


def lint_dashboard(name: str, text: str, release: str) -> tuple[Finding, ...]:
    """A finding for each line with a metric that the release does not have."""
    out: dict[tuple[int, str], Finding] = {}
    for number, line in enumerate(text.splitlines(), 1):
        for match in _NAME.finditer(line):
            if (gone := _gone(match[0], release)) is not None:
                why, instead = gone
                fix = f"{instead}, which --fix writes" if instead else "a metric of its /metrics page"
                at = f"{name}:{number}:{match.start() + 1}"
                found = rule("dashboard-metric").finding(
                    at, release=release, metric=match[0], why=why, instead=fix
                )
                out.setdefault((number, match[0]), found)
    return tuple(out.values())


def fixed(text: str, release: str) -> tuple[str, int]:
    """The text with every name that can be mapped under its new one, and how many were."""
    count = 0

    def now(match: re.Match[str]) -> str:
        nonlocal count
        gone = _gone(match[0], release)
        if gone is None or not gone[1]:
            return match[0]
        count += 1
        return gone[1]

    return _NAME.sub(now, text), count


@lru_cache(4096)
def _gone(name: str, release: str) -> tuple[str, str] | None:
    """Why a release has no metric of that name, and its name of today (empty: none is known); None where it
    has it."""
    known = vllm.nearest_release(release).metrics
    if any(one in known for one in _families(name)):
        return None
    for change in changes():
        if change.kind != "metric":
            continue
        for family in _families(name):
            if change.name == family and not change.there(release):
                return change.why(release), _renamed(name, family, change.instead, known)
    if release not in vllm.KNOWN:
        return (
            None  # another release than those whose page is known: what is not known to be gone may be there
        )
    return f"the /metrics page of vLLM {release} does not list it", ""


def _families(name: str) -> Iterator[str]:
    """The family that a series may be of: a histogram's `_bucket`, a counter with or without `_total`."""
    yield name
    yield f"{name}_total"
    for part in _PARTS:
        if name.endswith(part):
            yield name.removesuffix(part)


def _renamed(name: str, family: str, instead: str, known: Mapping[str, str]) -> str:
    """The new name with the old one's ending; empty where the new one is of another kind, which would be
    another query."""
    if not instead:
        return ""
    new = f"{instead}{name.removeprefix(family)}"
    return new if any(one in known for one in _families(new)) else ""
