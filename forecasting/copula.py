"""Joint futures by a learned dependence: the network says how the steps of a row hang together, numpy draws ranks.

Samples are Gaussian: shared factors, an Ornstein-Uhlenbeck process whose clock runs at a learned speed, and independent
noise (`forecasting.training.losses.correlation` is the same thing as a matrix). Only their ranks are used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecasting.features import Singles
from forecasting.forecast import Floats
from forecasting.paths import ordered, scatter
from forecasting.quantiles import sampling_weights

#: Independent noise that no factor explains.
NOISE = 0.3
#: Rows that are sampled together: more leave the cache, and take memory that nobody gets back.
ROWS_AT_ONCE = 64


def copula_paths(
    quantiles: Floats, copula: Floats, limits: tuple[Floats, Floats], samples: int, rng: np.random.Generator
) -> Floats:
    """Samples of the quantiles in the order that the copula draws, `(rows, samples, steps)`.

    `copula` `(rows, steps, factors + 2)`: loadings, speed, amplitude. The noise is the same for all rows, so that
    sample `k` is one future of all of them.
    """
    rows, steps, parameters = copula.shape
    noise = _Noise.drawn(steps, parameters - 2, samples, rng)
    paths = np.empty((rows, samples, steps))
    for first in range(0, rows, ROWS_AT_ONCE):
        part = slice(first, first + ROWS_AT_ONCE)
        paths[part] = _paths(quantiles[part], copula[part], (limits[0][part], limits[1][part]), noise)
    return paths


@dataclass(frozen=True, slots=True)
class _Noise:
    """What all rows share: `wandering` and `own` `(steps, samples)`, `shared` `(factors, samples)`."""

    wandering: Singles
    own: Singles
    shared: Singles

    @classmethod
    def drawn(cls, steps: int, factors: int, samples: int, rng: np.random.Generator) -> _Noise:
        wandering = rng.standard_normal((steps, samples), dtype=np.float32)
        own = rng.standard_normal((steps, samples), dtype=np.float32)
        return cls(wandering, own, rng.standard_normal((factors, samples), dtype=np.float32))


def _paths(quantiles: Floats, copula: Floats, limits: tuple[Floats, Floats], noise: _Noise) -> Floats:
    samples = noise.own.shape[1]
    drawn = quantiles @ sampling_weights(samples)
    drawn = np.clip(drawn, limits[0][:, None, None], limits[1][:, None, None])
    # Only the order of these numbers is used: float32 has enough of it.
    said: Singles = copula.astype(np.float32)
    wandering = _wandering(_softplus(said[:, :, -2] - np.float32(2.0)), noise.wandering)
    wandering *= _softplus(said[:, :, -1:] + np.float32(1.0))
    latent: Singles = np.matmul(said[:, :, :-2], noise.shared)
    latent += wandering
    latent += np.float32(NOISE) * noise.own
    paths = np.empty_like(drawn)
    scatter(paths, ordered(latent, np.zeros_like(noise.own)), drawn)
    return paths.swapaxes(1, 2)


def _wandering(speed: Singles, noise: Singles) -> Singles:
    """Ornstein-Uhlenbeck samples `(rows, steps, samples)`, correlated by exp(-distance on the clock)."""
    rows, steps = speed.shape
    keep = np.exp(-speed)[:, :, None]
    fresh = np.sqrt(1.0 - keep**2)
    state = np.empty((rows, steps, noise.shape[1]), dtype=np.float32)
    state[:, 0] = noise[0]
    for step in range(1, steps):
        state[:, step] = keep[:, step] * state[:, step - 1] + fresh[:, step] * noise[step]
    return state


def _softplus(x: Singles) -> Singles:
    return np.asarray(np.logaddexp(np.float32(0.0), x), dtype=np.float32)
