"""Tiny fits of a few epochs: enough to tell a model that has learned the cycle from one that has not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forecasting.fallback import FallbackForecaster
from forecasting.forecast import LEVELS, Floats, Forecast, ForecastRequest, NoForecastReason
from forecasting.onnx_session import OnnxSession
from forecasting.own_models import promotion
from forecasting.own_models.card import CARD_FILE, GRAPH_FILE, ModelKind, read_card
from forecasting.own_models.chosen import ChosenForecaster, chosen_forecaster
from forecasting.own_models.errors import ModelInvalid, TrainingImpossible
from forecasting.own_models.examples import moments
from forecasting.own_models.promotion import Plan, Promotion
from forecasting.own_models.registry import read_registry
from forecasting.own_models.runner import OwnModelForecaster
from forecasting.own_models.training import fit
from forecasting.series_files import Series

# darts, torch and Lightning warn of themselves.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.xdist_group("own-models")]

KINDS = [pytest.param(kind, id=kind.value) for kind in ModelKind]
STEP_S, PERIOD = 60.0, 24
MEDIAN = LEVELS.index(0.5)


def _cycle(points: int, phase: float, seed: int) -> Floats:
    noise = np.random.default_rng(seed).normal(0.0, 2.0, points)
    return np.asarray(100.0 + 40.0 * np.sin(2 * np.pi * (np.arange(points) / PERIOD + phase)) + noise)


def _series(points: int = 900) -> tuple[Series, ...]:
    return tuple(
        Series(name, "test", _cycle(points, phase, place), STEP_S, 1.7e9)
        for place, (name, phase) in enumerate((("cart", 0.0), ("checkout", 0.3)))
    )


def _request(values: Floats, horizon_steps: int = 32, **more: Any) -> ForecastRequest:
    names = tuple(f"series-{place}" for place in range(values.shape[0]))
    return replace(ForecastRequest(names, values, STEP_S, 1.7e9, horizon_steps), **more)


@dataclass(frozen=True)
class TrainedModels:
    """Folders of both kinds of model, and the darts networks that they were exported from."""

    folders: dict[str, Path]
    networks: dict[str, Any]


@pytest.fixture(scope="session")
def both(tmp_path_factory: pytest.TempPathFactory) -> TrainedModels:
    """Trained for a moment on two noisy cycles of 24 steps."""
    from forecasting.own_models import darts_models

    folder = tmp_path_factory.mktemp("own-models")
    networks: dict[str, Any] = {}

    def remembered(kind: ModelKind, *more: Any) -> Any:
        done = train(kind, *more)
        networks[kind] = done.model.model
        return done

    train = darts_models.train
    epochs = {ModelKind.TIDE: 10, ModelKind.DEEPAR: 1}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(darts_models, "train", remembered)
        patch.setattr(darts_models, "EPOCH_WINDOWS", 512)
        folders = {kind: fit(_series(), kind, 600.0, 1, folder / kind, epochs[kind]) for kind in ModelKind}
    return TrainedModels({str(kind): path for kind, path in folders.items()}, networks)


@pytest.fixture
def trained(both: TrainedModels) -> dict[str, Path]:
    return both.folders


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> ModelKind:
    return ModelKind(request.param)


@pytest.fixture
def forecaster(trained: dict[str, Path], kind: ModelKind) -> OwnModelForecaster:
    return OwnModelForecaster.from_folder(trained[kind])


def _once(forecaster: OwnModelForecaster, request: ForecastRequest, seed: int = 0) -> Forecast:
    return forecaster.forecast(request, None, request.last_at_s, np.random.default_rng(seed))[0]


def test_training_leaves_a_graph_and_its_card_and_nothing_else(trained: dict[str, Path], kind: ModelKind) -> None:
    card = read_card(trained[kind])

    assert {path.name for path in trained[kind].iterdir()} == {CARD_FILE, GRAPH_FILE}
    assert card.kind is kind
    assert card.trained.series == ("cart", "checkout")
    assert card.trained.points == 1800
    assert card.step_s == STEP_S


def test_tide_has_learned_the_cycle(trained: dict[str, Path]) -> None:
    whole = _cycle(932, 0.1, 9)

    forecast = _once(OwnModelForecaster.from_folder(trained["tide"]), _request(whole[None, :900]))

    # The mean of the series is wrong by 40 · 2/π = 25 on average; half of that takes more than the mean.
    assert np.abs(forecast.quantiles[0, :, MEDIAN] - whole[900:]).mean() < 12.0


def test_forecasts_are_whole_ordered_and_joint(forecaster: OwnModelForecaster) -> None:
    forecast = _once(forecaster, _request(np.stack([_cycle(600, 0.1, 5), _cycle(600, 0.7, 6)]), samples=60))

    assert forecast.quantiles.shape == (2, 32, len(LEVELS))
    assert forecast.paths.shape == (2, 60, 32)
    assert np.all(np.diff(forecast.quantiles, axis=2) >= 0.0)
    assert np.isfinite(forecast.paths).all()
    assert forecast.unavailable == {}
    # Samples are those of the quantiles: half of them lie below the median at every step.
    below = (forecast.paths < forecast.quantiles[:, None, :, MEDIAN]).mean(axis=1)
    np.testing.assert_allclose(below, 0.5, atol=0.02)


def test_hard_limits_hold(forecaster: OwnModelForecaster) -> None:
    values = np.stack([_cycle(600, 0.1, 5)] * 2)
    limits = {"lower_limit": np.asarray([90.0, -np.inf]), "upper_limit": np.asarray([np.inf, 110.0])}

    forecast = _once(forecaster, _request(values, **limits))

    assert forecast.quantiles[0].min() >= 90.0
    assert forecast.paths[0].min() >= 90.0
    assert forecast.quantiles[1].max() <= 110.0
    assert forecast.paths[1].max() <= 110.0


def test_each_series_that_cannot_be_forecast_has_its_reason(forecaster: OwnModelForecaster) -> None:
    values = np.stack([_cycle(600, 0.0, place) for place in range(5)])
    values[0] = np.nan
    values[1, -30:] = np.nan
    values[2, :-12] = np.nan
    values[3, 100:160] = np.nan

    forecast = _once(forecaster, _request(values))

    assert forecast.unavailable == {
        "series-0": NoForecastReason.ALL_MISSING,
        "series-1": NoForecastReason.STALE,
        "series-2": NoForecastReason.TOO_SHORT,
    }
    assert np.isnan(forecast.quantiles[:3]).all()
    assert np.isfinite(forecast.quantiles[3:]).all()


def test_gaps_do_not_spread(forecaster: OwnModelForecaster) -> None:
    values = _cycle(600, 0.2, 3)[None]
    values[0, -60:-40] = np.nan

    assert np.isfinite(_once(forecaster, _request(values)).quantiles).all()


def test_scale_and_level_of_a_series_do_not_matter(forecaster: OwnModelForecaster) -> None:
    values = _cycle(600, 0.2, 3)[None]

    small, large = _once(forecaster, _request(values)), _once(forecaster, _request(1000.0 * values + 5e4))

    np.testing.assert_allclose(large.quantiles, 1000.0 * small.quantiles + 5e4, rtol=1e-3)


def test_another_step_length_has_no_forecast(forecaster: OwnModelForecaster) -> None:
    forecast = _once(forecaster, _request(_cycle(600, 0.0, 1)[None], step_s=15.0))

    assert forecast.unavailable == {"series-0": NoForecastReason.MODEL_FAILED}


def test_a_one_pass_model_says_nothing_beyond_its_reach_and_a_walking_one_walks_on(trained: dict[str, Path]) -> None:
    request = _request(_cycle(600, 0.0, 1)[None], horizon_steps=80)

    tide, deepar = (_once(OwnModelForecaster.from_folder(trained[kind]), request) for kind in ("tide", "deepar"))

    assert tide.unavailable == {"series-0": NoForecastReason.MODEL_FAILED}
    assert np.isfinite(deepar.quantiles).all()


def test_a_restart_changes_no_forecast(forecaster: OwnModelForecaster) -> None:
    values = _cycle(700, 0.2, 3)[None]
    state = None
    for end in range(600, 680, 4):
        request = _request(values[:, :end], last_at_s=1.7e9 + end * STEP_S)
        _, state = forecaster.forecast(request, state, request.last_at_s, np.random.default_rng(end))
    restored = forecaster.load(json.loads(json.dumps(forecaster.dump(state))))
    request = _request(values, last_at_s=1.7e9 + 700 * STEP_S)

    went_on, _ = forecaster.forecast(request, state, request.last_at_s, np.random.default_rng(1))
    restarted, _ = forecaster.forecast(request, restored, request.last_at_s, np.random.default_rng(1))

    np.testing.assert_array_equal(went_on.quantiles, restarted.quantiles)
    np.testing.assert_array_equal(went_on.paths, restarted.paths)
    np.testing.assert_array_equal(went_on.coverage, restarted.coverage)
    assert went_on.coverage[0] > 0.0


def test_many_threads_get_the_same_answers_as_one(forecaster: OwnModelForecaster) -> None:
    requests = [_request(_cycle(600, place / 7.0, place)[None]) for place in range(12)]
    alone = [_once(forecaster, request).quantiles for request in requests]

    with ThreadPoolExecutor(4) as pool:
        together = [forecast.quantiles for forecast in pool.map(lambda one: _once(forecaster, one), requests)]

    np.testing.assert_array_equal(together, alone)


def test_a_series_gets_the_same_forecast_alone_and_among_others(trained: dict[str, Path]) -> None:
    forecaster = OwnModelForecaster.from_folder(trained["tide"])
    values = np.stack([_cycle(600, place / 7.0, place) for place in range(5)])

    together, alone = _once(forecaster, _request(values)), _once(forecaster, _request(values[2:3]))

    np.testing.assert_allclose(together.quantiles[2], alone.quantiles[0], rtol=1e-5)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        pytest.param(lambda at: (at / GRAPH_FILE).write_bytes(b"other"), "checksum", id="changed"),
        pytest.param(lambda at: (at / GRAPH_FILE).unlink(), "cannot be read", id="no-graph"),
        pytest.param(lambda at: (at / CARD_FILE).unlink(), "card.json is missing", id="no-card"),
        pytest.param(lambda at: (at / CARD_FILE).write_text("{}"), "has schema None", id="empty-card"),
        pytest.param(lambda at: (at / CARD_FILE).write_text("not json"), "is no model's card", id="no-json"),
        pytest.param(lambda at: (at / "weights.pt").write_bytes(b"\x80"), "never pickles", id="pickle"),
        pytest.param(
            lambda at: (at / CARD_FILE).write_text((at / CARD_FILE).read_text().replace("0.995", "0.999")),
            "another version",
            id="other-levels",
        ),
    ],
)
def test_a_folder_that_is_not_what_was_trained_is_refused(
    trained: dict[str, Path], tmp_path: Path, spoil: Any, said: str
) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in trained["tide"].iterdir():
        (folder / path.name).write_bytes(path.read_bytes())

    spoil(folder)

    with pytest.raises(ModelInvalid, match=said):
        OwnModelForecaster.from_folder(folder)


def test_series_that_are_too_short_are_refused_before_anything_is_imported(tmp_path: Path) -> None:
    with pytest.raises(TrainingImpossible, match="at most 100 points"):
        fit(_series(100), "tide", 1.0, 0, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_the_graph_says_what_the_trained_network_says(both: TrainedModels, kind: ModelKind) -> None:
    import torch
    from darts.utils.data.torch_datasets.utils import PLModuleInput

    card = read_card(both.folders[kind])
    given = moments(_series(), card.input_steps).validation().given
    target, past, future = (torch.from_numpy(values) for values in (given.target, given.past, given.future))
    asked = PLModuleInput(past_target=target, historic_future_covariates=past, future_covariates=future)
    with torch.no_grad():
        expected = both.networks[kind].eval()(asked).prediction[:, :, 0].numpy()

    session = OnnxSession(both.folders[kind] / GRAPH_FILE, card.sha256, threads=1)
    if kind is ModelKind.TIDE:
        answered = session.run({"target": given.target, "past": given.past, "future": given.future})[0]
    else:
        # darts reads each value with what is known of the step after it, and answers for the newest one only.
        ahead = np.concatenate([given.past[:, 1:], given.future[:, :1]], axis=1)
        state = np.zeros((1, len(ahead), 48), dtype=np.float32)
        answered = session.run({"target": given.target, "covariates": ahead, "state": state})[0][:, None]

    np.testing.assert_allclose(answered, expected, atol=1e-4)


def test_walking_in_two_parts_is_walking_once(trained: dict[str, Path]) -> None:
    card = read_card(trained["deepar"])
    session = OnnxSession(trained["deepar"] / GRAPH_FILE, card.sha256, threads=1)
    rng = np.random.default_rng(0)
    target = rng.normal(size=(3, 20, 1)).astype(np.float32)
    covariates = rng.normal(size=(3, 20, len(card.covariates))).astype(np.float32)
    state = np.zeros((1, 3, 48), dtype=np.float32)

    whole, _ = session.run({"target": target, "covariates": covariates, "state": state})
    _, half = session.run({"target": target[:, :12], "covariates": covariates[:, :12], "state": state})
    rest, _ = session.run({"target": target[:, 12:], "covariates": covariates[:, 12:], "state": half})

    np.testing.assert_allclose(rest, whole, atol=1e-5)


class Crippled(FallbackForecaster):
    """Is far off on `cart`, and knows `checkout` better than anyone could: it has the cycle's own formula."""

    def forecast(self, request: ForecastRequest, *more: Any) -> tuple[Forecast, Any]:
        forecast, state = super().forecast(request, *more)
        quantiles = forecast.quantiles.copy()
        for row, name in enumerate(request.series):
            if name == "cart":
                quantiles[row] += 300.0
            else:
                steps = (request.last_at_s - 1.7e9) / STEP_S + np.arange(1, request.horizon_steps + 1)
                known = 100.0 + 40.0 * np.sin(2 * np.pi * (steps / PERIOD + 0.3))
                quantiles[row] = known[:, None] + 2.0 * np.linspace(-2.5, 2.5, len(LEVELS))
        return replace(forecast, quantiles=quantiles), state


