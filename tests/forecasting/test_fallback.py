from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from forecasting.fallback import FallbackForecaster
from forecasting.fallback_state import FallbackState
from forecasting.forecast import (
    LEVELS,
    DeclaredEvent,
    Floats,
    Forecast,
    Forecaster,
    ForecastRequest,
    NoForecastReason,
    SeriesKind,
)
from forecasting.hitting import first_passage_s, hitting_probability

MEDIAN = LEVELS.index(0.50)
STEP_S = 15.0


def _request(values: Floats, horizon_steps: int = 64, last_at_s: float = 0.0, **more: object) -> ForecastRequest:
    names = tuple(f"series-{place}" for place in range(values.shape[0]))
    return replace(ForecastRequest(names, values, STEP_S, last_at_s, horizon_steps), **more)  # type: ignore[arg-type]


def _once(values: Floats, seed: int = 0, **more: object) -> Forecast:
    forecast, _ = FallbackForecaster().forecast(_request(values, **more), None, 0.0, np.random.default_rng(seed))
    return forecast


def _ticks(
    series: Floats, first: int, last: int, context: int = 256, state: FallbackState | None = None, **more: object
) -> tuple[list[Forecast], FallbackState | None]:
    """One forecast a step, each of the `context` points that end there."""
    forecaster = FallbackForecaster()
    forecasts = []
    for end in range(first, last):
        now_s = end * STEP_S
        request = _request(series[:, end - context : end], last_at_s=now_s, **more)
        forecast, state = forecaster.forecast(request, state, now_s, np.random.default_rng(end))
        forecasts.append(forecast)
    return forecasts, state


def _diurnal(points: int, seed: int, period: float = 160.0) -> Floats:
    rng = np.random.default_rng(seed)
    mean = 150.0 * (1.0 + 0.5 * np.sin(2 * np.pi * np.arange(points) / period))
    return rng.poisson(mean * STEP_S)[None] / STEP_S


def _pinball(forecasts: list[Forecast], series: Floats, first: int, lead: int) -> float:
    levels = np.asarray(LEVELS)
    total = 0.0
    for place, forecast in enumerate(forecasts):
        error = series[0, first + place + lead - 1] - forecast.quantiles[0, lead - 1]
        total += float(np.maximum(levels * error, (levels - 1.0) * error).mean())
    return total


def test_answers_the_port() -> None:
    forecaster: Forecaster = FallbackForecaster()

    forecast, _ = forecaster.forecast(_request(np.ones((1, 64))), None, 0.0, np.random.default_rng(0))

    assert forecast.model == "fallback"
    assert not forecast.fell_back
    assert forecast.quantiles.shape == (1, 64, len(LEVELS))
    assert forecast.paths.shape == (1, 100, 64)


@pytest.mark.parametrize("value", [0.0, 7.0, -3.0, 1e15, 1e-12], ids=["zero", "seven", "negative", "huge", "tiny"])
def test_a_constant_stays_what_it_is(value: float) -> None:
    forecast = _once(np.full((1, 100), value))

    assert forecast.unavailable == {}
    assert np.allclose(forecast.quantiles, value, rtol=1e-12)


def test_bad_series_get_a_reason_and_leave_the_others_alone() -> None:
    good = _diurnal(256, seed=1)
    values = np.concatenate([good, np.full((1, 256), np.nan), good])
    values[2, -40:] = np.nan

    forecast = _once(values)

    assert forecast.unavailable == {"series-1": NoForecastReason.ALL_MISSING, "series-2": NoForecastReason.STALE}
    assert np.isnan(forecast.quantiles[1:]).all()
    assert np.isnan(forecast.paths[1:]).all()
    assert np.isfinite(forecast.quantiles[0]).all()
    assert forecast.row("series-1") is None


def test_no_series_at_all_is_an_empty_forecast() -> None:
    forecast = _once(np.zeros((0, 64)))

    assert forecast.quantiles.shape == (0, 64, len(LEVELS))


_numbers = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(min_value=-1e3, max_value=1e3),
    st.sampled_from([0.0, 1.0, 1e15, -1e15, 1e-300, float("nan")]),
)


@settings(max_examples=80, deadline=None)
@given(
    values=hnp.arrays(np.float64, st.tuples(st.integers(1, 3), st.integers(0, 150)), elements=_numbers),
    kind=st.sampled_from(SeriesKind),
    horizon=st.integers(1, 40),
)
def test_any_history_gives_a_valid_forecast_or_a_reason(values: Floats, kind: SeriesKind, horizon: int) -> None:
    forecast = _once(values, horizon_steps=horizon, kinds=(kind,) * values.shape[0])

    for place, name in enumerate(forecast.series):
        if name in forecast.unavailable:
            assert np.isnan(forecast.quantiles[place]).all()
            continue
        assert np.isfinite(forecast.quantiles[place]).all()
        assert np.isfinite(forecast.paths[place]).all()
        assert (np.diff(forecast.quantiles[place], axis=-1) >= 0.0).all()
        if kind is not SeriesKind.GAUGE:
            assert forecast.quantiles[place].min() >= 0.0


