"""What arms know of the future: only the present, or everything."""

from __future__ import annotations

import numpy as np
import pytest

from forecasting.forecast import ForecastRequest, NoForecastReason
from forecasting.persistence import PersistenceForecaster
from simulation.controllers.clairvoyant import ClairvoyantDemand, ClairvoyantSignals
from simulation.scenario import Fault, FaultKind

RNG = np.random.default_rng(0)


def request(
    *rows: list[float], series: tuple[str, ...], step_s: float = 15.0, steps: int = 4, last_at_s: float = 0.0
) -> ForecastRequest:
    return ForecastRequest(series, np.array(rows), step_s, last_at_s, steps, samples=3)


def test_persistence_repeats_the_last_known_value() -> None:
    forecast, _ = PersistenceForecaster().forecast(
        request([1.0, 5.0, 3.0], [2.0, 7.0, np.nan], series=("a", "b")), None, 0.0, RNG
    )

    assert forecast.paths.shape == (2, 3, 4)
    assert np.array_equal(forecast.paths[0], np.full((3, 4), 3.0))
    assert np.array_equal(forecast.paths[1], np.full((3, 4), 7.0))
    assert not forecast.unavailable


def test_persistence_names_the_series_it_knows_nothing_of() -> None:
    forecast, _ = PersistenceForecaster().forecast(
        request([np.nan, np.nan], [1.0, 1.0], series=("a", "b")), None, 0.0, RNG
    )

    assert forecast.unavailable == {"a": NoForecastReason.ALL_MISSING}
    assert forecast.row("a") is None


def test_clairvoyant_demand_is_the_mean_of_the_true_rate_over_each_step_times_the_visits() -> None:
    """The rate is t: over (0, 15] the five moments 3, 6, 9, 12, 15 have mean 9; each further step adds 15."""
    forecaster = ClairvoyantDemand(lambda times_s: times_s, {"gateway": 1.0, "catalog": 2.0})

    forecast, _ = forecaster.forecast(request([0.0], [0.0], series=("gateway", "catalog")), None, 0.0, RNG)

    assert forecast.paths[0, 0].tolist() == pytest.approx([9.0, 24.0, 39.0, 54.0])
    assert forecast.paths[1, 0].tolist() == pytest.approx([18.0, 48.0, 78.0, 108.0])


def test_clairvoyant_signals_add_what_a_running_leak_will_add() -> None:
    """12 MiB a minute from t = 0 to 150 s, seen at t = 60 with 100 MiB: 12 more per minute, none after 2.5 minutes."""
    leak = Fault(kind=FaultKind.MEMORY_LEAK, service="web", start_s=0, duration_s=150, magnitude=12.0)
    forecaster = ClairvoyantSignals((leak,), lambda index: ("web", "web-1"))
    seen = request(
        [100.0], [50.0], series=("memory/web/web-1", "latency/web/web-1"), step_s=60.0, steps=3, last_at_s=60.0
    )

    forecast, _ = forecaster.forecast(seen, None, 60.0, RNG)

    assert forecast.paths[0, 0].tolist() == pytest.approx([112.0, 118.0, 118.0])
    assert forecast.paths[1, 0].tolist() == pytest.approx([50.0, 50.0, 50.0])


def test_clairvoyant_signals_know_a_ramp_that_follows_the_level() -> None:
    """One second of latency reached after 120 s, seen at half of it: 0.5 s are still to come."""
    creep = Fault(kind=FaultKind.LATENCY_CREEP, service="web", start_s=0, duration_s=600, ramp_s=120, magnitude=1.0)
    forecaster = ClairvoyantSignals((creep,), lambda index: ("web", "web-1"))

    forecast, _ = forecaster.forecast(
        request([0.6], series=("latency/web/web-1",), step_s=60.0, steps=2, last_at_s=60.0), None, 60.0, RNG
    )

    assert forecast.paths[0, 0].tolist() == pytest.approx([1.1, 1.1])


def test_clairvoyant_signals_know_nothing_of_faults_that_have_not_begun_or_cannot_be_predicted() -> None:
    later = Fault(kind=FaultKind.MEMORY_LEAK, service="web", start_s=100, duration_s=500)
    sudden = Fault(kind=FaultKind.MEMORY_LEAK, service="web", start_s=0, duration_s=500, predictable=False)
    forecaster = ClairvoyantSignals((later, sudden), lambda index: ("web", "web-1"))

    forecast, _ = forecaster.forecast(
        request([80.0], series=("memory/web/web-1",), step_s=60.0, last_at_s=50.0), None, 50.0, RNG
    )

    assert np.array_equal(forecast.paths[0], np.full((3, 4), 80.0))
