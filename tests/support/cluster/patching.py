"""Objects of the double as requests pick them, patches change them, and Go writes them."""

import re
from typing import Any

from tests.support.cluster import ownership
from tests.support.cluster.store import Object


def picked(body: Object, query: dict[str, str]) -> bool:
    """Whether an object is what the selectors pick."""
    labels = body["metadata"].get("labels") or {}
    for term in re.split(r",(?![^(]*\))", query.get("labelSelector", "")):
        if match := re.fullmatch(r"([^=!\s]+)\s+in\s+\(([^)]*)\)", term):
            if labels.get(match[1]) not in [one.strip() for one in match[2].split(",")]:
                return False
        elif "!=" in term:
            key, _, value = term.partition("!=")
            if labels.get(key) == value:
                return False
        elif "=" in term:
            key, _, value = term.replace("==", "=").partition("=")
            if labels.get(key) != value:
                return False
        elif term and term not in labels:
            return False
    for term in filter(None, query.get("fieldSelector", "").split(",")):
        key, _, value = term.partition("=")
        if ownership.get(body, tuple(key.split("."))) != value:
            return False
    return True


def merged(live: Any, patch: Any, *, named: bool = False) -> Any:
    """A JSON merge patch; named: a strategic one, which merges the items of a list by their names."""
    if named and isinstance(live, list) and isinstance(patch, list) and all("name" in one for one in patch):
        found = {one.get("name"): one for one in live}
        return [
            *(
                found | {one["name"]: merged(found.get(one["name"]), one, named=True) for one in patch}
            ).values()
        ]
    if not isinstance(patch, dict) or not isinstance(live, dict):
        return patch
    for key, value in patch.items():
        if value is None:
            live.pop(key, None)
        elif not (named and key.startswith("$")):
            live[key] = merged(live.get(key), value, named=named)
    return live


def written(value: Any) -> Any:
    """As Go writes it: 30.0 is 30."""
    if isinstance(value, dict):
        return {key: written(one) for key, one in value.items()}
    if isinstance(value, list):
        return [written(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
