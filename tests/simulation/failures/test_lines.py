from __future__ import annotations

import numpy as np
import pytest

from simulation.failure_lines import line_since_change, trailing_line


def test_a_line_is_found_at_every_point():
    values = np.stack([2.0 + 0.5 * np.arange(50.0), np.full(50, 7.0)])

    line = trailing_line(values, 10)

    assert line.slope[0, 1:] == pytest.approx(np.full(49, 0.5))
    assert line.level[0, 1:] == pytest.approx(values[0, 1:])
    assert line.r2[0, 5] == pytest.approx(1.0)
    assert line.slope[1, -1] == pytest.approx(0.0)
    assert np.isnan(line.slope[:, 0]).all()


def test_a_line_agrees_with_least_squares():
    rng = np.random.default_rng(0)
    values = rng.normal(0.0, 1.0, (1, 40)) + 100.0

    slope, level = np.polyfit(np.arange(-14.0, 1.0), values[0, -15:], 1)

    line = trailing_line(values, 15)
    assert (line.slope[0, -1], line.level[0, -1]) == pytest.approx((slope, level))


def test_missing_points_are_left_out():
    values = np.asarray([[np.nan, np.nan, 1.0, np.nan, 3.0]])

    line = trailing_line(values, 5)

    assert (line.slope[0, -1], line.level[0, -1]) == pytest.approx((1.0, 3.0))


def test_the_line_since_the_change_forgets_what_lay_before_it():
    values = np.concatenate([np.full(300, 10.0), 10.0 + 2.0 * np.arange(1.0, 41.0)])[None]

    found = line_since_change(values)

    assert found.slope[0, -1] == pytest.approx(2.0)
    assert found.level[0, -1] == pytest.approx(90.0)
    assert trailing_line(values, 340).slope[0, -1] < 0.3


def test_noise_is_not_cut_into_segments():
    values = np.random.default_rng(1).normal(0.0, 1.0, (1, 480))

    # Over 480 points the slope of pure noise has a deviation of sqrt(12) / 480 ** 1.5 = 0.0003.
    assert abs(line_since_change(values).slope[0, -1]) < 0.0015
