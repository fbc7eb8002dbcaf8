"""When failure signals will hit their limits, read from joint futures, and only for signals that may at all."""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass

import numpy as np

from forecasting.forecast import Floats, Forecast
from forecasting.hitting import hitting_probability
from policies.model import Observation, SignalTarget

STALE_S = 300.0  # five signal steps: an older forecast describes a future that has become the past


@dataclass(frozen=True, slots=True)
class Curve:
    """P(the signal has hit its limit by then), for one target. `cdf` and `times_s` are `(steps,)`."""

    target: SignalTarget
    times_s: Floats
    cdf: Floats
    value: float  # the newest, NaN where unknown
    limit: float

    def by(self, at_s: float) -> float:
        """Probability (0..1) that the limit is hit before `at_s`; beyond the horizon: by its end."""
        return float(np.interp(at_s, self.times_s, self.cdf))

    @property
    def median_s(self) -> float:
        """When the limit is hit in half of the futures; infinite where it is not within the horizon."""
        late = np.flatnonzero(self.cdf >= 0.5)
        return float(self.times_s[late[0]]) if late.size else float("inf")

    @property
    def facts(self) -> dict[str, float | str]:
        hit = {"hit_at_s": self.median_s} if np.isfinite(self.median_s) else {}
        target = self.target
        known = {"value": self.value} if np.isfinite(self.value) else {}
        return {"signal": target.kind.value, "pod": target.member, **known, "limit": self.limit, **hit}


def is_current(signals: Forecast | None, now_s: float) -> bool:
    """Whether there is a forecast of signals that still speaks about the future."""
    return signals is not None and now_s - signals.issued_at_s <= STALE_S


def curves(
    seen: Observation,
    signals: Forecast | None,
    now_s: float,
    wanted: Callable[[SignalTarget], bool],
    always: Set[str] = frozenset(),
) -> dict[str, Curve]:
    """Hitting curves by `SignalTarget.key`, for wanted targets that may hit their limit and for those in `always`.

    A target without forecast has no curve. Left out as harmless: targets whose highest quantile (0.995) stays below the
    limit at every step, which bounds the probability of a hit by about the number of steps times 0.005.
    """
    history = seen.signals
    if history is None or signals is None or not is_current(signals, now_s) or not history.targets:
        return {}
    rows = {name: row for row, name in enumerate(signals.series) if name not in signals.unavailable}
    chosen = [
        (place, row, target)
        for place, target in enumerate(history.targets)
        if (row := rows.get(target.key)) is not None and wanted(target)
    ]
    if not chosen:
        return {}
    places = np.array([place for place, _, _ in chosen])
    series = np.array([row for _, row, _ in chosen])
    limits, latest = history.limits[places], history.values[places, -1]
    worst = signals.quantiles[series, :, -1].max(axis=1)
    near = (worst >= limits) | (latest >= limits)
    kept = [k for k, (_, _, target) in enumerate(chosen) if near[k] or target.key in always]
    if not kept:
        return {}
    probability = hitting_probability(signals.paths[series[kept]], limits[kept], current=latest[kept])
    now = (latest[kept] >= limits[kept]).astype(np.float64)
    cdf = np.concatenate([now[:, None], probability], axis=1)
    times_s = np.concatenate([[signals.last_at_s], signals.times_s])
    return {
        chosen[k][2].key: Curve(chosen[k][2], times_s, cdf[i], float(latest[k]), float(limits[k]))
        for i, k in enumerate(kept)
        if np.isfinite(cdf[i]).all()
    }
