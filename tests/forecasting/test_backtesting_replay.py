from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from forecasting.backtesting.candidates import REFERENCE, Candidate, Training, candidates_named
from forecasting.backtesting.classical import ClassicalForecaster
from forecasting.backtesting.errors import NothingToJudge
from forecasting.backtesting.naive import random_walk
from forecasting.backtesting.replay import Conditions, cases_of, known_before, replayed
from forecasting.backtesting.result_files import markdown, notes, ranked, write_result
from forecasting.backtesting.result_json import KEYS, result_json
from forecasting.backtesting.study import Settings, backtest
from forecasting.backtesting.windows import FEWEST_CONTEXT, Spread, planned
from forecasting.fallback import FallbackForecaster
from forecasting.forecast import LEVELS, Forecast, NoForecastReason
from forecasting.series_files import Series

DAY_S = 86_400.0


def _series(values, name="load", group="shop", step_s=60.0, start_at_s=0.0):
    return Series(name, group, np.asarray(values, dtype=float), step_s, start_at_s)


def _walk(points=600, seed=0):
    return 50.0 + np.cumsum(np.random.default_rng(seed).normal(size=points))


def _cycle(points=600, seed=0, season=24):
    rng = np.random.default_rng(seed)
    return 50.0 + 10.0 * np.sin(2 * np.pi * np.arange(points) / season) + rng.normal(size=points)


def _plan(series, **spread):
    return planned({"shop": tuple(series)}, Spread(**spread))


def _settings(tmp_path=Path(), **conditions):
    return Settings(Training(1.0, 0, tmp_path), Spread(per_series=6), Conditions(**conditions))


def _tried(forecaster, name="tried"):
    return Candidate(name, lambda group, history, training: forecaster)


@dataclass
class Recording:
    """Asks a random walk and keeps what it was asked."""

    requests: list = field(default_factory=list)
    states: list = field(default_factory=list)

    def forecast(self, request, state, now_s, rng):
        self.requests.append(request)
        self.states.append(state)
        forecast, _ = ClassicalForecaster("walk", random_walk).forecast(request, None, now_s, rng)
        return forecast, (state or 0) + 1


@dataclass
class Clairvoyant:
    """Knows `futures`: series name → values over all time."""

    futures: dict
    step_s: float = 60.0

    def forecast(self, request, state, now_s, rng):
        first = round(request.last_at_s / self.step_s) + 1
        came = np.stack([self.futures[name][first : first + request.horizon_steps] for name in request.series])
        return Forecast(
            series=request.series,
            levels=LEVELS,
            quantiles=np.repeat(came[:, :, None], len(LEVELS), axis=2),
            paths=np.repeat(came[:, None], request.samples, axis=1),
            issued_at_s=now_s,
            last_at_s=request.last_at_s,
            step_s=request.step_s,
            model="clairvoyant",
            coverage=np.full(len(request.series), np.nan),
            skill=np.full(len(request.series), np.nan),
        ), None


def _told(groups, name, among=None):
    """One model's part of the JSON, without its cost."""
    return result_json(backtest(groups, candidates_named(among or name), _settings()))["models"][name]


def test_outcomes_of_a_series_never_overlap_and_lie_in_its_later_part():
    (cohort,) = _plan([_series(_walk(1000))], per_series=50).cohorts

    assert cohort.origins[0] == 399  # 40 % of 1000 points are known at the first origin
    assert cohort.origins[-1] == 1000 - 1 - 64
    assert min(np.diff(cohort.origins)) >= 64
    assert len(cohort.origins) == (935 - 399) // 64 + 1


def test_fewer_windows_are_spread_over_the_whole_later_part():
    (cohort,) = _plan([_series(_walk(1000))], per_series=3).cohorts

    assert cohort.origins == (399, 667, 935)


def test_short_series_are_judged_on_the_horizon_that_fits_and_shorter_ones_not_at_all():
    plan = _plan([_series(_walk(100), "short"), _series(_walk(70), "shorter")])

    (cohort,) = plan.cohorts
    assert (cohort.names, cohort.origins, cohort.horizon_steps) == (("short",), (63,), 36)
    assert plan.dropped_series == ("shop/shorter",)


