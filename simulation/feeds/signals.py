"""Failure signals per pod and database at 60 s, aligned for one batched forecast."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from policies.model import SignalHistory, SignalTarget

STEP_S = 60.0
#: Two hours of context.
POINTS = 120


class SignalLog:
    """The last `POINTS` values of every signal whose owner still exists, NaN before it was born."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._values = np.empty((0, POINTS))
        self.latest: SignalHistory | None = None

    def record(
        self, at_s: float, targets: Sequence[SignalTarget], values: Sequence[float], limits: Sequence[float]
    ) -> SignalHistory:
        """Append one column. Signals that are not in `targets` any more are forgotten."""
        keys = [target.key for target in targets]
        rows = np.array([self._rows.get(key, -1) for key in keys], dtype=np.int64)
        shifted = np.full((len(keys), POINTS), np.nan)
        known = rows >= 0
        shifted[known, :-1] = self._values[rows[known], 1:]
        shifted[:, -1] = values
        self._rows = {key: row for row, key in enumerate(keys)}
        self._values = shifted
        self.latest = SignalHistory(tuple(targets), shifted, np.array(limits, dtype=np.float64), STEP_S, at_s)
        return self.latest
