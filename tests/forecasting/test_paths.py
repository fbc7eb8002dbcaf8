from __future__ import annotations

import numpy as np

from forecasting.forecast import LEVELS, Floats
from forecasting.paths import FEWEST_SEGMENTS, joint_paths, segment_origins
from forecasting.quantiles import NORMAL_SCORES, sampling_weights

STEPS = 16


def _autoregression(correlation: float, points: int, seed: int, rows: int = 1) -> Floats:
    rng = np.random.default_rng(seed)
    values = np.zeros((rows, points))
    for point in range(1, points):
        values[:, point] = correlation * values[:, point - 1] + rng.normal(size=rows)
    return values


def _joint(values: Floats, level: Floats, samples: int = 100, slope: Floats | None = None, seed: int = 0) -> Floats:
    quantiles = np.broadcast_to(NORMAL_SCORES, (values.shape[0], STEPS, len(LEVELS)))
    known = np.ones(values.shape, dtype=bool)
    slope = np.zeros_like(values) if slope is None else slope
    limits = np.full(values.shape[0], -np.inf), np.full(values.shape[0], np.inf)
    return joint_paths(quantiles, values, known, level, slope, limits, samples, np.random.default_rng(seed))


def _lag_one(paths: Floats) -> float:
    """Correlation of the samples at neighbouring steps, averaged over the horizon's second half."""
    middle = range(STEPS // 2, STEPS - 1)
    return float(np.mean([np.corrcoef(paths[:, step], paths[:, step + 1])[0, 1] for step in middle]))


def test_every_step_holds_exactly_its_quantiles() -> None:
    values = _autoregression(0.9, 512, seed=1)

    paths = _joint(values, np.zeros_like(values))

    marginal = NORMAL_SCORES @ sampling_weights(100)
    assert np.allclose(np.sort(paths[0], axis=0), marginal[:, None])


def test_paths_carry_the_dependence_of_the_data() -> None:
    close = _autoregression(0.9, 1024, seed=2)
    loose = _autoregression(0.0, 1024, seed=3)

    # Around a mean of zero the process is its own departure.
    assert 0.75 < _lag_one(_joint(close, np.zeros_like(close))[0]) < 0.98
    assert -0.25 < _lag_one(_joint(loose, np.zeros_like(loose))[0]) < 0.25


def test_a_trend_in_the_past_is_not_read_as_dependence() -> None:
    noise = np.random.default_rng(4).normal(size=(1, 1024))
    line = 0.5 * np.arange(1024.0)[None]

    paths = _joint(line + noise, line, slope=np.full((1, 1024), 0.5))

    assert -0.25 < _lag_one(paths[0]) < 0.25


def test_series_that_moved_together_do_so_in_the_futures() -> None:
    shared = _autoregression(0.5, 800, seed=5)
    own = np.random.default_rng(6).normal(size=(3, 800))
    values = np.stack([shared[0] + 0.2 * own[0], shared[0] + 0.2 * own[1], own[2]])

    paths = _joint(values, np.zeros_like(values))

    together = np.corrcoef(paths[0, :, 7], paths[1, :, 7])[0, 1]
    apart = np.corrcoef(paths[0, :, 7], paths[2, :, 7])[0, 1]
    assert together > 0.8
    assert abs(apart) < 0.3


def test_equal_past_values_do_not_move_together() -> None:
    rarely = (np.random.default_rng(7).random((1, 1024)) < 0.05).astype(np.float64)

    paths = _joint(rarely, np.zeros_like(rarely))

    assert abs(_lag_one(paths[0])) < 0.25


def test_peaks_are_forecast_better_than_by_independent_steps() -> None:
    """CRPS of the maximum over the horizon, 60 forecasts of an autoregressive process with its own true marginals."""
    rng = np.random.default_rng(8)
    whole = _autoregression(0.9, 512 + 60 * STEPS, seed=9)
    spread = np.sqrt((1 - 0.9 ** (2 * np.arange(1, STEPS + 1))) / (1 - 0.81))
    losses = np.zeros(2)
    for origin in range(512, 512 + 59 * STEPS, STEPS):
        values = whole[:, origin - 512 : origin]
        centre = values[0, -1] * 0.9 ** np.arange(1, STEPS + 1)
        quantiles = (centre[:, None] + spread[:, None] * NORMAL_SCORES)[None]
        known = np.ones(values.shape, dtype=bool)
        none = np.zeros_like(values)
        joint = joint_paths(quantiles, values, known, none, none, (np.full(1, -99.0), np.full(1, 99.0)), 100, rng)[0]
        independent = rng.permuted(joint, axis=0)
        peak = whole[0, origin : origin + STEPS].max()
        losses += [_crps(joint.max(axis=1), peak), _crps(independent.max(axis=1), peak)]

    assert losses[0] < 0.9 * losses[1]


def test_short_history_gets_smooth_ranks_and_the_same_marginals() -> None:
    values = np.random.default_rng(10).normal(size=(2, STEPS + 4))

    paths = _joint(values, np.zeros_like(values))

    assert _lag_one(paths[0]) > 0.8
    assert np.allclose(np.sort(paths[0], axis=0), np.sort(paths[1], axis=0))


def test_moments_followed_by_gaps_are_no_template() -> None:
    known = np.ones((2, 300), dtype=bool)
    known[:, 120:200] = False

    origins = segment_origins(known, STEPS, 100, np.random.default_rng(0))

    shares = [known[:, origin + 1 : origin + 1 + STEPS].mean() for origin in origins]
    assert min(shares) >= 0.8


def test_too_few_moments_are_none() -> None:
    known = np.ones((1, STEPS + FEWEST_SEGMENTS - 1), dtype=bool)

    assert segment_origins(known, STEPS, 100, np.random.default_rng(0)).size == 0


def test_many_samples_keep_their_quantiles() -> None:
    values = _autoregression(0.9, 512, seed=11)

    paths = _joint(values, np.zeros_like(values), samples=2000)

    marginal = NORMAL_SCORES @ sampling_weights(2000)
    assert np.allclose(np.sort(paths[0], axis=0), marginal[:, None])


def _crps(samples: Floats, outcome: float) -> float:
    pairs = np.abs(samples[:, None] - samples[None]).mean()
    return float(np.abs(samples - outcome).mean() - 0.5 * pairs)
