from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from forecasting.failures import SignalKind
from forecasting.forecast import LEVELS, Forecast
from simulation.failure_episodes import Episode, panel_of
from simulation.failure_methods import WITHIN_MIN, ByForecast, ByTrend
from simulation.failure_rules import ByChangePoint, ByLevel, ByLine


@dataclass
class StraightOn:
    """Carries the last rise on in every sample, and keeps what it was asked; its state counts the times."""

    fell_back: bool = False
    asked: list[tuple[float, tuple[str, ...], int]] = field(default_factory=list)

    def forecast(self, request, state, now_s, rng):
        self.asked.append((request.last_at_s / 60.0, request.series, state or 0))
        rise = request.values[:, -1] - request.values[:, -2]
        line = request.values[:, -1, None] + rise[:, None] * np.arange(1, request.horizon_steps + 1)
        paths = np.repeat(line[:, None], request.samples, axis=1)
        unknown = np.full(len(request.series), np.nan)
        quantiles = np.repeat(line[:, :, None], len(LEVELS), axis=2)
        forecast = Forecast(
            request.series, LEVELS, quantiles, paths, now_s, request.last_at_s, 60.0, "fake", unknown, unknown
        )
        return replace(forecast, fell_back=self.fell_back), (state or 0) + 1

    def dump(self, state):
        return state

    def load(self, dumped):
        return dumped


def episode(values, name="e", limit=100.0, watched_from=40):
    return Episode(name, name, SignalKind.MEMORY, "t", "s", np.asarray(values), limit, watched_from)


RISING = np.concatenate([np.full(50, 20.0), 20.0 + np.arange(1.0, 31.0)])  # one a minute from minute 50 on
FLAT = np.full(80, 20.0)


def test_chances_come_from_the_futures_that_reach_the_limit():
    panel, forecaster = panel_of([episode(RISING)]), StraightOn()

    scores = ByForecast("fake", lambda: forecaster).scores(panel, every=1).scores

    # At minute 79 the value is 50: 50 minutes are left; at minute 69 it is 40 and 60 are left.
    assert [scores[v, 0, 39].item() for v in range(len(WITHIN_MIN))] == [0.0, 0.0, 0.0, 1.0]
    assert (scores[3, 0, 28].item(), scores[3, 0, 29].item()) == (0.0, 1.0)


def test_signals_that_are_not_worth_a_forecast_have_no_chance_and_are_not_asked_about():
    panel, forecaster = panel_of([episode(FLAT, "flat"), episode(RISING, "rising")]), StraightOn()

    scores = ByForecast("fake", lambda: forecaster).scores(panel, every=1).scores

    assert {name for _, names, _ in forecaster.asked for name in names} == {"rising"}
    assert (scores[:, 0] == 0.0).all()


def test_calm_signals_are_looked_at_now_and_then_and_suspicious_ones_every_minute():
    panel, forecaster = panel_of([episode(RISING)]), StraightOn()

    scores = ByForecast("fake", lambda: forecaster).scores(panel, every=10).scores[3, 0]

    # Regular looks at minutes 40, 50, 60 and 70, at which the chance becomes 1 and stays under observation.
    assert np.flatnonzero(np.isfinite(scores)).tolist() == [0, 10, 20, 30, *range(31, 40)]
    regular = [state for minute, _, state in forecaster.asked if minute in (60.0, 70.0)]
    between = {state for minute, _, state in forecaster.asked if minute > 70.0}
    assert regular == [0, 1]
    assert between == {2}  # looks in between learn nothing


def test_precedents_lower_the_chances_of_what_has_turned_back_before():
    teeth = np.concatenate([np.tile(np.linspace(20.0, 90.0, 36), 3), np.linspace(20.0, 84.0, 33)])
    panel = panel_of([episode(teeth, watched_from=140)])

    plain = ByForecast("fake", StraightOn, precedents=False).scores(panel, every=1).scores
    informed = ByForecast("fake", StraightOn).scores(panel, every=1).scores

    assert plain[0, 0, 0].item() == 1.0
    assert informed[0, 0, 0].item() == pytest.approx(0.25)  # it turned back three times


def test_a_model_that_failed_is_reported():
    panel = panel_of([episode(RISING)])

    assert ByForecast("fake", lambda: StraightOn(fell_back=True)).scores(panel, every=1).fell_back
    assert not ByForecast("fake", StraightOn).scores(panel, every=1).fell_back


def test_a_clear_trend_is_taken_at_its_word_by_half_of_the_variants():
    flat = np.full(4, 20.0)  # what this forecaster says of a series that stands still in its last step
    values = np.concatenate([np.full(50, 20.0), 20.0 + 3.0 * np.arange(1.0, 20.0), [77.0], flat])[:70]
    panel = panel_of([episode(values)])
    method = ByForecast("fake", StraightOn)

    scores = method.scores(panel, every=1).scores[:, 0, -1]

    # The last step does not rise, so no future does; the trend of three a minute is there in eight minutes.
    assert scores[: len(WITHIN_MIN)].tolist() == [0.0, 0.0, 0.0, 0.0]
    assert scores[len(WITHIN_MIN) :].tolist() == [1.0, 1.0, 1.0, 1.0]


def test_the_trend_alone_needs_no_forecaster():
    panel = panel_of([episode(RISING)])

    scores = ByTrend().scores(panel, every=1).scores[:, 0]

    # Rising by one a minute since minute 50; at minute 79 the value is 50.
    assert scores[:, -1].tolist() == [0.0, 0.0, 0.0, 1.0]
    assert not scores[:, :10].any()


def test_lines_and_levels_are_read_as_shares_of_the_limit():
    panel = panel_of([episode(RISING)])

    line, level = ByLine().scores(panel, every=1).scores, ByLevel().scores(panel, every=1).scores
    variant = ByLine().variants.index("15 min back, 30 min ahead")

    assert level[0, 0, -1].item() == pytest.approx(0.5)
    assert line[variant, 0, -1].item() == pytest.approx(0.8)
    assert line[ByLine().variants.index("15 min back, 30 min ahead, above 60% of the limit"), 0, -1].item() == 0.0


def test_the_change_point_method_reads_the_last_segment_only():
    panel = panel_of([episode(np.concatenate([np.full(200, 20.0), 20.0 + np.arange(1.0, 41.0)]))])

    scores = ByChangePoint().scores(panel, every=1).scores
    variant = ByChangePoint().variants.index("30 min ahead, R² from 0.8 on")

    assert scores[variant, 0, -1].item() == pytest.approx(0.9)
