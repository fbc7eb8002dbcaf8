from __future__ import annotations

import pytest

from simulation.arms import Knob
from simulation.studies.frontier import Point, cost_ratio, frontier
from simulation.studies.pareto import knob_values


def points(*pairs):
    return frontier([Point(cost, harm) for cost, harm in pairs])


def test_points_that_cost_more_and_harm_as_much_are_dropped():
    kept = points((10, 100), (12, 100), (14, 60), (16, 80), (20, 20))

    assert [(p.pod_hours, p.harm) for p in kept.points] == [(10, 100), (14, 60), (20, 20)]


def test_harm_is_read_between_points():
    line = points((10, 100), (20, 0))

    assert line.harm_at(15) == 50
    assert line.harm_at(9) is None  # cannot be had for that
    assert line.harm_at(30) == 0


def test_cost_is_read_between_points():
    line = points((10, 100), (20, 20))

    assert line.pod_hours_at(60) == 15
    assert line.pod_hours_at(10) is None  # never gets there
    assert line.pod_hours_at(500) == 10


def test_the_ratio_of_costs_is_at_equal_harm():
    # left costs 8 to 16 where right costs 10 to 20: 0.8 everywhere
    assert cost_ratio(points((8, 100), (16, 0)), points((10, 100), (20, 0))) == pytest.approx(0.8)


def test_frontiers_that_share_no_harm_have_no_ratio():
    assert cost_ratio(points((8, 100), (9, 90)), points((10, 50), (20, 0))) is None
    assert cost_ratio(points(), points((10, 50))) is None


@pytest.mark.parametrize(
    ("knob", "count", "expected"),
    [
        (Knob(30, 90, "int"), 4, (30, 50, 70, 90)),
        (Knob(3, 300, "log"), 3, (3, 30, 300)),
        (Knob(0.4, 0.8, "float"), 3, (0.4, 0.6, 0.8)),
        (Knob(1, 3, "int"), 5, (1, 2, 3)),
    ],
)
def test_knobs_are_swept_evenly_with_both_ends(knob, count, expected):
    assert knob_values(knob, count) == pytest.approx(expected)
