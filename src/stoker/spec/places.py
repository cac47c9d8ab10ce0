"""Where a field stands: findings carry a field's path, and get their place in the file once, at the edge."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace

from stoker.errors import StokerError
from stoker.findings import Finding
from stoker.spec.nouns import ServeSpec

_OR = " or "
_FIELDS = frozenset(field.name for field in fields(ServeSpec))


def any_of(*paths: str) -> str:
    """Several paths, of which the first that stands in the file is meant."""
    return _OR.join(paths)


def place_of(spec: ServeSpec, path: str) -> str:
    """Where a field stands, or the first of `any_of`; empty where it does not."""
    found = (spec.origin.get(one) for one in path.split(_OR))
    return str(next((place for place in found if place is not None), ""))


def in_file(finding: Finding, spec: ServeSpec) -> Finding:
    """The finding with the place of the field that it names; as it is, where it names none."""
    if finding.at.split(".")[0].split(_OR)[0] not in _FIELDS:
        return finding
    return replace(finding, at=place_of(spec, finding.at))


@contextmanager
def placed(spec: ServeSpec) -> Iterator[None]:
    """What is wrong with the spec's fields leaves with their places in the file."""
    try:
        yield
    except StokerError as error:
        raise type(error)(in_file(error.finding, spec)) from error.__cause__