def test_hard_limits_hold() -> None:
    walk = np.random.default_rng(3).normal(size=(1, 256)).cumsum(axis=1)
    low, high = np.asarray([walk[0, -1] - 0.5]), np.asarray([walk[0, -1] + 0.5])

    forecast = _once(walk, lower_limit=low, upper_limit=high)

    assert forecast.quantiles.min() >= low[0]
    assert forecast.paths.max() <= high[0]


def test_a_restart_in_the_middle_changes_no_forecast() -> None:
    series = np.concatenate([_diurnal(420, seed=2), _diurnal(420, seed=3, period=77.0)])
    series[1, 300:306] = np.nan
    forecaster = FallbackForecaster()

    _, state = _ticks(series, 300, 345)
    restored = forecaster.load(json.loads(json.dumps(forecaster.dump(state))))
    through, _ = _ticks(series, 345, 400, state=state)
    restarted, _ = _ticks(series, 345, 400, state=restored)

    for one, other in zip(through, restarted, strict=True):
        assert np.array_equal(one.quantiles, other.quantiles, equal_nan=True)
        assert np.array_equal(one.paths, other.paths, equal_nan=True)
        assert np.array_equal(one.coverage, other.coverage, equal_nan=True)
        assert np.array_equal(one.skill, other.skill, equal_nan=True)
        assert one.surprise is not None and other.surprise is not None
        assert np.array_equal(one.surprise, other.surprise, equal_nan=True)


def test_nothing_remembered_dumps_to_nothing() -> None:
    assert FallbackForecaster().load(FallbackForecaster().dump(None)) is None


def test_series_that_come_and_go_do_not_disturb_the_others() -> None:
    series = np.concatenate([_diurnal(300, seed=4), _diurnal(300, seed=5)])
    forecaster = FallbackForecaster()
    _, state = _ticks(series[:1], 256, 280)
    alone = _request(series[:1, 24:280], last_at_s=281 * STEP_S)
    both = replace(alone, series=("newcomer", "series-0"), values=series[::-1, 24:280])

    expected, _ = forecaster.forecast(alone, state, 281 * STEP_S, np.random.default_rng(0))
    forecast, after = forecaster.forecast(both, state, 281 * STEP_S, np.random.default_rng(0))

    assert np.allclose(forecast.quantiles[1], expected.quantiles[0])
    assert np.isfinite(forecast.quantiles[0]).all()
    assert after is not None and after.names == ("newcomer", "series-0")


def test_what_was_learned_survives_a_gap_in_the_metrics() -> None:
    series = np.repeat(_diurnal(320, seed=6), 2, axis=0)
    _, state = _ticks(series, 256, 300)
    assert state is not None
    dark = series[:, 44:300].copy()
    dark[1, -30:] = np.nan

    _, during = FallbackForecaster().forecast(
        _request(dark, last_at_s=300 * STEP_S), state, 300 * STEP_S, np.random.default_rng(0)
    )

    assert during is not None
    assert set(during.names) == {"series-0", "series-1"}
    place = during.names.index("series-1")
    assert (during.calibration.outcomes[place] == state.calibration.outcomes[1]).all()
    assert np.array_equal(during.residuals[place], state.residuals[1])


def test_trust_is_measured_and_surprise_follows_what_nobody_expected() -> None:
    series = np.concatenate([_diurnal(420, seed=11), _diurnal(420, seed=12)])
    series[1, 400:] += 500.0
    series = np.concatenate([series, np.full((1, 420), np.nan)])

    forecasts, _ = _ticks(series, 256, 403)

    before, jumped = forecasts[143], forecasts[145]  # of points up to 398, and up to 400
    for forecast in (before, jumped):
        assert forecast.coverage98 is not None and forecast.skill_linear is not None
        assert forecast.surprise is not None and forecast.drifting is not None
        assert 0.93 < forecast.coverage98[0] <= 1.0
        assert forecast.skill_linear[0] > 0.0  # a cycle is no line
        assert forecast.surprise[0] > 1e-3
        assert np.isnan(forecast.surprise[2]) and not forecast.drifting[2]
    assert before.surprise is not None and before.surprise[1] > 1e-3
    assert jumped.surprise is not None and jumped.surprise[1] < 1e-3


