from __future__ import annotations

import numpy as np
import pytest

from forecasting.alarm_evidence import (
    confirmations,
    trend_reaches,
    turned_back,
    with_precedents,
    within_reach,
    worth_forecasting,
)
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


def test_flat_lines_far_from_the_limit_are_not_worth_a_forecast():
    flat, high, rising = np.full(20, 10.0), np.full(20, 60.0), np.linspace(0.0, 20.0, 20)
    unknown = np.full(20, np.nan)

    found = worth_forecasting(np.stack([flat, high, rising, unknown]), np.full(4, 100.0))

    # Rising by 20 / 19 a step: 20 + 120 × 1.05 = 146.
    assert found.tolist() == [False, True, True, False]


def test_calm_signals_cannot_reach_a_limit_that_is_many_moves_away():
    rng = np.random.default_rng(1)
    calm = 60.0 + rng.normal(0.0, 0.1, 400)
    lively = 60.0 + 14.0 * np.sin(np.arange(400) / 30.0)
    near = np.full(400, 90.0)
    begins = np.concatenate([np.full(392, 60.0), 60.0 + np.arange(1.0, 9.0)])

    found = within_reach(np.stack([calm, lively, near, begins]), np.full(4, 100.0), 64)

    assert found.tolist() == [False, True, True, True]


def test_precedents_are_turns_back_from_as_near():
    teeth = np.tile(np.linspace(20.0, 92.0, 37), 6)[: 5 * 37 + 35]  # ends at 88, five teeth went up to 92
    leak = np.linspace(20.0, 88.0, teeth.size)

    survived, hit = turned_back(np.stack([teeth, leak]), np.full(2, 100.0))

    assert survived.tolist() == [5.0, 0.0]
    assert hit.tolist() == [0.0, 0.0]


def test_a_history_of_failures_is_no_comfort():
    teeth = np.tile(np.concatenate([np.linspace(20.0, 100.0, 30), np.full(10, 20.0)]), 3)
    now = np.concatenate([teeth, np.linspace(20.0, 80.0, 20)])

    survived, hit = turned_back(now[None], np.asarray([100.0]))

    assert (survived.tolist(), hit.tolist()) == ([0.0], [3.0])


def test_a_trend_counts_where_it_explains_its_points():
    line = 50.0 + 2.0 * np.arange(15.0)  # 78 at the newest point: 11 steps to 100
    noisy = line + 20.0 * np.cos(np.pi * np.arange(15.0))
    falling, gap = line[::-1], np.where(np.arange(15) == 7, np.nan, line)

    found = trend_reaches(np.stack([line, noisy, falling, gap]), np.full(4, 100.0), (10, 11, 60))

    assert found.tolist() == [[0.0, 1.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    assert not trend_reaches(line[None, 1:], np.asarray([100.0]), (60,)).any()  # too few points


def test_a_fall_from_the_brink_was_a_kill_between_two_scrapes():
    # 10 a minute: the sample after 95 would have been 105.
    leak = np.concatenate([np.arange(25.0, 96.0, 10.0), np.full(30, 20.0), np.arange(30.0, 81.0, 10.0)])
    heap = np.concatenate([np.arange(25.0, 86.0, 10.0), np.full(30, 20.0), np.arange(30.0, 81.0, 10.0)])

    found = [turned_back(values[None], np.asarray([100.0])) for values in (leak, heap)]

    assert [(survived.tolist(), hit.tolist()) for survived, hit in found] == [([0.0], [1.0]), ([1.0], [0.0])]


def test_chances_shrink_with_every_turn_back_and_grow_back_with_failures():
    chance = np.asarray([[0.9, 0.6]] * 3)

    informed = with_precedents(chance, np.asarray([0.0, 2.0, 2.0]), np.asarray([0.0, 0.0, 3.0]))

    # 1/(1 + 2) of it; (1 + 3)/(1 + 3 + 2) of it.
    assert informed == pytest.approx(np.asarray([[0.9, 0.6], [0.3, 0.2], [0.6, 0.4]]))


def test_forecasts_in_a_row_are_counted_with_hysteresis():
    counts, seen = np.zeros(1, dtype=np.intp), []
    for chance in (0.7, 0.8, 0.5, np.nan, 0.9, 0.2, 0.7):
        counts = confirmations(counts, np.asarray([chance]), act=0.6, release=0.3)
        seen.append(int(counts[0]))

    assert seen == [1, 2, 2, 2, 3, 0, 1]