def _promoting(both: TrainedModels, series: Sequence[Series], folder: Path, made_at: str) -> Promotion:
    """A promotion in which training is a copy of what was trained before."""

    def copied(learned_from: Sequence[Series], kind: str, seconds: float, seed: int, out: Path) -> Path:
        return Path(shutil.copytree(both.folders[kind], out))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(promotion, "fit", copied)
        return promotion.train_and_promote(series, Plan((ModelKind.TIDE,), 1.0, 1, made_at), folder, Crippled())


@pytest.fixture
def registry(both: TrainedModels, tmp_path: Path) -> Path:
    """A registry after one training in which one of two signals could be won."""
    _promoting(both, _series(2800), tmp_path / "models", "2026-11-21T12:00:00Z")
    return tmp_path / "models"


def test_a_model_is_promoted_for_the_signal_on_which_it_is_better_only(registry: Path) -> None:
    manifest = read_registry(registry)

    assert manifest.promoted == {"cart": "tide-20261121t120000z"}
    scores = {one.signal: one for one in manifest.models[0].scores}
    assert scores["cart"].high is not None and scores["cart"].high < 0.0
    assert scores["checkout"].low is not None and scores["checkout"].low > 0.0
    assert not list(registry.glob(".training-*"))


def _chosen(registry: Path) -> ChosenForecaster:
    return chosen_forecaster(registry, FallbackForecaster())


