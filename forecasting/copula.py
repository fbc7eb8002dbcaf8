"""Joint futures by a learned dependence: the network says how the steps of a row hang together, numpy draws ranks.

Samples are Gaussian: shared factors, an Ornstein-Uhlenbeck process whose clock runs at a learned speed, and independent
noise (`forecasting.training.losses.correlation` is the same thing as a matrix). Only their ranks are used.
"""

from __future__ import annotations

import numpy as np

from forecasting.features import Singles
from forecasting.forecast import Floats
from forecasting.paths import ordered, scatter
from forecasting.quantiles import sampling_weights

#: Independent noise that no factor explains.
NOISE = 0.3


def copula_paths(
    quantiles: Floats, copula: Floats, limits: tuple[Floats, Floats], samples: int, rng: np.random.Generator
) -> Floats:
    """Samples of the quantiles in the order that the copula draws, `(rows, samples, steps)`.

    `copula` `(rows, steps, factors + 2)`: loadings, speed, amplitude. The noise is the same for all rows, so that
    sample `k` is one future of all of them.
    """
    steps = copula.shape[1]
    factors = copula.shape[2] - 2
    drawn = quantiles @ sampling_weights(samples)
    drawn = np.clip(drawn, limits[0][:, None, None], limits[1][:, None, None])
    # Only the order of these numbers is used: float32 has enough of it.
    said: Singles = copula.astype(np.float32)
    wandering = _wandering(_softplus(said[:, :, -2] - np.float32(2.0)), samples, rng)
    wandering *= _softplus(said[:, :, -1:] + np.float32(1.0))
    noise: Singles = rng.standard_normal((steps, samples), dtype=np.float32)
    shared: Singles = rng.standard_normal((factors, samples), dtype=np.float32)
    latent: Singles = np.matmul(said[:, :, :factors], shared)
    latent += wandering
    latent += np.float32(NOISE) * noise
    paths = np.empty_like(drawn)
    scatter(paths, ordered(latent, np.zeros((steps, samples), dtype=np.float32)), drawn)
    return paths.swapaxes(1, 2)


def _wandering(speed: Singles, samples: int, rng: np.random.Generator) -> Singles:
    """Ornstein-Uhlenbeck samples `(rows, steps, samples)`, correlated by exp(-distance on the clock)."""
    rows, steps = speed.shape
    keep = np.exp(-speed)[:, :, None]
    fresh = np.sqrt(1.0 - keep**2)
    noise = rng.standard_normal((steps, samples), dtype=np.float32)
    state = np.empty((rows, steps, samples), dtype=np.float32)
    state[:, 0] = noise[0]
    for step in range(1, steps):
        state[:, step] = keep[:, step] * state[:, step - 1] + fresh[:, step] * noise[step]
    return state


def _softplus(x: Singles) -> Singles:
    return np.asarray(np.logaddexp(np.float32(0.0), x), dtype=np.float32)