def test_windows_without_enough_known_points_are_dropped_and_counted():
    values = _walk(1000)
    values[440:600] = np.nan
    plan = _plan([_series(values)], per_series=50)

    # Of the origins 399, 466, 533, 600, … the second (467 … 530) and third have no outcomes or a stale context, the
    # first knows 401 … 439 of 64: more than half.
    assert plan.dropped_windows == 2
    assert plan.windows == len(plan.cohorts[0].origins) - 2


def test_nothing_to_judge_is_said():
    with pytest.raises(NothingToJudge, match=str(FEWEST_CONTEXT)):
        _plan([_series(_walk(40))])


def test_large_groups_cost_no_more_than_small_ones():
    plan = _plan([_series(_walk(1000, seed), f"s{seed}") for seed in range(30)], per_series=20, per_group=60)

    assert plan.windows == 60


def test_series_of_one_clock_are_asked_about_together():
    series = [_series(_walk(seed=1), "a"), _series(_walk(seed=2), "b"), _series(_walk(700, seed=3), "c")]
    recording = Recording()

    replayed(recording, cases_of(_plan(series, per_series=2))[0], Conditions(warm_up=0))

    assert [request.series for request in recording.requests] == [("a", "b"), ("a", "b"), ("c",), ("c",)]


def test_equal_names_are_told_apart():
    plan = _plan([_series(_walk(seed=1)), _series(_walk(seed=2))])

    assert plan.cohorts[0].names == ("load", "load (2)")


def test_state_is_carried_from_origin_to_origin():
    recording = Recording()

    replayed(recording, cases_of(_plan([_series(_walk())], per_series=4))[0], Conditions(warm_up=0))

    assert recording.states == [None, 1, 2, 3]


def test_models_that_learn_are_asked_on_the_way_to_each_window_and_scored_at_windows_only():
    case = cases_of(_plan([_series(_walk(800))], per_series=2))[0]
    recording = Recording()

    found = replayed(recording, case, Conditions(warm_up=3))

    first, second = case.cohorts[0].origins
    asked_at = [request.last_at_s / 60.0 for request in recording.requests]
    assert asked_at == [*(origin - back for origin in (first, second) for back in (48, 32, 16, 0))]
    assert found.series.size == 2
    assert recording.states == [None, 1, 2, 3, 4, 5, 6, 7]


def test_the_way_to_a_window_starts_after_the_one_before():
    case = cases_of(_plan([_series(_walk(300))], per_series=9))[0]
    recording = Recording()

    replayed(recording, case, Conditions(warm_up=9))

    asked_at = [request.last_at_s for request in recording.requests]
    assert asked_at == sorted(set(asked_at))


def test_models_that_do_not_learn_are_asked_at_windows_only():
    recording = Recording()
    candidates = (*candidates_named(REFERENCE), Candidate("tried", lambda *made_of: recording, learns=False))

    result = backtest({"shop": (_series(_walk()),)}, candidates, _settings())

    assert len(recording.requests) == result.plan.windows == 5
    assert [each.learns for each in candidates_named("random-walk,foresail-fallback,foresail@independent")] == [
        False, False, True, True,
    ]  # fmt: skip


@pytest.mark.parametrize("forecaster", [Recording, FallbackForecaster], ids=["walk", "fallback"])
def test_no_request_depends_on_what_comes_after_its_origin(forecaster):
    values = _cycle(5000)
    case = cases_of(_plan([_series(values, step_s=3600.0)], per_series=1))[0]
    (cohort,) = case.cohorts
    (origin,) = cohort.origins
    changed = values.copy()
    changed[origin + 1 :] = 1e6

    told = []
    for known in (values, changed):
        request = replace(cohort, values=known[None]).request(origin, np.asarray([0]), 20)
        told.append((request, forecaster().forecast(request, None, request.last_at_s, np.random.default_rng(0))[0]))

    (request, forecast), (other_request, other_forecast) = told
    for name in ("values", "same_time_yesterday", "same_time_last_week", "lower_limit"):
        np.testing.assert_array_equal(getattr(request, name), getattr(other_request, name))
    np.testing.assert_array_equal(forecast.quantiles, other_forecast.quantiles)
    np.testing.assert_array_equal(forecast.paths, other_forecast.paths)


