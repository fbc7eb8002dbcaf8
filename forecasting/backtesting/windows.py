"""Which moments of which series are judged, and what a forecaster may know at each of them.

A window is a series at an origin, the newest point that the forecaster sees. Outcomes of different windows of a series
never overlap. Series of a group that share their clock form a cohort and are asked about in one request, as the
control loop does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.backtesting.errors import NothingToJudge
from forecasting.features import DAY_S, LONGEST_CONTEXT, WEEK_S
from forecasting.forecast import Floats, ForecastRequest
from forecasting.history import STALE_AFTER_STEPS, Ints
from forecasting.series_files import Series

#: Points that a context must hold.
FEWEST_CONTEXT = 64
#: Share of a window's outcomes that must be known.
KNOWN_SHARE = 0.5
#: Origins lie in what comes after this share of a series.
FIRST_ORIGIN_SHARE = 0.4
#: A series that leaves fewer steps than this behind its first origin is not judged.
SHORTEST_HORIZON = 8


@dataclass(frozen=True, slots=True)
class Spread:
    """How many windows, and how long they are.

    `per_series` origins at most in a series; `per_group` windows at most in a group, so that a group of hundreds of
    series costs no more than one of five. `horizon_steps` is shortened for series that are shorter.
    """

    per_series: int = 20
    per_group: int = 200
    horizon_steps: int = 64


@dataclass(frozen=True, slots=True)
class Cohort:
    """Series of one group with one clock: `values` `(series, points)`, NaN unknown; origins are columns, rising."""

    group: str
    names: tuple[str, ...]
    values: Floats
    step_s: float
    start_at_s: float | None
    horizon_steps: int
    origins: tuple[int, ...]

    def judged_rows(self, origin: int) -> Ints:
        """Rows that have a context and outcomes at this origin."""
        seen = ~np.isnan(self.context(origin))
        coming = ~np.isnan(self.outcomes(origin))
        fresh = seen[:, -STALE_AFTER_STEPS:].any(axis=1)
        enough = (seen.sum(axis=1) >= FEWEST_CONTEXT) & (coming.mean(axis=1) >= KNOWN_SHARE)
        return np.flatnonzero(enough & fresh)

    def context(self, origin: int) -> Floats:
        """What is known at an origin, `(series, points)`, at most `LONGEST_CONTEXT` points."""
        return self.values[:, max(0, origin + 1 - LONGEST_CONTEXT) : origin + 1]

    def outcomes(self, origin: int) -> Floats:
        """What came after an origin, `(series, steps)`."""
        return self.values[:, origin + 1 : origin + 1 + self.horizon_steps]

    def at_s(self, origin: int) -> float:
        """The time of an origin; seconds since the first point where the file holds no times."""
        return (self.start_at_s or 0.0) + origin * self.step_s

    def request(self, origin: int, rows: Ints, samples: int) -> ForecastRequest:
        """What a forecaster is asked at an origin. Nothing after the origin is in it."""
        context = self.context(origin)[rows]
        never_negative = ~(context < 0.0).any(axis=1)  # NaN compares false
        return ForecastRequest(
            series=tuple(self.names[row] for row in rows),
            values=context,
            step_s=self.step_s,
            last_at_s=self.at_s(origin),
            horizon_steps=self.horizon_steps,
            lower_limit=np.where(never_negative, 0.0, -np.inf),
            same_time_yesterday=self._same_time(origin, rows, DAY_S),
            same_time_last_week=self._same_time(origin, rows, WEEK_S),
            samples=samples,
            wall_clock=self.start_at_s is not None,
        )

    def _same_time(self, origin: int, rows: Ints, ago_s: float) -> Floats | None:
        """What was measured `ago_s` before each step ahead, NaN where that is unknown or not yet measured."""
        steps = ago_s / self.step_s
        if abs(steps - round(steps)) > 1e-9 or round(steps) < 1:
            return None
        columns = origin + np.arange(1, self.horizon_steps + 1) - round(steps)
        known = (columns >= 0) & (columns <= origin)
        if not known.any():
            return None
        return np.where(known, self.values[rows][:, np.clip(columns, 0, origin)], np.nan)


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is judged, and how much was left out and why."""

    cohorts: tuple[Cohort, ...]
    windows: int
    dropped_windows: int
    dropped_series: tuple[str, ...]
    horizon_steps: int

    @property
    def groups(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(cohort.group for cohort in self.cohorts))

    def of_group(self, group: str) -> tuple[Cohort, ...]:
        return tuple(cohort for cohort in self.cohorts if cohort.group == group)


