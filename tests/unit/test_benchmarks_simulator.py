"""The benchmark's own sums: what a policy saves at equal attainment."""

from dataclasses import replace

import pytest
from benchmarks.simulator import example, guide, made, money

from stoker.simulator.scenario import Scenario
from stoker.units import Range

MOST = 4


def scenario() -> Scenario:
    """Less than a minute of a load that one replica cannot bear."""
    return example(made(3000, 20.0, 800, 300), speed=4.0)


def test_the_guides_setting_saves_nothing_over_itself() -> None:
    same = replace(scenario(), replicas=Range(1, MOST), policy=guide(MOST))
    found = money(same, MOST)
    assert found.ratio == pytest.approx(1.0)
    assert (found.hours, found.attainment) == (found.guide, found.guide_attainment)


def test_a_fleet_of_the_highest_number_is_dearer_and_keeps_more() -> None:
    fixed = replace(scenario(), replicas=Range(MOST, MOST), policy=None)
    found = money(fixed, MOST)
    assert found.attainment >= found.guide_attainment
    assert found.equal is not None
    assert found.ratio is not None
    assert found.ratio >= 1.0 - 1e-9


def test_what_the_guide_never_reaches_has_no_ratio() -> None:
    fixed = replace(scenario(), replicas=Range(MOST, MOST), policy=None)
    found = money(fixed, 1)  # the guide's may have one replica
    assert found.guide_attainment < found.attainment
    assert (found.equal, found.ratio) == (None, None)