def _both(registry: Path, forecaster: ChosenForecaster | None = None) -> tuple[Forecast, Forecast]:
    """What the chosen forecaster says of both signals, and what the default says."""
    values = np.stack([one.values[:900] for one in _series()])
    request = _request(values, series=("cart", "checkout"))
    chosen, _ = (forecaster or _chosen(registry)).forecast(request, None, 1.7e9, np.random.default_rng(0))
    default, _ = FallbackForecaster().forecast(request, None, 1.7e9, np.random.default_rng(0))
    return chosen, default


def test_promoted_signals_get_their_model_and_all_others_the_default(registry: Path) -> None:
    chosen, default = _both(registry)

    assert not np.array_equal(chosen.quantiles[0], default.quantiles[0])
    np.testing.assert_array_equal(chosen.quantiles[1], default.quantiles[1])
    np.testing.assert_array_equal(chosen.paths[1], default.paths[1])
    assert chosen.model == "fallback + tide-20261121t120000z"
    assert not chosen.fell_back


def test_a_changed_model_is_not_served_and_the_default_says_so(registry: Path) -> None:
    (registry / "tide-20261121t120000z" / GRAPH_FILE).write_bytes(b"something else")

    forecaster = _chosen(registry)
    chosen, default = _both(registry, forecaster)

    np.testing.assert_array_equal(chosen.quantiles, default.quantiles)
    assert chosen.fell_back
    assert "was changed" in forecaster.refused["tide-20261121t120000z"]


