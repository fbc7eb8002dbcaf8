"""The forecast as a value, and the port that every forecaster answers.

Nothing here knows a model. Decisions that need a maximum, a sum or a first-passage time read `paths`, which are
joint over steps; `quantiles` are marginal per step and only answer questions about one step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Quantile levels of every forecast: 5 % steps with finer tails, since capacity is decided beyond the 0.9 quantile.
LEVELS: tuple[float, ...] = (
    0.005, 0.01, 0.02, 0.05, 0.10, 0.15, 0.20, 0.25, 0.30, 0.35, 0.40, 0.45, 0.50,
    0.55, 0.60, 0.65, 0.70, 0.75, 0.80, 0.85, 0.90, 0.95, 0.98, 0.99, 0.995,
)  # fmt: skip


class SeriesKind(StrEnum):
    """How a raw series is to be read."""

    GAUGE = "gauge"
    COUNTER = "counter"  # cumulative; a drop is a reset, forecasts are of its rate per second
    DEMAND = "demand"  # never negative, events multiply it


class NoForecastReason(StrEnum):
    """Why a series has no forecast. Its rows in `Forecast` are NaN."""

    EMPTY = "empty"  # no point at all
    ALL_MISSING = "all_missing"
    TOO_SHORT = "too_short"
    STALE = "stale"  # the newest point is too old to start from
    NOT_FINITE = "not_finite"  # infinite values in the history
    MODEL_FAILED = "model_failed"


@dataclass(frozen=True, slots=True)
class DeclaredEvent:
    """Something people know and history does not: a sale, a campaign, a batch import.

    From `starts_at_s` the demand of `series` (empty: all) is multiplied by `multiplier` with `probability`,
    reached after `ramp_s`, until `ends_at_s`.
    """

    name: str
    starts_at_s: float
    ends_at_s: float
    multiplier: float
    probability: float = 1.0
    ramp_s: float = 0.0
    series: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ForecastRequest:
    """All series of one tick.

    `values` is `(series, points)`, oldest first, NaN where nothing is known; column `-1` was measured at `last_at_s`.
    `same_time_yesterday` and `same_time_last_week` are `(series, horizon_steps)`: what was measured one day (week)
    before each step of the horizon, NaN where unknown. Limits are hard: `(series,)`, infinite where there is none.
    `censored` `(series, points)` marks values that are no outcomes: saturated demand, windows of a failure acted on.
    `wall_clock`: `last_at_s` is Unix time, so hours and weekdays may be read from it.
    """

    series: tuple[str, ...]
    values: Floats
    step_s: float
    last_at_s: float
    horizon_steps: int
    kinds: tuple[SeriesKind, ...] = ()  # empty: all gauges
    lower_limit: Floats | None = None
    upper_limit: Floats | None = None
    events: tuple[DeclaredEvent, ...] = ()
    same_time_yesterday: Floats | None = None
    same_time_last_week: Floats | None = None
    samples: int = 100
    censored: NDArray[np.bool_] | None = None
    wall_clock: bool = True

    def only(self, rows: NDArray[np.intp]) -> ForecastRequest:
        """The same question about some of the series; events still name theirs."""

        def taken(values: NDArray[Any] | None) -> Any:
            return None if values is None else values[rows]

        return replace(
            self,
            series=tuple(self.series[row] for row in rows),
            values=self.values[rows],
            kinds=tuple(self.kinds[row] for row in rows) if self.kinds else (),
            lower_limit=taken(self.lower_limit),
            upper_limit=taken(self.upper_limit),
            same_time_yesterday=taken(self.same_time_yesterday),
            same_time_last_week=taken(self.same_time_last_week),
            censored=taken(self.censored),
        )


@dataclass(frozen=True, slots=True)
class Forecast:
    """A distribution over the futures of several series.

    `quantiles` is `(series, steps, levels)`, monotone in the last axis; `paths` is `(series, samples, steps)`, joint
    over steps, and sample `k` is one coherent future of all series. Step `i` describes `last_at_s + (i + 1) * step_s`.
    `coverage` and `coverage98` are the shares of past outcomes inside the nominal 80 % and 98 % band, `skill` and
    `skill_linear` are 1 - pinball / pinball of seasonal naive and of `predict_linear`; all `(series,)`, NaN while
    unmeasured. `reached` `(series,)` is the share of past outcomes that was not below the 80 % band (nominal 0.9): a
    forecaster that keeps promising more than comes has little of it. `surprise` `(series,)` is the probability of
    newest points as far out as those just seen, by the forecasts before them: small is anomalous, NaN unknown.
    `drifting` `(series,)` marks series that have lately left their forecasts behind. None: this forecaster measures no
    such thing.
    """

    series: tuple[str, ...]
    levels: tuple[float, ...]
    quantiles: Floats
    paths: Floats
    issued_at_s: float
    last_at_s: float
    step_s: float
    model: str
    coverage: Floats
    skill: Floats
    unavailable: Mapping[str, NoForecastReason] = field(default_factory=dict)
    fell_back: bool = False  # a better model failed and this one answered for it
    coverage98: Floats | None = None
    skill_linear: Floats | None = None
    reached: Floats | None = None
    surprise: Floats | None = None
    drifting: NDArray[np.bool_] | None = None

    @property
    def steps(self) -> int:
        return int(self.quantiles.shape[1])

    @property
    def times_s(self) -> Floats:
        """When each step lies, `(steps,)`."""
        return self.last_at_s + self.step_s * np.arange(1, self.steps + 1, dtype=np.float64)

    def row(self, name: str) -> int | None:
        """Row of a series that has a forecast, None where there is none."""
        if name in self.unavailable or name not in self.series:
            return None
        return self.series.index(name)

    def quantile(self, level: float) -> Floats:
        """The marginal quantile at `level`, `(series, steps)`, interpolated between the stored levels."""
        position = float(np.interp(level, self.levels, np.arange(len(self.levels))))
        below = int(np.floor(position))
        above = min(below + 1, len(self.levels) - 1)
        weight = position - below
        return np.asarray((1.0 - weight) * self.quantiles[:, :, below] + weight * self.quantiles[:, :, above])


class Forecaster(Protocol):
    """History in, distribution over the future out.

    State is a value: the caller keeps it, `dump` makes it JSON and `load` brings it back unchanged, so a restart
    changes no forecast. Randomness comes only from `rng`. Never raises for bad series: they get a `NoForecastReason`.
    """

    def forecast(
        self, request: ForecastRequest, state: Any, now_s: float, rng: np.random.Generator
    ) -> tuple[Forecast, Any]: ...

    def dump(self, state: Any) -> Any: ...

    def load(self, dumped: Any) -> Any: ...
