"""A gateway that has no time itself blames no replica."""

import time

from stoker.system.upstream import LATE_SECONDS, late


def test_a_timeout_that_comes_late_is_our_own() -> None:
    now = time.monotonic()
    assert late(now - 1.0 - 2 * LATE_SECONDS, 1.0)
    assert not late(now - 1.0, 1.0)
