from __future__ import annotations

import numpy as np
import pytest

from forecasting.forecast import Floats, ForecastRequest, NoForecastReason, SeriesKind
from forecasting.history import clean, rates

NAN = float("nan")


def _request(rows: list[list[float]], kind: SeriesKind = SeriesKind.GAUGE, **more: object) -> ForecastRequest:
    values = np.asarray(rows, dtype=np.float64)
    names = tuple(f"series-{place}" for place in range(len(rows)))
    base = ForecastRequest(names, values, 15.0, 600.0, 4, (kind,) * len(rows))
    return ForecastRequest(**{**{name: getattr(base, name) for name in base.__slots__}, **more})


def _given(values: Floats, points: int) -> Floats:
    """The columns of a padded history that were in the request."""
    return values[:, -points:]


def test_short_gap_is_bridged_by_a_straight_line_and_counts_as_known() -> None:
    row = [1.0, 2.0, 3.0, NAN, NAN, 9.0, 1.0, 1.0, 1.0, 1.0]

    history = clean(_request([row]), now_s=600.0)

    # From 3 to 9 in three steps: 5, 7.
    assert _given(history.values, 10)[0, 3:5].tolist() == [5.0, 7.0]
    assert _given(history.known, 10)[0].all()


def test_long_gap_stays_unknown() -> None:
    row = [1.0] * 8 + [NAN] * 5 + [7.0, 7.0]

    history = clean(_request([row]), now_s=600.0)

    assert _given(history.known, 15)[0].tolist() == [True] * 8 + [False] * 5 + [True] * 2
    assert np.isfinite(history.values).all()


def test_gap_at_the_end_is_carried_on_and_counted() -> None:
    row = [1.0] * 9 + [4.0, NAN, NAN]

    history = clean(_request([row]), now_s=600.0)

    assert history.gap_steps.tolist() == [2]
    assert _given(history.values, 12)[0, -2:].tolist() == [4.0, 4.0]
    assert not history.known[0, -2:].any()


def test_counter_becomes_a_rate_and_survives_a_reset() -> None:
    counter = np.asarray([[100.0, 130.0, 160.0, 15.0, 45.0]])

    per_second = rates(counter, step_s=15.0)

    # +30, +30, restart from zero to 15, +30; each over 15 s. The first point has no rate.
    assert np.isnan(per_second[0, 0])
    assert per_second[0, 1:].tolist() == [2.0, 2.0, 1.0, 2.0]


def test_counter_increase_over_a_gap_is_spread_over_it() -> None:
    counter = np.asarray([[0.0, NAN, NAN, 90.0]])

    per_second = rates(counter, step_s=15.0)

    assert per_second[0, 3] == 2.0  # 90 in 45 s
    assert np.isnan(per_second[0, :3]).all()


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        pytest.param([NAN] * 20, NoForecastReason.ALL_MISSING, id="nothing-known"),
        pytest.param([NAN] * 13 + [1.0] * 7, NoForecastReason.TOO_SHORT, id="seven-points"),
        pytest.param([1.0] * 20 + [NAN] * 11, NoForecastReason.STALE, id="newest-11-steps-old"),
        pytest.param([1.0] * 20 + [np.inf], NoForecastReason.NOT_FINITE, id="infinite-now"),
        pytest.param([1.0, np.inf, -np.inf, np.inf] * 5 + [1.0], NoForecastReason.NOT_FINITE, id="often-infinite"),
    ],
)
def test_names_the_reason_for_no_forecast(row: list[float], reason: NoForecastReason) -> None:
    history = clean(_request([row]), now_s=600.0)

    assert history.unavailable == {"series-0": reason}
    assert history.rows.size == 0


def test_history_without_points_is_empty() -> None:
    history = clean(_request([[], []]), now_s=600.0)

    assert set(history.unavailable.values()) == {NoForecastReason.EMPTY}


def test_ten_steps_old_is_not_yet_stale() -> None:
    assert clean(_request([[1.0] * 20 + [NAN] * 10]), now_s=600.0).unavailable == {}


def test_late_reading_counts_as_age() -> None:
    # 8 unknown steps at the end and 45 s = 3 steps since then: 11 steps.
    late = clean(_request([[1.0] * 20 + [NAN] * 8]), now_s=645.0)

    assert late.unavailable == {"series-0": NoForecastReason.STALE}


def test_single_old_infinity_is_a_gap() -> None:
    row = [1.0] * 10 + [np.inf] + [1.0] * 20

    history = clean(_request([row]), now_s=600.0)

    assert history.unavailable == {}
    assert (_given(history.values, 31) == 1.0).all()


def test_censored_points_are_known_but_not_judged() -> None:
    censored = np.zeros((1, 10), dtype=bool)
    censored[0, 4] = True

    history = clean(_request([[1.0] * 10], censored=censored), now_s=600.0)

    assert _given(history.known, 10).all()
    assert np.flatnonzero(~_given(history.judged, 10)[0]).tolist() == [4]
