"""Prophet's idea in one ridge regression: a trend with many possible bends plus Fourier terms of the day and week.

Not the library: no Stan, no holidays. Bends are shrunk by a ridge instead of a Laplace prior, and the uncertainty of
the trend is that of bends which come at the past rate and size.
"""

from __future__ import annotations

import numpy as np

from forecasting.backtesting.classical import Past, shortened
from forecasting.features import DAY_S, WEEK_S
from forecasting.forecast import Floats
from forecasting.quantiles import NORMAL_SCORES, empirical_quantiles

LONGEST = 4608
#: Possible bends, evenly over the first four fifths of the history, as in Prophet's defaults.
BENDS, BENDS_SHARE = 25, 0.8
#: Fourier terms of a cycle that is known as often as `FEWEST_CYCLES`.
DAY_TERMS, WEEK_TERMS, OTHER_TERMS = 4, 3, 6
FEWEST_CYCLES = 2
#: Ridge of bends and of Fourier terms, in units of the noise.
BEND_RIDGE, FOURIER_RIDGE = 2.0, 0.01


def prophet_like(past: Past, horizon: int) -> Floats:
    """Quantiles `(steps, levels)`: the fitted curve carried on, spread by its residuals and by bends to come."""
    past = shortened(past, LONGEST)
    points = past.values.size
    time = np.arange(points + horizon) / points
    bends = np.linspace(0.0, BENDS_SHARE, BENDS + 1)[1:]
    hinges = np.maximum(time[:, None] - bends, 0.0)
    waves = _waves(past, horizon)
    design = np.concatenate([np.ones((time.size, 1)), time[:, None], hinges, waves], axis=1)
    ridge = np.concatenate([[1e-8, 1e-8], np.full(BENDS, BEND_RIDGE), np.full(waves.shape[1], FOURIER_RIDGE)])

    scale = max(float(past.values.std()), 1e-12 * max(1.0, float(np.abs(past.values).max())))
    centre = float(past.values.mean())
    seen = design[:points]
    weights = np.linalg.solve(seen.T @ seen + np.diag(ridge), seen.T @ ((past.values - centre) / scale))
    curve = design @ weights

    residuals = empirical_quantiles((past.values - centre) / scale - curve[:points])
    bent = weights[2 : 2 + BENDS]
    # Bends to come: one every 1 / BENDS of the history, each as large as the past ones.
    ahead = np.arange(1, horizon + 1) / points
    trend_deviation = np.sqrt(BENDS * np.mean(bent**2) * ahead**3 / 3.0)
    spread = np.copysign(np.hypot(residuals, trend_deviation[:, None] * NORMAL_SCORES), NORMAL_SCORES)
    return np.asarray(centre + scale * (curve[points:, None] + spread))


def _waves(past: Past, horizon: int) -> Floats:
    """Fourier terms at past and future points, `(points + horizon, terms)`; none where no cycle is known twice."""
    points = past.values.size
    cycles = {DAY_S / past.step_s: DAY_TERMS, WEEK_S / past.step_s: WEEK_TERMS}
    if past.season and past.season not in cycles:
        cycles[float(past.season)] = OTHER_TERMS
    place = np.arange(points + horizon)
    columns = [np.zeros((points + horizon, 0))]
    for cycle, terms in cycles.items():
        terms = min(terms, int((cycle - 1) // 2))
        if points >= FEWEST_CYCLES * cycle and terms > 0:
            phase = 2.0 * np.pi * place[:, None] * np.arange(1, terms + 1) / cycle
            columns += [np.sin(phase), np.cos(phase)]
    return np.concatenate(columns, axis=1)
