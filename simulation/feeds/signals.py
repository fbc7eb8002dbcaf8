"""Failure signals per pod and database at 60 s, aligned for one batched forecast."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forecasting.alarm_evidence import LINGERS_POINTS, nearest_to_limit, worth_forecasting
from forecasting.forecast import Floats
from policies.model import SignalHistory, SignalTarget

STEP_S = 60.0
#: Two hours of context.
POINTS = 120


class SignalLog:
    """The last `POINTS` values of every signal whose owner still exists, NaN before it was born.

    `latest` shows those that are watched, and of every workload the one that is nearest to its limit.
    """

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._values: Floats = np.empty((0, POINTS))
        self._unsuspicious_for = np.empty(0, dtype=np.int64)
        self.latest: SignalHistory | None = None

    def record(
        self, at_s: float, targets: Sequence[SignalTarget], values: Sequence[float], limits: Sequence[float]
    ) -> None:
        """Append one column. Signals that are not in `targets` any more are forgotten."""
        keys = [target.key for target in targets]
        rows = np.array([self._rows.get(key, -1) for key in keys], dtype=np.int64)
        known = rows >= 0
        shifted = np.full((len(keys), POINTS), np.nan)
        shifted[known, :-1] = self._values[rows[known], 1:]
        shifted[:, -1] = values
        calm = np.full(len(keys), LINGERS_POINTS, dtype=np.int64)
        calm[known] = self._unsuspicious_for[rows[known]] + 1
        limits_by_row = np.array(limits, dtype=np.float64)
        calm[worth_forecasting(shifted, limits_by_row)] = 0
        self._rows = {key: row for row, key in enumerate(keys)}
        self._values, self._unsuspicious_for = shifted, calm
        shown = sorted(
            {
                *np.flatnonzero(calm < LINGERS_POINTS).tolist(),
                *nearest_to_limit([target.workload for target in targets], shifted, limits_by_row),
            }
        )
        self.latest = SignalHistory(
            tuple(targets[row] for row in shown), shifted[shown], limits_by_row[shown], STEP_S, at_s, wall_clock=False
        )
