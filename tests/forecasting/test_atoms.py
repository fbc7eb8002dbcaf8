"""Forecasts near a value that keeps coming back mean that value."""

from __future__ import annotations

import numpy as np

from forecasting.atoms import snapped


def all_known(values: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    return np.ones(values.shape, dtype=bool)


def test_a_hair_above_zero_is_zero_where_zeros_are_usual() -> None:
    values = np.asarray([[0.0, 0.0, 1.0, 0.0, 0.0, 3.0, 0.0, 0.0]])
    quantiles = np.asarray([[[-0.2, 0.01, 0.49, 0.51, 2.0]]])
    np.testing.assert_array_equal(snapped(quantiles, values, all_known(values)), [[[0.0, 0.0, 0.0, 0.51, 2.0]]])


def test_a_series_without_repetition_is_left_alone() -> None:
    values = np.random.default_rng(0).random((3, 200))
    quantiles = np.random.default_rng(1).random((3, 5, 7))
    np.testing.assert_array_equal(snapped(quantiles, values, all_known(values)), quantiles)


def test_a_usual_level_in_the_middle_is_an_atom_too() -> None:
    values = np.asarray([[5.0] * 10 + [1.0, 9.0]])
    quantiles = np.asarray([[[2.9, 3.1, 4.0, 6.9, 7.1]]])
    # 5 is four away from both others: what lies within two of it is 5.
    np.testing.assert_array_equal(snapped(quantiles, values, all_known(values)), [[[2.9, 5.0, 5.0, 5.0, 7.1]]])


def test_unknown_points_make_no_atom() -> None:
    values = np.asarray([[0.0] * 5 + [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0]])
    known = values > 0.0
    quantiles = np.asarray([[[0.1, 0.2]]])
    np.testing.assert_array_equal(snapped(quantiles, values, known), quantiles)


def test_what_was_seen_long_ago_still_says_how_far_apart_values_lie() -> None:
    values = np.zeros((1, 3000))
    values[0, 5] = 1.0
    quantiles = np.asarray([[[0.1, 0.4, 0.6]]])
    np.testing.assert_array_equal(snapped(quantiles, values, all_known(values)), [[[0.0, 0.0, 0.6]]])


def test_order_is_kept() -> None:
    rng = np.random.default_rng(3)
    values = rng.poisson(0.4, (20, 300)).astype(np.float64)
    quantiles = np.sort(rng.normal(0.5, 1.0, (20, 6, 25)), axis=2)
    assert (np.diff(snapped(quantiles, values, all_known(values)), axis=2) >= 0.0).all()