def test_the_same_time_yesterday_and_last_week_is_read_from_what_is_known():
    (cohort,) = _plan([_series(np.arange(1000.0), step_s=3600.0)], per_series=1).cohorts
    (origin,) = cohort.origins

    request = cohort.request(origin, np.asarray([0]), 10)

    # Hours: step h of the horizon had its yesterday at origin + h - 24, which is known up to h = 24 only.
    assert request.same_time_yesterday[0, :24].tolist() == [origin + h - 24.0 for h in range(1, 25)]
    assert np.isnan(request.same_time_yesterday[0, 24:]).all()
    assert request.same_time_last_week[0].tolist() == [origin + h - 168.0 for h in range(1, 65)]


def test_steps_that_do_not_divide_a_day_have_no_yesterday():
    (cohort,) = _plan([_series(_walk(), step_s=7.0)]).cohorts

    assert cohort.request(cohort.origins[0], np.asarray([0]), 10).same_time_yesterday is None


def test_files_without_times_are_asked_about_without_a_wall_clock():
    (cohort,) = _plan([_series(_walk(), start_at_s=None)]).cohorts

    assert not cohort.request(cohort.origins[0], np.asarray([0]), 10).wall_clock
    assert cohort.at_s(10) == 600.0


def test_series_that_were_never_negative_are_known_not_to_be():
    (cohort,) = _plan([_series(np.abs(_walk()), "a"), _series(_walk() - 50.0, "b")]).cohorts

    assert cohort.request(cohort.origins[-1], np.asarray([0, 1]), 10).lower_limit.tolist() == [0.0, -np.inf]


def test_models_are_trained_on_what_lies_before_the_first_origin():
    case = cases_of(_plan([_series(np.arange(1000.0))], per_series=3))[0]

    (history,) = known_before(case.cohorts)

    assert history.values[-1] == case.cohorts[0].origins[0] == 399


def test_the_reference_is_1_and_a_forecaster_that_knows_the_future_0():
    series = {f"s{seed}": _cycle(seed=seed) for seed in range(3)}
    groups = {"shop": tuple(_series(values, name) for name, values in series.items())}
    candidates = (*candidates_named(REFERENCE), _tried(Clairvoyant(series), "clairvoyant"))

    result = backtest(groups, candidates, _settings())

    told = result_json(result)["models"]
    ratios = ("wql", "mase", "p90", "p99", "peak_crps", "crps")
    assert [told[REFERENCE][name] for name in ratios] == [1.0] * 6
    assert [told["clairvoyant"][name] for name in ratios] == pytest.approx([0.0] * 6, abs=1e-9)
    assert told["clairvoyant"]["hit_brier"] == 0.0
    assert told["clairvoyant"]["cover80"] == 1.0
    assert told["clairvoyant"]["hit_skill"] == 1.0
    assert [model.name for model in ranked(result)] == ["clairvoyant", REFERENCE]


def test_a_model_without_a_forecast_is_stood_in_for_by_the_reference_and_told():
    @dataclass
    class Silent:
        def forecast(self, request, state, now_s, rng):
            forecast, _ = ClassicalForecaster("walk", random_walk).forecast(request, None, now_s, rng)
            nothing = dict.fromkeys(request.series, NoForecastReason.TOO_SHORT)
            quantiles, paths = np.full_like(forecast.quantiles, np.nan), np.full_like(forecast.paths, np.nan)
            return replace(forecast, quantiles=quantiles, paths=paths, unavailable=nothing, fell_back=True), None

    groups = {"shop": (_series(_cycle()),)}

    result = backtest(groups, (*candidates_named(REFERENCE), _tried(Silent(), "silent")), _settings())

    told = result_json(result)["models"]["silent"]
    assert told["unanswered_share"] == 1.0
    assert told["fell_back_share"] == 1.0
    assert told["wql"] == told["peak_crps"] == 1.0
    assert notes(result) == (
        "silent fell back on another model in 100% of the windows",
        "silent had no forecast in 100% of the windows; seasonal-naive's counts there",
    )


