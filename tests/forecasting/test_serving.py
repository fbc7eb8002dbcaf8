"""The default forecaster answers for whatever it is given, falls back aloud, and is the same after a restart."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forecasting import network_model, serving
from forecasting.answer import joined, silent
from forecasting.forecast import LEVELS, DeclaredEvent, Floats, Forecast, ForecastRequest, NoForecastReason, SeriesKind
from forecasting.network_model import NetworkModel
from forecasting.onnx_session import ModelFailed, ModelRefused
from forecasting.serving import DEFAULT_MODEL, GenerativeForecaster, default_forecaster

STEP_S, NOW_S = 15.0, 1.7e9
MIDDLE = LEVELS.index(0.5)


@pytest.fixture(scope="module")
def forecaster() -> GenerativeForecaster:
    return default_forecaster(threads=1)


def request(values: Floats, **changes: Any) -> ForecastRequest:
    names = tuple(f"series-{row}" for row in range(values.shape[0]))
    return replace(ForecastRequest(names, values, STEP_S, NOW_S, 64, samples=40), **changes)


def waves(rows: int = 3, points: int = 512, seed: int = 0) -> Floats:
    time, rng = np.arange(points), np.random.default_rng(seed)
    return 100.0 + 30.0 * np.sin(2.0 * np.pi * time / 96.0) + rng.standard_normal((rows, points))


def ask(forecaster: GenerativeForecaster, asked: ForecastRequest, state: Any = None) -> tuple[Forecast, Any]:
    return forecaster.forecast(asked, state, asked.last_at_s, np.random.default_rng(5))


def test_a_wave_goes_on_as_a_wave(forecaster: GenerativeForecaster) -> None:
    values = waves(3, 640)
    said, _ = ask(forecaster, request(values[:, :576]))
    error = np.abs(said.quantiles[:, :, MIDDLE] - values[:, 576:]).mean()
    assert error < 6.0  # the last value would be wrong by some 30
    assert not said.fell_back
    assert said.model.startswith("foresail")


def test_quantiles_rise_and_paths_are_finite(forecaster: GenerativeForecaster) -> None:
    said, _ = ask(forecaster, request(waves()))
    assert (np.diff(said.quantiles, axis=2) >= 0.0).all()
    assert np.isfinite(said.paths).all()
    assert said.paths.shape == (3, 40, 64)


def test_strange_series_never_break_the_others(forecaster: GenerativeForecaster) -> None:
    values = np.repeat(waves(1), 8, axis=0)
    values[1, ::3] = np.nan
    values[2] = np.nan
    values[3, :] = 0.0
    values[4, 200:260] = np.nan
    values[5, -1] = np.inf
    values[6, :-20] = np.nan
    values[7] *= 1e25
    said, _ = ask(forecaster, request(values))
    assert said.unavailable == {
        "series-2": NoForecastReason.ALL_MISSING,
        "series-5": NoForecastReason.NOT_FINITE,
    }
    answered = [0, 1, 3, 4, 6, 7]
    assert np.isfinite(said.quantiles[answered]).all()
    alone, _ = ask(forecaster, request(values[:1]))
    np.testing.assert_allclose(said.quantiles[0], alone.quantiles[0], rtol=1e-4)


def test_a_young_series_is_answered_by_the_standby_without_an_alarm(forecaster: GenerativeForecaster) -> None:
    values = waves(2)
    values[1, :-9] = np.nan
    said, _ = ask(forecaster, request(values))
    assert np.isfinite(said.quantiles).all()
    assert not said.fell_back


@pytest.mark.parametrize("steps", [5, 64, 150])
def test_horizons_may_be_shorter_or_longer_than_one_pass(forecaster: GenerativeForecaster, steps: int) -> None:
    said, _ = ask(forecaster, request(waves(), horizon_steps=steps))
    assert said.quantiles.shape == (3, steps, len(LEVELS))
    assert np.isfinite(said.quantiles).all()
    width = said.quantiles[:, :, -1] - said.quantiles[:, :, 0]
    assert (width[:, -1] > 0.0).all()


def test_hard_limits_hold_for_quantiles_and_paths(forecaster: GenerativeForecaster) -> None:
    limits = {"lower_limit": np.full(3, 95.0), "upper_limit": np.full(3, 105.0)}
    said, _ = ask(forecaster, request(waves(), **limits))
    for values in (said.quantiles, said.paths):
        assert values.min() >= 95.0
        assert values.max() <= 105.0


def test_demand_is_never_negative(forecaster: GenerativeForecaster) -> None:
    counts = np.random.default_rng(2).poisson(0.2, (4, 512)).astype(np.float64)
    said, _ = ask(forecaster, request(counts, kinds=(SeriesKind.DEMAND,) * 4))
    assert said.quantiles.min() >= 0.0
    assert said.paths.min() >= 0.0


def test_a_declared_event_multiplies_what_comes(forecaster: GenerativeForecaster) -> None:
    sale = DeclaredEvent("sale", NOW_S + 10 * STEP_S, NOW_S + 10_000.0, 3.0)
    kinds = (SeriesKind.DEMAND,) * 3
    plain, _ = ask(forecaster, request(waves(), kinds=kinds))
    said, _ = ask(forecaster, request(waves(), kinds=kinds, events=(sale,)))
    ratio = said.quantiles[:, 20:, MIDDLE] / plain.quantiles[:, 20:, MIDDLE]
    np.testing.assert_allclose(ratio, 3.0, rtol=1e-6)
    np.testing.assert_allclose(said.quantiles[:, :9], plain.quantiles[:, :9])


def test_the_same_history_gives_the_same_forecast(forecaster: GenerativeForecaster) -> None:
    first, _ = ask(forecaster, request(waves()))
    again, _ = ask(forecaster, request(waves()))
    np.testing.assert_array_equal(first.paths, again.paths)


def test_a_restart_changes_no_forecast(forecaster: GenerativeForecaster) -> None:
    values, state = waves(3, 560), None
    for end in range(500, 530):
        asked = request(values[:, end - 480 : end], last_at_s=NOW_S + STEP_S * end)
        _, state = ask(forecaster, asked, state)
    after = request(values[:, 50:530], last_at_s=NOW_S + STEP_S * 530)
    restored = forecaster.load(json.loads(json.dumps(forecaster.dump(state))))
    one, _ = ask(forecaster, after, state)
    other, _ = ask(forecaster, after, restored)
    np.testing.assert_array_equal(one.quantiles, other.quantiles)
    np.testing.assert_array_equal(one.paths, other.paths)


def test_threads_share_a_forecaster_without_disturbing_each_other(forecaster: GenerativeForecaster) -> None:
    requests = [request(waves(4, seed=seed)) for seed in range(12)]
    alone = [ask(forecaster, asked)[0].paths for asked in requests]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda asked: ask(forecaster, asked)[0].paths, requests))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


@dataclass(frozen=True)
class BrokenSession:
    """A session that fails, or answers nonsense for some rows."""

    nonsense_rows: tuple[int, ...] = ()

    def each(self, act: Any, things: Any) -> list[Any]:
        return [act(thing) for thing in things]

    def run(self, inputs: Any) -> Any:
        if not self.nonsense_rows:
            raise ModelFailed("out of memory")
        rows = inputs["static"].shape[0]
        quantiles = np.tile(np.linspace(-1.0, 1.0, len(LEVELS), dtype=np.float32), (rows, 64, 1))
        quantiles[list(self.nonsense_rows)] = np.nan
        return [quantiles, np.zeros((rows, 64, 8), dtype=np.float32)]


def broken(*nonsense_rows: int) -> GenerativeForecaster:
    session: Any = BrokenSession(nonsense_rows)
    return GenerativeForecaster(NetworkModel("foresail-broken", {}, session))


def test_a_model_that_fails_is_replaced_by_the_fallback_aloud() -> None:
    said, state = ask(broken(), request(waves()))
    assert said.fell_back
    assert said.model == "fallback"
    assert np.isfinite(said.quantiles).all()
    assert np.isfinite(ask(broken(), request(waves(), last_at_s=NOW_S + STEP_S), state)[0].quantiles).all()


def test_rows_on_which_the_model_answers_nonsense_are_the_fallbacks() -> None:
    said, _ = ask(broken(1), request(waves()))
    assert said.fell_back
    assert not said.unavailable
    assert np.isfinite(said.quantiles).all()


def test_weights_that_are_not_the_cards_leave_the_fallback_in_charge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(DEFAULT_MODEL, folder)
    (folder / "model.onnx").write_bytes((folder / "model.onnx").read_bytes()[:-10])
    with pytest.raises(ModelRefused, match="checksum"):
        default_forecaster(folder)
    monkeypatch.setattr(serving, "DEFAULT_MODEL", folder)
    said, _ = ask(default_forecaster(), request(waves()))
    assert said.fell_back


@pytest.mark.parametrize(
    ("key", "value"), [("levels", [0.1]), ("file", "../model.onnx"), ("file", "weights.pt"), ("horizon_steps", 7)]
)
def test_a_card_that_does_not_fit_is_refused(tmp_path: Path, key: str, value: Any) -> None:
    folder = tmp_path / "model"
    shutil.copytree(DEFAULT_MODEL, folder)
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({**card, key: value}))
    with pytest.raises(ModelRefused, match=key):
        default_forecaster(folder)


def test_the_state_of_a_series_is_small(forecaster: GenerativeForecaster) -> None:
    values, state = waves(20, 560), None
    for end in range(500, 540, 4):
        _, state = ask(forecaster, request(values[:, :end], last_at_s=NOW_S + STEP_S * end), state)
    assert len(json.dumps(forecaster.dump(state))) / 20 < 2_500


def test_serving_and_the_command_line_import_no_training_library() -> None:
    code = (
        "import sys, foresail.cli, simulation.run, forecasting.serving as s; s.default_forecaster();"
        "print([m for m in ('torch', 'darts', 'pandas', 'onnx', 'statsforecast') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_forecast_that_others_are_joined_to_stays_as_it_was() -> None:
    request = ForecastRequest(("a", "b"), np.ones((2, 64)), 15.0, 1e9, 64)
    mine, other = silent(request, "mine", {}, 1e9), silent(request.only(np.array([1])), "other", {}, 1e9)
    other.quantiles[:] = 7.0

    whole = joined(mine, other, np.array([1]))

    assert np.isnan(mine.quantiles).all()
    assert (whole.quantiles[1] == 7.0).all() and np.isnan(whole.quantiles[0]).all()


def test_how_many_rows_pass_the_network_at_once_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.abs(20.0 + np.random.default_rng(5).normal(size=(41, 600)))
    request = ForecastRequest(tuple(f"s{row}" for row in range(41)), values, 15.0, 1e9, 64)

    def said(threads: int, rows: int) -> Forecast:
        monkeypatch.setattr(network_model, "ROWS_AT_ONCE", rows)
        forecaster = default_forecaster(threads=threads)
        return forecaster.forecast(request, None, 1e9, np.random.default_rng(6))[0]

    alone, together = said(threads=1, rows=41), said(threads=2, rows=16)

    assert np.array_equal(alone.quantiles, together.quantiles) and np.array_equal(alone.paths, together.paths)
