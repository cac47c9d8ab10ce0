"""A finding carries a field's path, and leaves with the place where the field stands."""

import pytest

from stoker.errors import DoesNotFit, PortTaken, StokerError, UsageError
from stoker.spec import load
from stoker.spec.places import any_of, placed

SPEC = load("model: demo\nreplicas: 2\nkubernetes: {disk: {type: pd-ssd}}\n", "f.yaml")


@pytest.mark.parametrize(
    ("path", "at"),
    [
        ("replicas", "f.yaml:2:1"),
        ("kubernetes.disk.type", "f.yaml:3:21"),
        ("kubernetes.disk.size", ""),
        (any_of("kubernetes.gateway", "kubernetes.disk"), "f.yaml:3:14"),
        (any_of("hardware.gpu", "hardware"), ""),
        ("f.yaml:9:9", "f.yaml:9:9"),
        ("", ""),
    ],
)
def test_a_path_becomes_a_place(path: str, at: str) -> None:
    with pytest.raises(UsageError) as caught, placed(SPEC):
        raise UsageError("what", why="why", fix="fix", at=path, rule="a-rule")
    found = caught.value.finding
    assert (found.at, found.what, found.why, found.fix, found.rule) == (at, "what", "why", "fix", "a-rule")


@pytest.mark.parametrize("kind", [PortTaken, DoesNotFit, StokerError])
def test_an_error_stays_what_it_is(kind: type[StokerError]) -> None:
    with pytest.raises(StokerError) as caught, placed(SPEC):
        raise kind("what", at="replicas")
    assert type(caught.value) is kind
    assert caught.value.finding.at == "f.yaml:2:1"
