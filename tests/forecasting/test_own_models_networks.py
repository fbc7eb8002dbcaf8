from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from forecasting.fallback import FallbackForecaster
from forecasting.features import Scaling
from forecasting.forecast import LEVELS, ForecastRequest, NoForecastReason
from forecasting.onnx_session import ModelFailed
from forecasting.own_models.card import ModelCard, ModelKind, TrainingSummary
from forecasting.own_models.chosen import ChosenForecaster
from forecasting.own_models.networks import StepByStep, sampled
from forecasting.own_models.runner import OwnModelForecaster
from forecasting.own_models.windows import COVARIATES, ModelInput

LEVEL_ROW = np.asarray(LEVELS, dtype=np.float32)


class Walk:
    """A graph whose next value lies uniformly up to one above the last one: quantile at level p = last + p."""

    def __init__(self) -> None:
        self.rows_asked: list[int] = []

    def run(self, inputs: dict[str, Any]) -> list[Any]:
        last = inputs["target"][:, -1]
        self.rows_asked.append(last.shape[0])
        return [(last + LEVEL_ROW).astype(np.float32), inputs["state"]]


def _given(last: float, rows: int = 1, steps: int = 4) -> ModelInput:
    width = len(COVARIATES)
    target = np.full((rows, 16, 1), last, dtype=np.float32)
    unit = Scaling(np.zeros(rows), np.ones(rows))
    past, future = np.zeros((rows, 16, width), np.float32), np.zeros((rows, steps, width), np.float32)
    return ModelInput(target, past, future, unit)


def _card() -> ModelCard:
    summary = TrainingSummary(("a",), 100, 0, 1.0, 1, None)
    return ModelCard(ModelKind.DEEPAR, 60.0, 16, 64, True, "", summary, (1, 4))


def _walking() -> tuple[StepByStep, Walk]:
    graph = Walk()
    return StepByStep(graph, _card()), graph  # type: ignore[arg-type]


def test_a_level_between_two_quantiles_lies_between_their_values() -> None:
    quantiles = (10.0 * LEVEL_ROW)[None].repeat(3, axis=0).astype(np.float32)

    drawn = sampled(quantiles, np.asarray([0.5, 0.525, 0.95], dtype=np.float32))

    np.testing.assert_allclose(drawn, [5.0, 5.25, 9.5], rtol=1e-5)


def test_beyond_the_outermost_level_an_exponential_tail_goes_on_and_ends() -> None:
    quantiles = LEVEL_ROW[None].repeat(2, axis=0).astype(np.float32)

    drawn = sampled(quantiles, np.asarray([0.9975, 0.999999], dtype=np.float32))

    # From 0.98 to 0.995 the exceedance falls from 0.02 to 0.005, a factor of 4, over 0.015. Half of 0.005 is reached
    # log 2 / log 4 = 1/2 of that further on; the end is a tenth of it: log 10 / log 4 = 1.661 of it.
    np.testing.assert_allclose(drawn, [0.995 + 0.0075, 0.995 + 1.661 * 0.015], rtol=1e-4)


def test_samples_walk_from_their_own_last_step() -> None:
    network, _ = _walking()

    quantiles, futures = network.foretell(_given(2.0), samples=400, rng=np.random.default_rng(0))

    assert futures is not None
    increments = np.diff(futures[0], axis=1)
    assert np.all(increments > -0.05)
    # Each step adds a half on average: 2 + 4 / 2 at the fourth.
    assert quantiles[0, 3, LEVELS.index(0.5)] == pytest.approx(4.0, abs=0.1)
    # The deviation of four uniform steps is sqrt(4 / 12) = 0.577; the 0.9 quantile of a normal is 1.28 of it away.
    assert quantiles[0, 3, LEVELS.index(0.9)] == pytest.approx(4.0 + 1.28 * 0.577, abs=0.15)


def test_futures_are_joint_over_steps() -> None:
    network, _ = _walking()

    _, futures = network.foretell(_given(0.0), samples=300, rng=np.random.default_rng(1))

    # A walk's value at step 4 shares 2 of 4 increments with step 2: correlation sqrt(2 / 4) = 0.71.
    assert futures is not None
    assert np.corrcoef(futures[0, :, 1], futures[0, :, 3])[0, 1] == pytest.approx(0.71, abs=0.1)


def test_many_rows_take_turns_and_give_the_same_kind_of_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forecasting.own_models.networks.LARGEST_BATCH", 200)
    network, graph = _walking()

    quantiles, futures = network.foretell(_given(1.0, rows=5), samples=100, rng=np.random.default_rng(2))

    assert futures is not None and futures.shape == (5, 100, 4)
    assert quantiles.shape == (5, 4, len(LEVELS))
    assert max(graph.rows_asked) == 200


def test_one_seed_gives_one_future() -> None:
    first, _ = _walking()[0].foretell(_given(1.0), 100, np.random.default_rng(3))
    second, _ = _walking()[0].foretell(_given(1.0), 100, np.random.default_rng(3))

    np.testing.assert_array_equal(first, second)


class Broken:
    """A model of any step that fails when it is asked."""

    step_s, input_steps, fewest_known, reach_steps = None, 16, 8, 64

    def foretold(self, *_: Any) -> Any:
        raise ModelFailed("out of memory")


def test_a_model_that_fails_is_a_reason_and_no_exception() -> None:
    request = ForecastRequest(("a", "b"), np.stack([np.arange(40.0), np.full(40, np.nan)]), 60.0, 0.0, 8)

    forecast, _ = OwnModelForecaster("broken", Broken()).forecast(request, None, 0.0, np.random.default_rng(0))

    assert forecast.unavailable == {"a": NoForecastReason.MODEL_FAILED, "b": NoForecastReason.ALL_MISSING}


def test_a_promoted_model_that_fails_leaves_its_signals_to_the_default() -> None:
    request = ForecastRequest(("a", "b"), np.random.default_rng(0).normal(size=(2, 200)), 60.0, 0.0, 8)
    broken = OwnModelForecaster("broken", Broken())
    default, _ = FallbackForecaster().forecast(request, None, 0.0, np.random.default_rng(0))

    chosen, _ = ChosenForecaster(FallbackForecaster(), {"broken": broken}, {"a": "broken"}).forecast(
        request, None, 0.0, np.random.default_rng(0)
    )

    np.testing.assert_array_equal(chosen.quantiles, default.quantiles)
    assert chosen.fell_back
    assert chosen.unavailable == {}