def test_what_is_remembered_of_each_series_for_calibration_and_drift_is_small() -> None:
    names = tuple(f"series-{row}" for row in range(8))
    series = np.repeat(_diurnal(360, seed=13), len(names), axis=0)

    _, state = _ticks(series, 256, 350, horizon_steps=64)

    dumped = FallbackForecaster().dump(state)
    assert len(json.dumps([dumped["calibration"], dumped["drift"]])) / len(names) < 1100


def test_bands_cover_what_they_promise_on_an_autoregressive_series() -> None:
    rng = np.random.default_rng(7)
    series = np.zeros((4, 760))
    for point in range(1, 760):
        series[:, point] = 0.8 * series[:, point - 1] + rng.normal(size=4)

    forecasts, _ = _ticks(series, 256, 690, horizon_steps=16)

    for lead in (1, 4, 16):
        outcomes = np.stack([series[:, 256 + place + lead - 1] for place in range(len(forecasts))])
        low = np.stack([forecast.quantile(0.1)[:, lead - 1] for forecast in forecasts])
        high = np.stack([forecast.quantile(0.9)[:, lead - 1] for forecast in forecasts])
        assert 0.74 < ((outcomes >= low) & (outcomes <= high)).mean() < 0.87, lead


def test_long_leads_keep_their_word_while_history_is_short() -> None:
    rng = np.random.default_rng(19)
    walks = 100.0 * np.exp(np.cumsum(rng.normal(scale=0.02, size=(24, 344)), axis=1))
    series = rng.poisson(walks * STEP_S) / STEP_S

    forecasts, _ = _ticks(series, 120, 280, context=120, kinds=(SeriesKind.DEMAND,) * 24)

    for lead in (20, 40, 64):
        outcomes = np.stack([series[:, 120 + place + lead - 1] for place in range(len(forecasts))])
        low = np.stack([forecast.quantile(0.1)[:, lead - 1] for forecast in forecasts])
        high = np.stack([forecast.quantile(0.9)[:, lead - 1] for forecast in forecasts])
        assert 0.8 < ((outcomes >= low) & (outcomes <= high)).mean() < 0.93, lead


def test_seasonal_series_is_forecast_far_better_than_by_its_last_value() -> None:
    series = _diurnal(620, seed=8, period=80.0)
    forecasts, _ = _ticks(series, 300, 500)

    walk = []
    for place, forecast in enumerate(forecasts):
        history = series[0, 44 + place : 300 + place]
        steps = np.quantile(history[16:] - history[:-16], LEVELS)
        walk.append(replace(forecast, quantiles=np.broadcast_to(history[-1] + steps, (1, 64, len(LEVELS)))))

    assert _pinball(forecasts, series, 300, 16) < 0.4 * _pinball(walk, series, 300, 16)


def test_measured_skill_is_positive_on_a_ramp_and_told_only_when_measured() -> None:
    series = _diurnal(620, seed=9, period=2000.0)

    forecasts, _ = _ticks(series, 256, 420)

    assert np.isnan(forecasts[0].skill[0])
    assert np.isnan(forecasts[0].coverage[0])
    assert forecasts[-1].skill[0] > 0.1
    assert 0.6 < forecasts[-1].coverage[0] <= 1.0


def test_a_ramp_is_carried_on() -> None:
    rng = np.random.default_rng(10)
    mean = np.r_[np.full(200, 100.0), 100.0 + 3.0 * np.arange(1, 61)]  # 3 requests/s more every 15 s
    series = rng.poisson(mean * STEP_S)[None] / STEP_S

    forecasts, _ = _ticks(series, 210, 261, context=200)

    # Five minutes = 20 steps on: 280 + 60. The last value alone would say 280.
    assert forecasts[-1].quantiles[0, 19, MEDIAN] == pytest.approx(340.0, abs=25.0)


def test_noise_is_not_read_as_a_trend() -> None:
    series = np.random.default_rng(11).poisson(50.0 * STEP_S, size=(1, 400)) / STEP_S

    forecasts, _ = _ticks(series, 300, 400)

    medians = np.asarray([forecast.quantiles[0, 19, MEDIAN] for forecast in forecasts])
    # One point deviates by sqrt(50 / 15) = 1.8; the level of many of them by far less.
    assert np.abs(medians - 50.0).max() < 2.5


