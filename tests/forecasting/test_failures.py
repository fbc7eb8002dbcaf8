from __future__ import annotations

import numpy as np
import pytest

from forecasting.failures import (
    FailureLimit,
    HittingCurve,
    SignalKind,
    certificate_curve,
    curves_of,
    failure_forecasts,
    reached,
)
from forecasting.forecast import LEVELS, Forecast, NoForecastReason
from forecasting.hitting import Direction

#: Four futures of three steps: two reach 10 (at step 2 and at step 3), two do not.
FUTURES = np.asarray([[4.0, 10.0, 11.0], [6.0, 8.0, 10.0], [4.0, 5.0, 6.0], [4.0, 4.0, 4.0]])


def forecast_of(paths, names=("memory",), unavailable=None):
    series = paths.shape[0]
    return Forecast(
        series=names,
        levels=LEVELS,
        quantiles=np.repeat(np.median(paths, axis=1)[:, :, None], len(LEVELS), axis=2),
        paths=paths,
        issued_at_s=1000.0,
        last_at_s=1000.0,
        step_s=60.0,
        model="test",
        coverage=np.full(series, np.nan),
        skill=np.full(series, np.nan),
        unavailable=unavailable or {},
    )


def test_a_failure_forecast_tells_how_likely_and_when():
    limit = FailureLimit("memory", SignalKind.MEMORY, 10.0)

    (found,) = failure_forecasts(forecast_of(FUTURES[None]), [limit], np.asarray([4.0]))

    assert found.curve.cdf.tolist() == [0.0, 0.0, 0.25, 0.5]
    assert found.curve.by(1000.0 + 150.0) == pytest.approx(0.375)
    assert found.value == 4.0
    # A tenth and half of four futures are the first and the second to arrive, after 2 and 3 steps.
    assert (found.earliest_s, found.likely_s, found.latest_s) == (120.0, 180.0, float("inf"))
    # One in the middle of the second step, one in the middle of the third: (90 + 150) / 2.
    assert found.expected_s == pytest.approx(120.0)
    assert found.trusted_until_s == 1180.0


def test_what_no_future_reaches_has_no_expected_time():
    limit = FailureLimit("memory", SignalKind.MEMORY, 99.0)

    (found,) = failure_forecasts(forecast_of(FUTURES[None]), [limit], np.asarray([4.0]))

    assert found.expected_s is None
    assert found.curve.by(9e9) == 0.0


def test_a_limit_behind_the_horizon_is_met_by_carrying_on():
    rising = np.asarray([[[1.0, 2.0, 3.0, 4.0]]])
    limit = FailureLimit("disk", SignalKind.DISK, 6.0)

    (near,) = failure_forecasts(forecast_of(rising, ("disk",)), [limit], np.asarray([0.0]))
    (far,) = failure_forecasts(forecast_of(rising, ("disk",)), [limit], np.asarray([0.0]), beyond_steps=4)

    assert near.likely_s == float("inf")
    assert far.likely_s == 360.0
    assert far.trusted_until_s == near.trusted_until_s == 1240.0


def test_what_sinks_fails_below_its_limit():
    limits = [
        FailureLimit("free", SignalKind.DISK, 2.0, Direction.DOWN),
        FailureLimit("used", SignalKind.DISK, 9.0),
    ]
    paths = np.asarray([[[5.0, 3.0, 1.0]], [[5.0, 7.0, 8.0]]])

    free, used = failure_forecasts(forecast_of(paths, ("free", "used")), limits, np.asarray([6.0, 4.0]))

    assert free.curve.cdf.tolist() == [0.0, 0.0, 0.0, 1.0]
    assert free.likely_s == 150.0  # from 3 to 1, half of the third step
    assert used.curve.cdf.tolist() == [0.0, 0.0, 0.0, 0.0]


def test_series_without_forecast_have_no_answer():
    paths = np.asarray([FUTURES, np.full_like(FUTURES, np.nan)])
    forecast = forecast_of(paths, ("memory", "gone"), {"gone": NoForecastReason.STALE})
    limits = [FailureLimit(name, SignalKind.MEMORY, 10.0) for name in ("gone", "memory", "never-asked")]

    found = failure_forecasts(forecast, limits, np.full(3, np.nan))

    assert [answer.about.series for answer in found] == ["memory"]
    assert found[0].value is None


def test_what_is_at_its_limit_has_failed_by_now():
    assert reached(FUTURES[None], np.asarray([3.0]), np.asarray([4.0])).tolist() == [[1.0, 1.0, 1.0, 1.0]]


def test_unknown_futures_have_no_curve():
    (curve,) = curves_of(np.full((1, 4, 3), np.nan), np.asarray([10.0]), np.asarray([4.0]), 0.0, 60.0)

    assert curve is None


def test_the_median_is_the_first_time_with_half_of_the_futures():
    curve = HittingCurve(np.asarray([0.0, 60.0, 120.0]), np.asarray([0.0, 0.4, 0.6]))

    assert curve.median_s == 120.0
    assert HittingCurve(curve.times_s, np.asarray([0.0, 0.1, 0.2])).median_s == float("inf")


def test_a_certificate_ends_when_it_says():
    curve = certificate_curve(not_after_s=5000.0, now_s=1000.0, horizon_s=86_400.0)

    assert curve.by(4999.0) == 0.0
    assert curve.by(5000.0) == curve.by(80_000.0) == 1.0
    assert curve.median_s == 5000.0


@pytest.mark.parametrize(("not_after_s", "chance"), [(900.0, 1.0), (1000.0, 1.0), (1e9, 0.0)])
def test_a_certificate_that_has_ended_or_lasts(not_after_s, chance):
    assert certificate_curve(not_after_s, now_s=1000.0, horizon_s=3600.0).by(2000.0) == chance
