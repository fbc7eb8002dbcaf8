"""`predict_linear` as a distribution: the line by hand, its spread, and what is missing."""

from __future__ import annotations

import numpy as np

from forecasting.forecast import LEVELS, Floats
from forecasting.linear_trend import RANGE_STEPS, linear_quantiles
from forecasting.quantiles import MEDIAN

P90 = LEVELS.index(0.90)


def _of(values: Floats, leads: tuple[int, ...] = (1, 10), known: Floats | None = None) -> Floats:
    rows = np.atleast_2d(values)
    marks = np.ones(rows.shape, dtype=bool) if known is None else np.atleast_2d(known).astype(bool)
    return linear_quantiles(rows, marks, leads)


def test_a_straight_line_goes_on_and_is_certain() -> None:
    line = 5.0 + 2.0 * np.arange(100, dtype=np.float64)

    assert np.allclose(_of(line)[0], [[205.0 + 0.0], [203.0 + 20.0]])


def test_only_the_newest_points_count() -> None:
    bent = np.concatenate([1000.0 - np.arange(60.0), np.full(RANGE_STEPS, 7.0)])

    assert np.allclose(_of(bent), 7.0)


def test_least_squares_and_its_spread_are_those_worked_out_by_hand() -> None:
    """Values 0, 3, 3 at -2, -1, 0: mean 2 at -1, slope 3/2, residuals -1/2, 1, -1/2, whose variance is 1.5 / (3 - 2).

    One step ahead, 2 from the middle: 2 + 2 · 1.5 = 5, with a variance of 1.5 · (1 + 1/3 + 4/2) = 5.
    """
    quantiles = _of(np.asarray([0.0, 3.0, 3.0]), leads=(1,))[0, 0]

    assert np.isclose(quantiles[MEDIAN], 5.0)
    assert np.isclose(quantiles[P90], 5.0 + 1.28155 * np.sqrt(5.0), atol=1e-4)


def test_unknown_points_are_left_out() -> None:
    line = 2.0 * np.arange(20.0)
    holed, known = line.copy(), np.ones(20)
    holed[[3, 11]], known[[3, 11]] = 1e6, 0.0

    assert np.allclose(_of(holed, known=known), _of(line))


def test_too_few_points_stay_where_they_are() -> None:
    known = np.zeros(20)
    known[-2:] = 1.0

    assert np.allclose(_of(np.arange(20.0), known=known), 19.0)
    assert np.allclose(_of(np.arange(20.0), known=np.zeros(20)), 19.0)


def test_rows_do_not_touch_each_other() -> None:
    rows = np.stack([np.arange(50.0), np.full(50, 3.0)])

    assert np.allclose(_of(rows)[1], 3.0)
    assert np.allclose(_of(rows)[0, 0], 50.0)