def test_a_leak_reaches_its_limit_when_it_should() -> None:
    rng = np.random.default_rng(12)
    # 200 MiB, from point 300 on 2 MiB a step: 400 at point 400. Ends at point 370 with 340: 30 more steps.
    memory = 200.0 + np.maximum(0.0, 2.0 * (np.arange(371) - 300.0)) + rng.normal(scale=1.5, size=371)
    series = memory[None]
    limit = np.asarray([400.0])

    forecasts, _ = _ticks(series, 330, 371)

    times = first_passage_s(forecasts[-1].paths, limit, STEP_S, levels=(0.5,), current=series[:, -1])
    assert times[0, 0] / STEP_S == pytest.approx(30.0, abs=5.0)
    probability = hitting_probability(forecasts[-1].paths, limit)[0]
    assert probability[14] < 0.1
    assert probability[50] > 0.85
    before = FallbackForecaster().forecast(_request(series[:, :300]), None, 0.0, np.random.default_rng(0))[0]
    assert hitting_probability(before.paths, limit).max() == 0.0


def test_a_declared_doubling_doubles_the_median() -> None:
    series = np.random.default_rng(13).poisson(100.0 * STEP_S, size=(1, 256)) / STEP_S
    sale = DeclaredEvent("sale", 10 * STEP_S + 1.0, 1e6, 2.0)

    plain = _once(series, kinds=(SeriesKind.DEMAND,))
    declared = _once(series, kinds=(SeriesKind.DEMAND,), events=(sale,))

    assert np.allclose(declared.quantiles[:, :10], plain.quantiles[:, :10])
    assert np.allclose(declared.quantiles[:, 10:, MEDIAN], 2.0 * plain.quantiles[:, 10:, MEDIAN])
    assert np.allclose(declared.paths[:, :, 10:], 2.0 * plain.paths[:, :, 10:])


def test_running_sale_ends_in_the_forecast() -> None:
    rng = np.random.default_rng(14)
    mean = np.r_[np.full(220, 100.0), np.full(36, 300.0)]
    series = rng.poisson(mean * STEP_S)[None] / STEP_S
    # The newest point lies at 0; the sale began 36 steps before and ends 20 steps later.
    sale = DeclaredEvent("sale", -36 * STEP_S, 20 * STEP_S, 3.0)

    forecast = _once(series, kinds=(SeriesKind.DEMAND,), events=(sale,))

    assert forecast.quantiles[0, 10, MEDIAN] == pytest.approx(300.0, rel=0.06)
    assert forecast.quantiles[0, 40, MEDIAN] == pytest.approx(100.0, rel=0.06)


def test_yesterday_tells_of_a_jump_that_no_trend_shows() -> None:
    rng = np.random.default_rng(15)
    # Flat for long, then at point 330 twice as much, yesterday as today.
    day = np.r_[np.full(330, 100.0), np.full(100, 200.0)]
    series = rng.poisson(day * STEP_S)[None] / STEP_S
    forecaster = FallbackForecaster()
    state = None
    for end in range(256, 321):
        yesterday = day[end : end + 64][None]
        request = _request(
            series[:, end - 256 : end],
            last_at_s=end * STEP_S,
            kinds=(SeriesKind.DEMAND,),
            same_time_yesterday=yesterday,
        )
        forecast, state = forecaster.forecast(request, state, end * STEP_S, np.random.default_rng(end))

    # The jump lies 10 steps ahead. Yesterday is one voice among others, which were as right until now.
    assert forecast.quantiles[0, 30, MEDIAN] > forecast.quantiles[0, 5, MEDIAN] + 8.0


def test_saturated_demand_teaches_nothing() -> None:
    series = _diurnal(330, seed=16)
    capped = series.copy()
    capped[:, 279:] = 20.0  # what a saturated gateway let through
    marks = np.zeros_like(series, dtype=bool)
    marks[:, 279:] = True
    _, before = _ticks(capped, 256, 280)
    forecaster, state = FallbackForecaster(), before

    for end in range(280, 300):
        request = _request(capped[:, end - 256 : end], last_at_s=end * STEP_S, censored=marks[:, end - 256 : end])
        _, state = forecaster.forecast(request, state, end * STEP_S, np.random.default_rng(end))

    assert before is not None and state is not None
    assert np.array_equal(state.calibration.outcomes, before.calibration.outcomes)
    assert np.array_equal(state.calibration.offsets, before.calibration.offsets)


def test_another_horizon_starts_afresh() -> None:
    series = _diurnal(300, seed=17)
    _, state = _ticks(series, 256, 270)

    forecasts, _ = _ticks(series, 270, 271, state=state, horizon_steps=8)

    assert forecasts[0].steps == 8
    assert np.isnan(forecasts[0].coverage[0])


def test_spread_starts_later_where_the_newest_points_are_missing() -> None:
    walk = np.random.default_rng(18).normal(size=(1, 400)).cumsum(axis=1)
    dark = walk.copy()
    dark[:, -6:] = np.nan

    full, late = _once(walk), _once(dark)

    def width(forecast: Forecast) -> float:
        return float((forecast.quantile(0.9) - forecast.quantile(0.1))[0, 0])

    assert width(late) > 1.5 * width(full)
