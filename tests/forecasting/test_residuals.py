from __future__ import annotations

import numpy as np

from forecasting.quantiles import MEDIAN, NORMAL_SCORES, P10, P90
from forecasting.residuals import UNSEEN_SHARE, independent_share, residual_quantiles, volatility

NONE = np.zeros(1)


def test_volatility_is_the_mean_step_where_all_steps_are_alike() -> None:
    zigzag = np.asarray([[0.0, 2.0] * 50])

    # 99 steps of 2 and none before the first point.
    assert np.isclose(volatility(zigzag)[0, -1], 2.0, atol=0.05)
    assert not volatility(np.full((1, 64), 5.0)).any()


def test_alternating_errors_are_all_independent_and_lasting_ones_are_few() -> None:
    alternating = np.asarray([[[1.0, -1.0] * 50]])
    lasting = np.asarray([[[1.0] * 50 + [-1.0] * 50]])

    assert independent_share(alternating, (64,), 1)[0, 0] == 1.0
    # As few as fit in side by side, twice: 2 / 64.
    assert independent_share(lasting, (64,), 1)[0, 0] == 2.0 / 64.0


def test_without_errors_spread_grows_as_a_random_walk() -> None:
    quantiles = residual_quantiles(np.full((2, 1, 10), np.nan), NONE, (1, 16), 1)

    assert np.allclose(quantiles[0, 0], 1.25 * NORMAL_SCORES)
    assert np.allclose(quantiles[0, 1], 5.0 * NORMAL_SCORES)


def test_what_may_come_unseen_widens_leads_without_errors_only() -> None:
    errors = np.repeat(np.random.default_rng(0).normal(size=(1, 1, 2000)), 2, axis=0)

    seen = residual_quantiles(errors, np.ones(1), (1, 16), 1)
    errors[1] = np.nan
    unseen = residual_quantiles(errors, np.ones(1), (1, 16), 1)

    assert np.isclose(seen[0, 1, P90], 1.28, atol=0.1)
    # 16 steps: the walk's spread times 4, and 4 deviations of news beside it: sqrt(2) · 4 · 1.28.
    assert np.isclose(unseen[0, 1, P90], 7.25, atol=0.4)


def test_news_moves_no_median() -> None:
    skewed = np.random.default_rng(1).exponential(size=(2, 1, 2000))
    skewed[1] = np.nan

    quantiles = residual_quantiles(skewed, np.ones(1), (1, 16), 1)

    assert (np.diff(quantiles[0], axis=-1) >= 0.0).all()
    # ln 2 at lead 1, four times that at lead 16, faded by 1 + 0.1 · 16.
    assert np.isclose(quantiles[0, 1, MEDIAN], 4.0 * np.log(2.0) / 2.6, atol=0.15)


def test_spread_that_did_not_grow_at_short_leads_hardly_grows_at_long_ones() -> None:
    errors = np.random.default_rng(3).normal(size=(5, 1, 2000))
    errors[4] = np.nan

    quantiles = residual_quantiles(errors, NONE, (1, 4, 16, 64, 256), 1)[0]

    # Four leads with logarithms 0, 1.39, 2.77, 4.16 scatter by 9.6: a walk's half counts for 2 / (2 + 9.6), 0.086.
    assert np.isclose(quantiles[4, P90] / quantiles[3, P90], 4.0**0.086, atol=0.05)


def test_spread_never_shrinks_with_the_lead() -> None:
    errors = np.random.default_rng(2).normal(size=(3, 1, 4000)) * np.asarray([1.0, 0.2, 2.0])[:, None, None]

    width = np.diff(residual_quantiles(errors, NONE, (1, 2, 4), 1)[0][:, [P10, P90]], axis=1)[:, 0]

    assert np.isclose(width[1], width[0], rtol=0.05)
    assert width[2] > 1.8 * width[1]


def test_a_fifth_of_the_level_may_come_in_sixteen_minutes() -> None:
    assert np.isclose(UNSEEN_SHARE * np.sqrt(64), 0.2)
