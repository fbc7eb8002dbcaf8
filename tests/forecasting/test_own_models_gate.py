from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from forecasting.forecast import LEVELS, Floats, Forecast, ForecastRequest, NoForecastReason
from forecasting.own_models.errors import TrainingImpossible
from forecasting.own_models.gate import (
    FEWEST_ORIGINS,
    SignalScore,
    before_held_out,
    held_out_from,
    judged,
    require_names,
    score,
    winners,
)
from forecasting.series_files import Series


@dataclass(frozen=True)
class Constant:
    """Every quantile of every step is the mean of the history plus `wrong`; series in `silent_on` have no forecast."""

    wrong: float
    silent_on: tuple[str, ...] = ()

    def forecast(
        self, request: ForecastRequest, state: Any, now_s: float, rng: np.random.Generator
    ) -> tuple[Forecast, Any]:
        series, steps = len(request.series), request.horizon_steps
        middle = np.nanmean(request.values, axis=1) + self.wrong
        quantiles = np.broadcast_to(middle[:, None, None], (series, steps, len(LEVELS))).copy()
        silent = {name: NoForecastReason.TOO_SHORT for name in request.series if name in self.silent_on}
        quantiles[[name in silent for name in request.series]] = np.nan
        nothing = np.full(series, np.nan)
        paths = np.zeros((series, request.samples, steps))
        return (
            Forecast(
                request.series, LEVELS, quantiles, paths, now_s, request.last_at_s, request.step_s, "constant",
                nothing, nothing, silent,
            ),
            (state or 0) + 1,
        )  # fmt: skip

    def dump(self, state: Any) -> Any:
        return state

    def load(self, dumped: Any) -> Any:
        return dumped


def _flat(name: str, points: int = 3200) -> Series:
    return Series(name, "test", np.random.default_rng(len(name)).normal(10.0, 1.0, points), 60.0, 0.0)


def test_the_newest_part_is_kept_from_training() -> None:
    series = _flat("a", 1000)

    (learned,) = before_held_out([series])

    assert held_out_from(series) == 700
    assert learned.values.size == 700


def test_the_difference_is_the_ratio_of_summed_losses_less_one() -> None:
    # 6 against 8: a quarter less.
    found = score("a", np.asarray([1.0, 2.0, 3.0]), np.asarray([2.0, 2.0, 4.0]), seed=0)

    assert found.difference == pytest.approx(-0.25)
    assert found.low is not None and found.high is not None
    assert found.low <= -0.25 <= found.high


def test_origins_without_an_outcome_do_not_count() -> None:
    found = score("a", np.asarray([1.0, np.nan, 3.0]), np.asarray([2.0, 1.0, np.nan]), seed=0)

    assert found.origins == 1
    assert found.difference is None
    assert not found.is_better


def test_a_model_that_is_a_little_better_by_chance_is_not_promoted() -> None:
    rng = np.random.default_rng(5)
    theirs = rng.exponential(1.0, 60)
    ours = rng.permutation(theirs) * 0.99

    found = score("a", ours, theirs, seed=1)

    assert found.difference is not None and found.difference < 0.0
    assert not found.is_better


def test_few_origins_prove_nothing_however_good() -> None:
    few = score("a", np.full(FEWEST_ORIGINS - 1, 0.1), np.ones(FEWEST_ORIGINS - 1), seed=0)
    enough = score("a", np.full(FEWEST_ORIGINS, 0.1), np.ones(FEWEST_ORIGINS), seed=0)

    assert not few.is_better
    assert enough.is_better


def test_false_promotions_of_an_equal_model_are_rare() -> None:
    rng = np.random.default_rng(0)
    promoted = 0
    for trial in range(200):
        theirs = rng.gamma(2.0, 1.0, 60)
        promoted += score("a", theirs + rng.normal(0.0, 0.3, 60), theirs, seed=trial).is_better

    # 2.5 % are expected below zero, a little more with so few origins: 12 of 200 would be 6 %.
    assert promoted <= 12


def test_each_signal_is_judged_by_itself() -> None:
    series = [_flat("steady"), _flat("other one")]

    scores = judged({"good": Constant(0.0), "bad": Constant(9.0)}, Constant(3.0), series, seed=0)

    assert winners(scores) == {"steady": "good", "other one": "good"}
    assert all(one.low is not None and one.low > 0.0 for one in scores["bad"])
    # 960 points are held out: 15 outcomes of 64 steps fit.
    assert {one.origins for one in scores["good"]} == {15}


def test_where_a_model_is_silent_the_defaults_loss_counts() -> None:
    series = [_flat("steady"), _flat("other one")]

    scores = judged({"half": Constant(0.0, silent_on=("steady",))}, Constant(3.0), series, seed=0)

    by_signal = {one.signal: one for one in scores["half"]}
    assert by_signal["steady"].difference == pytest.approx(0.0)
    assert by_signal["other one"].is_better


def test_the_best_of_several_better_models_wins() -> None:
    def better(signal: str, difference: float) -> SignalScore:
        return SignalScore(signal, 40, difference, difference - 0.1, -0.01)

    assert winners({"one": [better("a", -0.2)], "two": [better("a", -0.3)]}) == {"a": "two"}


def test_two_series_of_one_name_are_refused() -> None:
    with pytest.raises(TrainingImpossible, match="two series are called 'a'"):
        require_names([_flat("a"), _flat("b"), _flat("a")])


def test_forecasters_see_no_future(monkeypatch: pytest.MonkeyPatch) -> None:
    series = _flat("a")
    changed = series.values.copy()
    changed[-1] = 1e6
    seen: list[Floats] = []

    class Watching(Constant):
        def forecast(self, request: ForecastRequest, *more: Any) -> tuple[Forecast, Any]:
            seen.append(request.values)
            return super().forecast(request, *more)

    judged({"watching": Watching(0.0)}, Constant(0.0), [Series("a", "test", changed, 60.0, 0.0)], seed=0)

    assert seen
    assert max(values.max() for values in seen) < 1e6