def test_the_state_of_all_models_survives_a_restart(registry: Path) -> None:
    forecaster = _chosen(registry)
    values = np.stack([one.values[:900] for one in _series()])
    request = _request(values, series=("cart", "checkout"))
    _, state = forecaster.forecast(request, None, 1.7e9, np.random.default_rng(0))

    restored = forecaster.load(json.loads(json.dumps(forecaster.dump(state))))

    later = replace(request, last_at_s=1.7e9 + STEP_S)
    went_on, _ = forecaster.forecast(later, state, later.last_at_s, np.random.default_rng(1))
    restarted, _ = forecaster.forecast(later, restored, later.last_at_s, np.random.default_rng(1))
    np.testing.assert_array_equal(went_on.quantiles, restarted.quantiles)


def test_a_later_training_keeps_the_signals_it_was_not_asked_about(both: TrainedModels, registry: Path) -> None:
    others = tuple(replace(one, name=f"other-{one.name}") for one in _series(2800))

    done = _promoting(both, others, registry, "2026-11-22T12:00:00Z")

    assert done.manifest.promoted["cart"] == "tide-20261121t120000z"


def test_a_model_in_use_is_judged_again_on_what_came_since(both: TrainedModels, registry: Path) -> None:
    since = tuple(replace(one, start_at_s=1.7e9 + 2800 * STEP_S) for one in _series(2800))

    done = _promoting(both, since, registry, "2026-11-23T12:00:00Z")

    assert set(done.scores) == {"tide-20261121t120000z", "tide-20261123t120000z"}


def test_a_model_that_may_have_seen_what_is_held_out_is_not_judged_again(both: TrainedModels, registry: Path) -> None:
    done = _promoting(both, _series(2400), registry, "2026-11-21T13:00:00Z")

    assert set(done.scores) == {"tide-20261121t130000z"}
