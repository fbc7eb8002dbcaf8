"""Training resumes, learns, and exports a graph that computes what the network does."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from forecasting.copula import copula_paths  # noqa: E402
from forecasting.features import HORIZON_STEPS  # noqa: E402
from forecasting.forecast import LEVELS  # noqa: E402
from forecasting.network_model import NetworkModel  # noqa: E402
from forecasting.series_files import Series  # noqa: E402
from forecasting.training.export import TOLERANCE, example_inputs, export, parity  # noqa: E402
from forecasting.training.loop import Progress, TrainingPlan, TrainingStateInvalid, score, train  # noqa: E402
from forecasting.training.losses import (  # noqa: E402
    copula_loss,
    correlation,
    level_weights,
    normal_scores,
    pinball_loss,
)
from forecasting.training.network import CONFIGS, INPUT_NAMES, ForecastNetwork, NetworkConfig, parameters  # noqa: E402
from forecasting.training.recipe import Recipe, RecipeInvalid, run  # noqa: E402
from forecasting.training.sources import REUSED, SeriesSource, SyntheticSource  # noqa: E402
from forecasting.training.windows import SeriesBatch, windows_at  # noqa: E402

TINY = NetworkConfig(width=16, layers=2, heads=2, hidden=16, factors=2)


def test_the_small_size_has_about_a_million_parameters_and_fits_the_wheel() -> None:
    count = parameters(ForecastNetwork(CONFIGS["s"]))
    assert 0.8e6 < count < 1.2e6
    assert 4 * count < 5e6


def test_quantiles_never_cross_whatever_the_inputs() -> None:
    network = ForecastNetwork(TINY).eval()
    inputs = example_inputs(5, np.random.default_rng(3))
    with torch.no_grad():
        quantiles, _ = network(*(torch.from_numpy(inputs[name] * 3.0) for name in INPUT_NAMES))
    assert quantiles.shape == (5, HORIZON_STEPS, len(LEVELS))
    assert bool((quantiles.diff(dim=2) >= 0.0).all())


def test_an_anchor_that_is_not_known_has_no_share_in_the_median() -> None:
    network = ForecastNetwork(TINY).eval()
    torch.nn.init.zeros_(network.future_in.up.weight)  # so that anchors enter the median by their shares alone
    inputs = example_inputs(2, np.random.default_rng(4))

    def said() -> torch.Tensor:
        with torch.no_grad():
            quantiles: torch.Tensor = network(*(torch.from_numpy(inputs[name]) for name in INPUT_NAMES))[0]
        return quantiles

    inputs["anchor_known"][:, :, 5] = 0.0
    one = said()
    inputs["anchors"][:, :, 5] += 3.0
    assert float((one - said()).abs().max()) < 1e-6
    inputs["anchor_known"][:, :, 5] = 1.0
    assert float((one - said()).abs().max()) > 0.01


def test_pinball_by_hand() -> None:
    quantiles = torch.zeros(1, 1, len(LEVELS))
    outcomes, known = torch.ones(1, 1), torch.ones(1, 1)
    # All quantiles are 0 and 1 came: the loss of level p is p, in scaled space, and p sinh(1) as measured.
    middle = sum(LEVELS) / len(LEVELS)
    only_scaled = pinball_loss(quantiles, outcomes, known, torch.tensor([[1.0, 0.0]]), torch.ones(len(LEVELS)))
    only_measured = pinball_loss(quantiles, outcomes, known, torch.tensor([[0.0, 1.0]]), torch.ones(len(LEVELS)))
    assert float(only_scaled) == pytest.approx(0.5 * middle, rel=1e-5)
    assert float(only_measured) == pytest.approx(0.5 * middle * np.sinh(1.0), rel=1e-5)


def test_unknown_outcomes_do_not_count() -> None:
    quantiles, weights = torch.zeros(1, 2, len(LEVELS)), torch.ones(1, 2)
    outcomes = torch.tensor([[1.0, 50.0]])
    one = pinball_loss(quantiles, outcomes, torch.tensor([[1.0, 0.0]]), weights, level_weights())
    same = pinball_loss(quantiles, torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0]]), weights, level_weights())
    assert float(one) == float(same)


def test_normal_scores_of_quantiles_are_their_levels() -> None:
    quantiles = torch.linspace(-3.0, 3.0, len(LEVELS)).reshape(1, 1, -1)
    scores = normal_scores(quantiles, quantiles[:, :, LEVELS.index(0.9)])
    assert float(scores[0, 0]) == pytest.approx(1.2816, abs=1e-3)
    assert float(normal_scores(quantiles, torch.tensor([[99.0]]))[0, 0]) == pytest.approx(2.5758, abs=1e-3)


def test_the_copula_of_training_is_the_one_that_is_sampled() -> None:
    raw = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 12, 4)).astype(np.float32))
    expected = correlation(raw)[0].numpy()
    quantiles = np.tile(np.linspace(-2.0, 2.0, len(LEVELS)), (1, 12, 1))
    limits = (np.full(1, -np.inf), np.full(1, np.inf))
    paths = copula_paths(quantiles, raw.double().numpy(), limits, 20_000, np.random.default_rng(1))
    found = np.corrcoef(paths[0].T)
    assert np.abs(found - expected).max() < 0.06


def test_the_copulas_likelihood_prefers_the_right_dependence() -> None:
    together = torch.randn(64, 1, generator=torch.Generator().manual_seed(1)).repeat(1, 8)
    together = together + 0.1 * torch.randn(64, 8, generator=torch.Generator().manual_seed(2))
    tied, loose = torch.zeros(64, 8, 4), torch.zeros(64, 8, 4)
    tied[:, :, 0], loose[:, :, 2] = 5.0, 8.0
    tied[:, :, 3] = loose[:, :, 3] = -4.0
    whole = torch.ones(64, dtype=torch.bool)
    assert float(copula_loss(tied, together, whole)) < float(copula_loss(loose, together, whole))


def test_synthetic_batches_depend_on_seed_and_step_alone() -> None:
    fresh, used = SyntheticSource(7), SyntheticSource(7)
    used.batch(2 * REUSED, 3, np.random.default_rng(0))
    one = fresh.batch(2 * REUSED, 4, np.random.default_rng(9))
    other = used.batch(2 * REUSED, 4, np.random.default_rng(9))
    np.testing.assert_array_equal(one.outcomes, other.outcomes)
    for name in INPUT_NAMES:
        np.testing.assert_array_equal(one.inputs[name], other.inputs[name])


def test_windows_see_nothing_of_what_comes_after_them() -> None:
    values = np.random.default_rng(0).standard_normal((2, 900)).cumsum(axis=1)
    later = values.copy()
    later[:, 601:] = 1e6
    where = (np.asarray([0, 1]), np.asarray([600, 600]))
    about = (np.full(2, 60.0), np.full(2, 1.6e9), np.zeros((2, 900)))
    one, outcomes, _ = windows_at(SeriesBatch(values, *about), *where)
    other, _, _ = windows_at(SeriesBatch(later, *about), *where)
    np.testing.assert_array_equal(one.values, other.values)
    np.testing.assert_array_equal(outcomes, values[:, 601:665])


def test_a_short_history_shows_nothing_of_what_was_cut_off() -> None:
    values = np.random.default_rng(0).standard_normal((1, 900)).cumsum(axis=1)
    other = values.copy()
    other[:, :550] += 1e3
    where = (np.asarray([0]), np.asarray([600]))
    about = (np.full(1, 60.0), np.full(1, np.nan), np.zeros((1, 900)))
    cut, _, _ = windows_at(SeriesBatch(values, *about), *where, longest=40)
    same, _, _ = windows_at(SeriesBatch(other, *about), *where, longest=40)
    np.testing.assert_array_equal(cut.values, same.values)
    assert cut.known.sum() == 40


def test_real_series_of_any_length_give_windows() -> None:
    rng = np.random.default_rng(0)
    series = [Series(f"s{n}", "g", rng.random(n) + 5.0, 60.0, 1.6e9) for n in (200, 700, 9000)]
    series.append(Series("gappy", "g", np.where(rng.random(800) < 0.2, np.nan, rng.random(800)), 300.0))
    batch = SeriesSource({"g": series}).batch(64, 0, rng)
    assert batch.outcomes.shape[0] > 16
    assert all(np.isfinite(values).all() for values in batch.inputs.values())


def test_a_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    source = SeriesSource({"g": [Series("s", "g", np.random.default_rng(0).random(900), 60.0)]})
    aside = source.batch(16, 0, np.random.default_rng(0))
    told: list[Progress] = []
    plan = TrainingPlan(60.0, steps=3, batch_windows=REUSED, threads=1)
    train(TINY, source, aside, plan, tmp_path, told.append)
    first = told[-1]
    longer = TrainingPlan(60.0, steps=5, batch_windows=REUSED, threads=1)
    network = train(TINY, source, aside, longer, tmp_path, told.append)
    assert (first.step, told[-1].step) == (3, 5)
    assert told[-1].validation == pytest.approx(score(network, aside))
    with pytest.raises(TrainingStateInvalid, match="another folder"):
        train(NetworkConfig(width=32), source, aside, longer, tmp_path, told.append)


def test_training_learns(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    time = np.arange(1200)
    wave = Series("wave", "g", 10.0 + np.sin(2.0 * np.pi * time / 48.0), 60.0)
    source = SeriesSource({"g": [wave]})
    aside = source.batch(32, 0, np.random.default_rng(1))
    told: list[Progress] = []
    network = train(
        TINY,
        source,
        aside,
        TrainingPlan(60.0, steps=60, batch_windows=32, rate=2e-2, average_steps=10, threads=1),
        tmp_path,
        told.append,
    )
    assert score(network, aside) < 0.8 * score(ForecastNetwork(TINY), aside)


def test_the_exported_graph_computes_what_the_network_does(tmp_path: Path) -> None:
    network = ForecastNetwork(TINY)
    card = json.loads(export(network, tmp_path, {"name": "foresail-tiny"}).read_text())
    assert card["parity"] <= TOLERANCE
    assert b"site-packages" not in (tmp_path / card["file"]).read_bytes()
    assert parity(network, tmp_path / card["file"]) <= TOLERANCE
    assert NetworkModel.from_folder(tmp_path, threads=1).name == "foresail-tiny"


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (Recipe("s", 0.0), "--minutes"),
        (Recipe("s", 1.0, real_share=1.5), "--real-share"),
        (Recipe("s", 1.0, start_from=Path("nowhere")), "--start-from"),
        (Recipe("s", 1.0, corpus=Path("nowhere")), "--corpus"),
    ],
)
def test_options_that_make_no_sense_are_named(tmp_path: Path, recipe: Recipe, message: str) -> None:
    with pytest.raises(RecipeInvalid, match=message):
        run(recipe, tmp_path, lambda line: None)
