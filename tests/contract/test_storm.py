"""Bad days in short: the storm of `benchmarks/storm.py` for a while, on two fleets."""

from benchmarks import storm


def test_nothing_is_lost_and_nothing_is_stuck() -> None:
    assert storm.main(["--minutes", "0.4", "--fleets", "2", "--seed", "20"]) == 0
