"""Offered demand as monitoring remembers it: before the run from the load itself, during it from scrapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from forecasting.forecast import Floats
from policies.model import DemandHistory
from simulation import streams
from simulation.traffic import Traffic

STEP_S = 15.0
#: Points that a forecast is given: 512 × 15 s are a bit more than two hours.
CONTEXT_POINTS = 512
#: Steps of the demand forecast, for which the same time yesterday is looked up: 16 minutes.
HORIZON_STEPS = 64
_DAY_POINTS = int(86_400 / STEP_S)
_WEEK_POINTS = 7 * _DAY_POINTS


class DemandLog:
    """Offered requests per second per service in columns of 15 s; NaN where nothing was measured.

    Column 0 lies `CONTEXT_POINTS` before the first scrape. Earlier days are known as far as the scenario says, at the
    gateway, and in proportion to the call graph at the services behind it (the load knows how far).
    """

    def __init__(
        self,
        services: Sequence[str],
        visits: Mapping[str, float],
        traffic: Traffic,
        *,
        first_scrape_s: float,
        end_s: float,
        seed: int,
    ) -> None:
        self.services = tuple(services)
        self._visits = np.array([visits[name] for name in services])
        self._first_at_s = first_scrape_s - CONTEXT_POINTS * STEP_S
        run_columns = int(np.ceil((end_s - first_scrape_s) / STEP_S)) + 2
        self._values = np.full((len(self.services), CONTEXT_POINTS + run_columns), np.nan)
        self._saturated = np.zeros_like(self._values)
        self._newest = CONTEXT_POINTS - 1
        self._remember(traffic, seed)
        self._gateway_by_age: dict[int, Floats] = {}
        for age in (_DAY_POINTS, _WEEK_POINTS):
            columns = np.arange(CONTEXT_POINTS, self._values.shape[1] + HORIZON_STEPS) - age
            times: Floats = self._first_at_s + STEP_S * columns.astype(np.float64)
            gateway = np.full(len(times), np.nan)
            before_run = times < first_scrape_s
            gateway[before_run] = _step_means(traffic, times[before_run])
            if np.isfinite(gateway).any():
                self._gateway_by_age[age] = gateway

    def time_s(self, column: int) -> float:
        return self._first_at_s + STEP_S * column

    @property
    def newest(self) -> int:
        """The column that was recorded last."""
        return self._newest

    def record(self, offered_rps: Floats | None, saturated: Floats | None) -> int:
        """Append the next column, None: the scrape failed. Returns its index."""
        self._newest += 1
        if offered_rps is not None and saturated is not None:
            self._values[:, self._newest] = offered_rps
            self._saturated[:, self._newest] = saturated
        return self._newest

    def history(self, column: int) -> DemandHistory:
        """What a query sees whose newest visible scrape is `column`."""
        window = slice(column + 1 - CONTEXT_POINTS, column + 1)
        return DemandHistory(
            workloads=self.services,
            values_rps=self._values[:, window],
            saturated=self._saturated[:, window],
            step_s=STEP_S,
            last_at_s=self.time_s(column),
            same_time_yesterday=self._earlier(column, _DAY_POINTS),
            same_time_last_week=self._earlier(column, _WEEK_POINTS),
            wall_clock=False,
        )

    def recent(self, column: int, points: int) -> Floats:
        """The last `points` columns up to `column`, `(services, points)`."""
        return self._values[:, max(0, column + 1 - points) : column + 1]

    def measured(self, column: int) -> Floats:
        """What was scraped in this run up to `column`, `(services, scrapes)`."""
        return self._values[:, CONTEXT_POINTS : column + 1]

    def _earlier(self, column: int, points_ago: int) -> Floats | None:
        """`(services, HORIZON_STEPS)` measured `points_ago` before each step of the horizon."""
        first = column + 1 - points_ago
        if first >= CONTEXT_POINTS:
            return self._values[:, first : first + HORIZON_STEPS]
        gateway = self._gateway_by_age.get(points_ago)
        if gateway is None:
            return None
        first_known = column + 1 - CONTEXT_POINTS
        return np.asarray(self._visits[:, None] * gateway[None, first_known : first_known + HORIZON_STEPS])

    def _remember(self, traffic: Traffic, seed: int) -> None:
        times: Floats = self._first_at_s + STEP_S * np.arange(CONTEXT_POINTS, dtype=np.float64)
        gateway = _step_means(traffic, times)
        expected = self._visits[:, None] * np.nan_to_num(gateway)[None, :] * STEP_S
        # Clients come one by one: without their sampling noise the past would look smoother than the present.
        counted = streams.generator(seed, "monitored history").poisson(expected) / STEP_S
        self._values[:, :CONTEXT_POINTS] = np.where(np.isnan(gateway)[None, :], np.nan, counted)


def _step_means(traffic: Traffic, ends_s: Floats) -> Floats:
    """Mean rate at the gateway over the step that ends at each time; all lie before the run."""
    moments = ends_s[:, None] - STEP_S * np.array([0.9, 0.5, 0.1])[None, :]
    return np.asarray(traffic.history_rps(moments.ravel()).reshape(moments.shape).mean(axis=1))
