from __future__ import annotations

import numpy as np

from forecasting.baselines import FILTERS, anchor_level, filtered, filtered_at, growth, seasonal


def _row(name: str) -> int:
    return next(place for place, baseline in enumerate(FILTERS) if baseline.name == name)


def test_random_walk_says_the_last_value() -> None:
    levels, slopes = filtered(np.asarray([[1.0, 5.0, 2.0]]))

    assert levels[_row("random-walk"), 0].tolist() == [1.0, 5.0, 2.0]
    assert not slopes[_row("random-walk")].any()


def test_level_moves_half_way_in_one_half_life() -> None:
    # A step from 0 to 1 just after the first point; after two points a half-life of two has passed.
    levels, _ = filtered(np.asarray([[0.0, 1.0, 1.0, 1.0, 1.0]]))

    assert np.isclose(levels[_row("level-2"), 0, 2], 0.5)
    assert np.isclose(levels[_row("level-2"), 0, 4], 0.75)


def test_trends_follow_a_line_exactly_once_settled() -> None:
    line = 5.0 + 2.0 * np.arange(512.0)[None]

    levels, slopes = filtered(line)

    for name in ("trend-2", "line-6", "line-16", "line-32"):
        assert np.isclose(slopes[_row(name), 0, -1], 2.0, rtol=1e-3), name
        assert np.isclose(levels[_row(name), 0, -1], 5.0 + 2.0 * 511, rtol=1e-3), name


def test_straight_line_grows_by_the_lead_and_damped_trend_by_less() -> None:
    factors = growth((1, 10))

    assert factors[_row("line-32")].tolist() == [1.0, 10.0]
    assert np.isclose(factors[_row("trend-2"), 0], 0.97)
    # 0.97 + 0.97² + … + 0.97¹⁰ = 0.97 (1 - 0.97¹⁰) / 0.03 = 8.490
    assert np.isclose(factors[_row("trend-2"), 1], 8.490, atol=1e-3)
    assert factors[_row("level-6")].tolist() == [0.0, 0.0]


def test_newest_points_agree_with_the_whole_pass() -> None:
    values = np.random.default_rng(0).normal(size=(3, 128)).cumsum(axis=1)

    levels, slopes = filtered(values)
    some_levels, some_slopes = filtered_at(values, (0, 7))

    assert np.allclose(some_levels, levels[:, :, [127, 120]])
    assert np.allclose(some_slopes, slopes[:, :, [127, 120]])


def test_filters_hold_at_huge_values_and_full_length() -> None:
    levels, slopes = filtered(np.full((1, 1024), 1e15))

    assert (levels == 1e15).all()
    assert not slopes.any()


def test_seasonal_naive_repeats_the_last_cycle_beyond_its_length() -> None:
    values = np.asarray([[1.0, 2.0, 3.0, 4.0] * 4])
    leads = np.arange(1, 9)

    naive, shifted = seasonal(values, anchor_level(values), np.asarray([4]), np.full(8, 15), leads)

    assert naive[0].tolist() == [1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, 4.0]
    assert np.allclose(shifted, naive, atol=0.1)


def test_shifted_cycle_stands_on_todays_level() -> None:
    cycles = np.asarray([[1.0, 2.0, 3.0, 4.0] * 4])
    cycles[:, 12:] += 10.0
    level = np.where(np.arange(16) >= 12, 10.0, 0.0)[None]

    naive, shifted = seasonal(cycles, level, np.asarray([4]), np.asarray([14]), np.asarray([1]))

    # One cycle and two cycles back a 4 followed at level 0; today's level is 10.
    assert naive[0, 0] == 4.0
    assert shifted[0, 0] == 14.0


def test_no_cycle_behind_means_no_seasonal_forecast() -> None:
    values = np.arange(16.0)[None]

    naive, shifted = seasonal(values, values, np.asarray([0]), np.asarray([15]), np.asarray([1]))

    assert np.isnan(naive).all()
    assert np.isnan(shifted).all()
