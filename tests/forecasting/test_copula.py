from __future__ import annotations

import numpy as np

from forecasting.copula import ROWS_AT_ONCE, copula_paths
from forecasting.forecast import LEVELS

STEPS, FACTORS, SAMPLES = 20, 4, 100


def test_how_many_rows_are_sampled_together_changes_nothing() -> None:
    rows = 2 * ROWS_AT_ONCE + 5
    given = np.random.default_rng(1)
    quantiles = np.sort(given.normal(size=(rows, STEPS, len(LEVELS))), axis=2)
    copula = given.normal(size=(rows, STEPS, FACTORS + 2))
    limits = np.full(rows, -1.5), np.full(rows, np.inf)

    together = copula_paths(quantiles, copula, limits, SAMPLES, np.random.default_rng(2))
    one_by_one = [
        copula_paths(
            quantiles[row : row + 1],
            copula[row : row + 1],
            (limits[0][row : row + 1], limits[1][row : row + 1]),
            SAMPLES,
            np.random.default_rng(2),
        )
        for row in range(rows)
    ]

    assert np.array_equal(together, np.concatenate(one_by_one))


def test_samples_hold_their_quantiles_and_limits() -> None:
    quantiles = np.broadcast_to(np.linspace(-2.0, 2.0, len(LEVELS)), (3, STEPS, len(LEVELS)))
    limits = np.full(3, -1.0), np.full(3, np.inf)

    paths = copula_paths(quantiles, np.zeros((3, STEPS, FACTORS + 2)), limits, SAMPLES, np.random.default_rng(3))

    assert paths.shape == (3, SAMPLES, STEPS)
    assert paths.min() == -1.0 and np.allclose(np.median(paths, axis=1), 0.0, atol=0.05)