def test_a_failing_model_is_listed_and_does_not_stop_the_others():
    class Broken:
        def forecast(self, request, state, now_s, rng):
            raise ZeroDivisionError("by zero")

    told = []
    candidates = (*candidates_named(REFERENCE), _tried(Broken(), "broken"), *candidates_named("random-walk")[1:])

    result = backtest(
        {"shop": (_series(_cycle()),)}, candidates, _settings(), on_progress=lambda *progress: told.append(progress)
    )

    assert dict(result.failed) == {"broken": "ZeroDivisionError: by zero"}
    assert [model.name for model in result.models] == [REFERENCE, "random-walk"]
    # every candidate reports all of its 5 origins, the broken one at once
    done = {
        name: sum(count for each, count, _ in told if each == name) for name in (REFERENCE, "broken", "random-walk")
    }
    assert set(done.values()) == {5}
    assert {each for _, _, each in told} == {5}


def test_figures_do_not_depend_on_who_else_is_judged():
    groups = {"shop": (_series(_walk()),)}

    assert _told(groups, "random-walk") == _told(groups, "random-walk", among="predict-linear,random-walk")


def test_groups_count_equally_whatever_their_scale_and_size():
    small = _series(_walk(), "small", "one")
    large = tuple(_series(1e9 * _walk(seed=seed), f"large-{seed}", "two") for seed in range(3))
    groups = {"one": (small,), "two": large}

    model = result_json(backtest(groups, candidates_named("random-walk"), _settings()))["models"]["random-walk"]

    one, two = model["groups"]["one"]["wql"], model["groups"]["two"]["wql"]
    assert model["wql"] == pytest.approx(np.sqrt(one * two), rel=1e-5)


def test_a_series_that_never_moves_has_no_ratios_and_says_why():
    model = _told({"still": (_series(np.full(400, 3.0)),)}, "random-walk")

    assert (model["wql"], model["mase"], model["intervals"]["wql"]) == (None, None, None)
    assert "no loss" in model["unknown"]["wql"]
    assert model["cover80"] == 1.0


def test_every_model_has_the_nine_figures_and_intervals_around_them(tmp_path):
    groups = {"a": tuple(_series(_cycle(seed=seed), f"s{seed}") for seed in range(4)), "b": (_series(_walk()),)}

    result = backtest(groups, candidates_named("random-walk,foresail-fallback"), _settings())
    written = {path.name: path.read_text() for path in write_result(result, tmp_path / "out")}

    told = result_json(result)
    assert told["windows"] == 25
    for model in told["models"].values():
        assert set(KEYS) <= set(model)
        assert all(isinstance(model[key], float) for key in KEYS if key != "ms_per_100")
        low, high = model["intervals"]["wql"]
        assert low <= model["wql"] <= high
        assert sum(each["windows"] for each in model["reliability"]) == 25
    low, high = told["models"]["foresail-fallback"]["intervals"]["wql"]
    assert low < high
    assert set(written) == {"backtest.json", "backtest.md", "reliability.svg"}
    assert written["reliability.svg"].startswith("<svg") and "foresail-fallback" in written["reliability.svg"]


def test_the_markdown_table_is_sorted_and_marks_the_best():
    series = {"s": _cycle()}
    groups = {"shop": (_series(series["s"], "s"),)}
    candidates = (*candidates_named(REFERENCE), _tried(Clairvoyant(series), "clairvoyant"))

    rows = [line for line in markdown(backtest(groups, candidates, _settings())).splitlines() if "|" in line]

    assert rows[2].startswith("| clairvoyant | **0.000** (0.00–0.00) |")
    assert rows[3].startswith(f"| {REFERENCE} | 1.000 (1.00–1.00) |")


def test_the_cost_is_that_of_a_hundred_series():
    @dataclass
    class Slow(Recording):
        clock: list = field(default_factory=lambda: [0.0])

        def forecast(self, request, state, now_s, rng):
            self.clock[0] += 0.002 * len(request.series)
            return super().forecast(request, state, now_s, rng)

    slow = Slow()
    groups = {"shop": (_series(_walk()),)}

    result = backtest(groups, (*candidates_named(REFERENCE), _tried(slow, "slow")), _settings(), lambda: slow.clock[0])

    assert result.models[1].ms_per_100 == pytest.approx(200.0)
    assert len(slow.requests[-1].series) == 100


def test_seasonal_naive_beats_the_walk_on_a_cycle():
    result = backtest({"shop": (_series(_cycle(1200)),)}, candidates_named("random-walk"), _settings())

    assert result.models[1].figures["wql"].low > 1.0