def planned(groups: Mapping[str, Sequence[Series]], spread: Spread) -> Plan:
    """The windows of all groups. Raises `NothingToJudge` where not a single one is left."""
    cohorts: list[Cohort] = []
    short: list[str] = []
    for group, members in groups.items():
        named = _uniquely_named(members)
        horizons = {name: _horizon(series.values.size, spread) for name, series in named}
        fitting = [(name, series) for name, series in named if horizons[name] >= SHORTEST_HORIZON]
        short += [f"{group}/{name}" for name, horizon in horizons.items() if horizon < SHORTEST_HORIZON]
        chosen = _spread_out(fitting, spread.per_group)
        per_series = max(1, min(spread.per_series, spread.per_group // max(len(chosen), 1)))
        cohorts += _cohorts(group, chosen, spread, per_series)
    judged = sum(cohort.judged_rows(origin).size for cohort in cohorts for origin in cohort.origins)
    offered = sum(len(cohort.names) * len(cohort.origins) for cohort in cohorts)
    if judged == 0:
        raise NothingToJudge(
            f"no window can be judged: a series needs {FEWEST_CONTEXT} known points and at least {SHORTEST_HORIZON} "
            f"after them, half of them known ({len(short)} series are too short)"
        )
    return Plan(tuple(cohorts), judged, offered - judged, tuple(short), spread.horizon_steps)


def _cohorts(group: str, chosen: Sequence[tuple[str, Series]], spread: Spread, per_series: int) -> list[Cohort]:
    together: dict[tuple[float, float | None, int], list[tuple[str, Series]]] = {}
    for name, series in chosen:
        together.setdefault((series.step_s, series.start_at_s, series.values.size), []).append((name, series))
    cohorts = []
    for (step_s, start_at_s, points), members in together.items():
        horizon = _horizon(points, spread)
        cohorts.append(
            Cohort(
                group=group,
                names=tuple(name for name, _ in members),
                values=np.stack([series.values for _, series in members]),
                step_s=step_s,
                start_at_s=start_at_s,
                horizon_steps=horizon,
                origins=_origins(points, horizon, per_series),
            )
        )
    return cohorts


def _first_origin(points: int) -> int:
    return max(FEWEST_CONTEXT, int(FIRST_ORIGIN_SHARE * points)) - 1


def _horizon(points: int, spread: Spread) -> int:
    return min(spread.horizon_steps, points - 1 - _first_origin(points))


def _origins(points: int, horizon: int, most: int) -> tuple[int, ...]:
    """Evenly spread columns at least a horizon apart, the last one just before the last whole horizon."""
    first, last = _first_origin(points), points - 1 - horizon
    count = min(most, (last - first) // horizon + 1)
    if count == 1:
        return (last,)
    return tuple(int(origin) for origin in np.floor(np.linspace(first, last, count)))


def _spread_out(members: Sequence[tuple[str, Series]], most: int) -> Sequence[tuple[str, Series]]:
    if len(members) <= most:
        return members
    return [members[int(place)] for place in np.linspace(0, len(members) - 1, most)]


def _uniquely_named(members: Sequence[Series]) -> list[tuple[str, Series]]:
    """Names under which series are told apart: their own, numbered where two have the same."""
    seen: dict[str, int] = {}
    named = []
    for series in members:
        seen[series.name] = seen.get(series.name, 0) + 1
        count = seen[series.name]
        named.append((series.name if count == 1 else f"{series.name} ({count})", series))
    return named
