"""When failure signals will hit their limits, read from joint futures, and only for signals that may at all."""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass

import numpy as np

from forecasting.failures import HittingCurve, curves_of
from forecasting.forecast import Forecast
from policies.model import Observation, SignalTarget

STALE_S = 300.0  # five signal steps: an older forecast describes a future that has become the past


@dataclass(frozen=True, slots=True)
class Curve(HittingCurve):
    """P(the signal has hit its limit by then), for one target."""

    target: SignalTarget
    value: float  # the newest, NaN where unknown
    limit: float

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
    found = curves_of(signals.paths[series[kept]], limits[kept], latest[kept], signals.last_at_s, signals.step_s)
    return {
        chosen[k][2].key: Curve(curve.times_s, curve.cdf, chosen[k][2], float(latest[k]), float(limits[k]))
        for k, curve in zip(kept, found, strict=True)
        if curve is not None
    }
