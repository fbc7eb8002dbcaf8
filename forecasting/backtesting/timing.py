"""What a forecast of a hundred series costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from forecasting.backtesting.windows import Cohort
from forecasting.forecast import Floats, Forecaster, ForecastRequest

BATCH, POINTS = 100, 512
#: The step that requests claim, a minute; it only decides what a day is.
STEP_S = 60.0
#: Calls that are timed, after `_WARM_STEPS` in which models load and compile.
CALLS = 5
#: Models that need longer than this for a few series are timed with these alone.
FEW, PATIENCE_S = 4, 0.4
_WARM_STEPS = 2


def batch_of(cohorts: Sequence[Cohort]) -> Floats:
    """`(BATCH, points)`: newest contexts of series from all cohorts, evenly, unknown before their start."""
    length = POINTS + CALLS + _WARM_STEPS
    rows = [
        _tail(cohort.values[row, : origin + 1], length)
        for cohort in cohorts
        for origin in cohort.origins[-1:]
        for row in cohort.judged_rows(origin)
    ]
    return np.stack([rows[place * len(rows) // BATCH] for place in range(BATCH)])


def ms_per_100(forecaster: Forecaster, batch: Floats, horizon_steps: int, clock_s: Callable[[], float]) -> float:
    """Milliseconds for one forecast of a hundred series of 512 points in one request.

    The quickest of `CALLS` ticks counts: whatever else the machine does only adds to it.
    """
    few = _seconds(forecaster, batch[:FEW], horizon_steps, clock_s)
    if few > PATIENCE_S:
        return 1000.0 * few * BATCH / FEW
    return 1000.0 * _seconds(forecaster, batch, horizon_steps, clock_s)


def _seconds(forecaster: Forecaster, batch: Floats, horizon_steps: int, clock_s: Callable[[], float]) -> float:
    state: Any = None
    measured: list[float] = []
    for tick in range(_WARM_STEPS + CALLS):
        request = ForecastRequest(
            series=tuple(f"timed-{row}" for row in range(batch.shape[0])),
            values=batch[:, tick : tick + POINTS],
            step_s=STEP_S,
            last_at_s=tick * STEP_S,
            horizon_steps=horizon_steps,
            wall_clock=False,
        )
        started_s = clock_s()
        _, state = forecaster.forecast(request, state, request.last_at_s, np.random.default_rng(tick))
        measured.append(clock_s() - started_s)
        if tick == _WARM_STEPS and measured[-1] > PATIENCE_S * batch.shape[0] / FEW:
            break
    return min(measured[_WARM_STEPS:])


def _tail(values: Floats, length: int) -> Floats:
    tail = values[-length:]
    return np.concatenate([np.full(length - tail.size, np.nan), tail])
