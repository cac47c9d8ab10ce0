"""A claim to a fleet as the API keeps it, and as it is read back."""

import pytest

from stoker.errors import UsageError
from stoker.targets.kubernetes import claim
from stoker.targets.kubernetes.replica_count import alone

NOTES = {claim.VERB: "scale", claim.BY: "ada@desk", claim.WANTED: '{"name": "shop"}'}
FIELDS = {
    "holderIdentity": "ada@desk/7-ab",
    "acquireTime": "2026-11-27T12:00:00.000000Z",
    "renewTime": "2026-11-27T12:00:05.250000Z",
}


def test_times_have_six_digits_of_a_second() -> None:
    """As a MicroTime is parsed: with any other number of them the object is refused."""
    assert claim._written(0) == "1970-01-01T00:00:00.000000Z"
    assert claim._written(1.5) == "1970-01-01T00:00:01.500000Z"


@pytest.mark.parametrize(("kind", "part"), [("Lease", "spec"), ("ConfigMap", "data")])
def test_a_lease_and_what_stands_for_one_are_read_alike(kind: str, part: str) -> None:
    found = claim.read({"kind": kind, "metadata": {"annotations": NOTES}, part: dict(FIELDS)})
    assert (found.holder, found.by, found.verb) == ("ada@desk/7-ab", "ada@desk", "scale")
    assert found.renewed - found.since == pytest.approx(5.25)
    assert found.wanted == {"name": "shop"}
    assert str(found) == "ada@desk's `scale`"


def test_one_that_somebody_has_spoilt_is_nobodys() -> None:
    notes = {claim.WANTED: "[not json"}
    found = claim.read({"kind": "Lease", "metadata": {"annotations": notes}, "spec": {"renewTime": "soon"}})
    assert (found.holder, found.renewed, found.wanted) == ("", 0.0, None)


@pytest.mark.parametrize(
    ("said", "only"),
    [
        (
            'Apply failed with 1 conflict: conflict with "kubectl" with subresource "scale" using apps/v1: '
            ".spec.replicas",
            True,
        ),
        (
            'Apply failed with 1 conflict: conflict with "kubectl-set" using apps/v1: '
            '.spec.template.spec.containers[name="engine"].image',
            False,
        ),
        (
            'Apply failed with 2 conflicts: conflicts with "kubectl" using apps/v1:\n- .spec.replicas\n- '
            ".spec.paused",
            False,
        ),
    ],
)
def test_whether_the_count_alone_is_in_another_hand(said: str, only: bool) -> None:
    assert alone(UsageError("x", why=said)) is only
