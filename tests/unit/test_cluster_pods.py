"""What is read of a cluster's pods and of the events about them."""

from stoker.targets.kubernetes.pods import signs


def test_an_event_that_goes_on_is_as_new_as_its_last_time() -> None:
    """The scheduler writes the newer kind of event: what happens again is counted in its series."""
    event = {
        "type": "Warning", "reason": "FailedScheduling", "message": "0/3 nodes are available",
        "involvedObject": {"kind": "Pod", "name": "shop-1"}, "eventTime": "2026-11-02T10:00:00.000000Z",
        "series": {"count": 9, "lastObservedTime": "2026-11-02T11:00:00.000000Z"},
    }  # fmt: skip
    (found,) = signs([event], "shop")
    assert (found.count, found.subject) == (9, "Pod/shop-1")
    (first,) = signs([{**event, "series": None}], "shop")
    assert (first.count, found.last_seen - first.last_seen) == (1, 3600.0)
    assert signs([event], "other") == ()
